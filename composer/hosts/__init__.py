"""Modules that composer did not write: recorded as graphs, edited in place by the same rules as specs."""
