"""Mixers of tokens."""
