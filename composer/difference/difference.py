"""Two networks -> their differences."""

from __future__ import annotations

from composer.alike import Alike
from composer.dag.composition import Composition
from composer.difference.changes import changes
from composer.difference.comparison import Comparison
from composer.difference.pairing import pair
from composer.difference.render import styled
from composer.difference.side import read
from composer.lines import plain


class Difference(Comparison):
    """The differences between two networks. True if there are any. Prints with a line per kind of change."""

    def __str__(self) -> str:
        return plain(styled(self)) if self else "no difference"

    __repr__ = __str__


def compare(before: Composition, after: Composition) -> Difference:
    """The differences between two networks; see `composer.diff`."""
    alike = Alike()
    found = pair(read(before, alike), read(after, alike))
    return Difference(before, after, tuple(changes(found)), found.pairs)
