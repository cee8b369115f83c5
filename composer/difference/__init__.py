"""Two networks compared: what was added, removed, moved and changed, and what that costs."""

from composer.difference.change import Change
from composer.difference.difference import Difference, compare

__all__ = ["Change", "Difference", "compare"]
