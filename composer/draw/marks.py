"""Nodes that a picture marks, and what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from composer.draw.view import Box

# What became of a node -> the colours of its box on white: its fill and its line.
COLOURS = {"added": ("#dcfce7", "#15803d"), "changed": ("#fef9c3", "#a16207"), "moved": ("#dbeafe", "#1d4ed8")}


@dataclass(frozen=True)
class Marks:
    """Nodes to mark: path -> a key of COLOURS. What is inside a marked node is marked like it."""

    kinds: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _around(self) -> frozenset[str]:
        """The paths of all nodes that marked ones are inside of."""
        return frozenset(outer for path in self.kinds for outer in list(_outwards(path))[1:])

    def of(self, box: Box) -> str:
        """The mark of a box: its own, that of what it is inside of, or `changed` if it holds a marked node; or none."""
        for path in (box.path, *box.copies):
            for outer in _outwards(path):
                if outer in self.kinds:
                    return self.kinds[outer]
        return "changed" if not self._around.isdisjoint((box.path, *box.copies)) else ""


def _outwards(path: str) -> Iterator[str]:
    """A path, then those of the nodes around it."""
    while path:
        yield path
        path = path.rpartition(".")[0]
