"""Compares networks: what each variant costs and where it fits, and what paired runs show of how well it learns."""
