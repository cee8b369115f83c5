"""Attention rules: which places a rule means, what stands there, and how it is put in."""
