"""Two networks compared: what was added, removed, moved and changed, and what that costs."""

from composer.difference.change import Change
from composer.difference.difference import Difference, diff

__all__ = ["Change", "Difference", "diff"]
