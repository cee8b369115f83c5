"""Two networks -> what differs between them."""

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
    """What differs between two networks. True when something does; prints with changes of one sort in one line."""

    def __str__(self) -> str:
        return plain(styled(self)) if self else "no difference"

    __repr__ = __str__


def compare(before: Composition, after: Composition) -> Difference:
    """What differs between two networks; see `composer.diff`."""
    alike = Alike()
    return Difference(before, after, tuple(changes(pair(read(before, alike), read(after, alike)))))
