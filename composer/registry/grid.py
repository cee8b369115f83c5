"""Where tokens stand: the grid of positions that they come from, and the tokens before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class TokenGrid(NamedTuple):
    """The positions of a sequence of tokens: `prefix` tokens (class, distillation, registers), then a map row by row.

    A grid of 0×0 is that of prefix tokens alone.

    >>> TokenGrid(14, 14, prefix=1).tokens
    197
    """

    height: int
    width: int
    prefix: int = 0

    @property
    def is_map(self) -> bool:
        """Whether there are positions, not prefix tokens alone."""
        return self.height * self.width > 0

    @property
    def tokens(self) -> int:
        """The length of the sequence."""
        return self.prefix + self.height * self.width

    def __str__(self) -> str:
        positions = f"{self.height}×{self.width}" if self.is_map else ""
        return " + ".join(filter(None, (str(self.prefix or ""), positions)))


# (specs of the tensors, **options) -> the grid of the output's tokens; None if it is not known
GridRule = Callable[..., tuple[int, ...] | None]
