"""What was recognised in a recording: for each site how many, where, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from composer.hosts.recognised.blocks import globs


@dataclass(frozen=True)
class Finding:
    """The nodes of one site.

    kinds  the classes of their modules, or the names of their operations
    why    the rule that found them, or who named them
    """

    site: str
    paths: tuple[str, ...]
    kinds: tuple[str, ...]
    why: str

    @property
    def globs(self) -> Mapping[str, int]:
        """Their paths with `*` for numbers -> how many there are."""
        return globs(self.paths)

    @property
    def level(self) -> int:
        """How many modules are around the first of them."""
        return self.paths[0].count(".") if self.paths else 0

    def __str__(self) -> str:
        found = self.globs if len(self.paths) > 1 else dict.fromkeys(self.paths, 1)
        where = ", ".join(f"`{glob}`" if len(found) == 1 else f"{number} × `{glob}`" for glob, number in found.items())
        number = f"{len(self.paths)}{' ×' if len(found) == 1 else ':'}"
        return f"{self.site}: {number} {where} ({', '.join(self.kinds)}): {self.why}"


@dataclass(frozen=True)
class Level:
    """Modules of one class at paths that differ in numbers alone: a level of the tree at which a site may be."""

    glob: str
    kind: str
    count: int

    def __str__(self) -> str:
        return f"{self.count} × `{self.glob}` ({self.kind})"


@dataclass(frozen=True)
class Findings:
    """What was recognised, site by site, and the levels of the tree that `sites:` of a spec may name instead.

    Prints as a line for each site.
    """

    found: tuple[Finding, ...]
    levels: tuple[Level, ...]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.found)

    def __getitem__(self, site: str) -> Finding:
        """The finding of a site; an empty one if no node has it."""
        return next((one for one in self.found if one.site == site), Finding(site, (), (), "nothing was recognised"))

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each site, and one for all levels."""
        levels = ", ".join(map(str, self.levels))
        return (*map(str, self.found), *([f"levels here: {levels}"] if levels else []))

    def __str__(self) -> str:
        return "\n".join(map(str, self.found))


def kinds_of(names: list[str]) -> tuple[str, ...]:
    """Each name once, the most frequent first."""
    return tuple(name for name, _ in Counter(names).most_common())
