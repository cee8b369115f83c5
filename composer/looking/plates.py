"""The parts of a page: sections with findings, tables, and plates that can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    draw         draws it; slow, and needs matplotlib
    is_map       whether it is maps over a photograph, with which a page begins
    """

    name: str
    title: str
    caption: str
    alternative: str
    draw: Callable[[], Figure]
    is_map: bool = False


@dataclass(frozen=True)
class Section:
    """A heading of the page, with the content under it."""

    title: str
    text: str
    plates: Sequence[Plate] = ()
    table: Table | None = None
    findings: Sequence[Finding] = ()
