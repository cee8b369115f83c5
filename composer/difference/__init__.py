"""Compares two networks: what was added, removed, moved and changed, and its cost."""

from composer.difference.change import Change
from composer.difference.difference import Difference, compare

__all__ = ["Change", "Difference", "compare"]
