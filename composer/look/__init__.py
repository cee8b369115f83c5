"""Attention maps one can look at."""
