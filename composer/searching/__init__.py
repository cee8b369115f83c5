"""Searches a variant and its recipe, ends trainings that are behind, and compares what it chose on fresh seeds."""
