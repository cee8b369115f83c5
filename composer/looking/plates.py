"""The parts of a page: sections with findings, tables, and plates that can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The least and the largest value that colours stand for.
Range = tuple[float, float]


@dataclass(frozen=True)
class Finding:
    """An observation.

    where    path of the node
    what     a few words, equal for equal observations
    detail   the numbers behind it
    notable  whether the page's summary shows it
    """

    where: str
    what: str
    detail: str = ""
    notable: bool = False

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {"where": self.where, "what": self.what, "detail": self.detail, "notable": self.notable}


@dataclass(frozen=True)
class Group:
    """Findings with the same words."""

    what: str
    findings: tuple[Finding, ...]

    def places(self, limit: int = 3) -> str:
        """The paths of the findings, without the middle if there are many."""
        paths = [one.where for one in self.findings]
        return ", ".join(paths if len(paths) <= limit else [*paths[: limit - 1], "…", paths[-1]])


def grouped(findings: Iterable[Finding]) -> list[Group]:
    """Findings grouped by their words, in the order in which the words first appear."""
    by_what: dict[str, list[Finding]] = {}
    for one in findings:
        by_what.setdefault(one.what, []).append(one)
    return [Group(what, tuple(found)) for what, found in by_what.items()]


@dataclass(frozen=True)
class Table:
    """Rows of text; columns named in `right` hold numbers."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plate:
    """A figure.

    name         name of its file, without `.png`
    caption      what it shows and how to read it
    alternative  a description for readers who cannot see it
    make         draws it, with `colours` as its keyword argument if it has them; slow, and needs matplotlib
    is_map       whether it is maps over a photograph, with which a page begins
    colours      the least and the largest value of the range of colours that all its maps have
    """

    name: str
    title: str
    caption: str
    alternative: str
    make: Callable[..., Figure]
    is_map: bool = False
    colours: Range | None = None

    def draw(self, beside: Plate | None = None) -> Figure:
        """The figure. `beside` is the same plate of another network: both are drawn in one range of colours."""
        if self.colours is None:
            return self.make()
        other = self.colours if beside is None or beside.colours is None else beside.colours
        return self.make(colours=(min(self.colours[0], other[0]), max(self.colours[1], other[1])))


@dataclass(frozen=True)
class Section:
    """A heading of the page, with the content under it."""

    title: str
    text: str
    plates: Sequence[Plate] = ()
    table: Table | None = None
    findings: Sequence[Finding] = ()

    def without(self, paths: Container[str]) -> Section:
        """The section without what was found at some nodes."""
        return replace(self, findings=[one for one in self.findings if one.where not in paths])
