"""Writes networks in formats of other engines, runs what it wrote, and compares the outputs."""
