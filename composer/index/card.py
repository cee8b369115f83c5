"""A card for each mechanism and layer, from the index or the registry."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.docstring import sections

if TYPE_CHECKING:
    from composer.errors import Diagnostic
    from composer.registry import Entry

INDEX = Path(__file__).with_name("index.json")
SCHEMA = Path(__file__).with_name("schema.json")
# As in `composer.registry`, which takes long to import.
ENTRY_POINTS = "composer.plugins"
# Channels, rows and columns of the map at which costs are told.
SIZE = (256, 14, 14)
PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Card:
    """What `list` and `show` tell of a mechanism or layer.

    name, category, kind, group, aliases, doc  as the registry has them
    plugin  the name of its plugin; `composer` for composer's own
    shown   what `composer show` prints; empty if the card is not from the index
    """

    name: str
    category: str
    kind: str
    group: str
    aliases: tuple[str, ...]
    doc: str
    plugin: str = "composer"
    shown: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, entry: Entry) -> Card:
        """The card of an entry."""
        group, aliases = getattr(entry, "group", ""), tuple(getattr(entry, "aliases", ()))
        return cls(entry.name, entry.category, entry.kind, group, aliases, entry.doc, entry.plugin.name)

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the tensors that it takes; none if the card is not from the index."""
        return tuple(self.shown["entry"]["tensors"]) if self.shown else ()

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return next(iter(self.doc.splitlines()), "")


def cards(category: str | None = None) -> Sequence[Card]:
    """A card for each name of a category (None: of both), sorted by name."""
    found = _of_index() if is_enough() else _of_registry()
    return [one for one in found if category in (None, one.category)]


@cache
def composers_own() -> Mapping[str, Card]:
    """A card for each name of composer's own, whatever plugins there are."""
    return {one.name: one for one in _of_index()}


def card(name: str) -> Card | None:
    """The card of a name, or None."""
    return next((one for one in cards() if one.name == name), None)


def is_enough() -> bool:
    """Whether the index knows every name: no plugin is installed, and nothing was registered in this process."""
    return not _is_used() and not has_plugins()


@cache
def has_plugins() -> bool:
    """Whether a plugin is installed."""
    return bool(importlib.metadata.entry_points(group=ENTRY_POINTS))


@cache
def read() -> Mapping[str, Any]:
    """The index: `entries`, `descriptions` of networks by name, rows of `papers`, and heads of `keys` by name."""
    found: Mapping[str, Any] = json.loads(INDEX.read_text(encoding="utf-8"))
    return found


@cache
def read_schema() -> Mapping[str, Any]:
    """The JSON Schema of specs, with the options of composer's own mechanisms and layers."""
    found: Mapping[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return found


def _is_used() -> bool:
    registry = sys.modules.get("composer.registry.state")
    return registry is not None and (registry.state.discovered or bool(registry.state.entries))


def _of_index() -> list[Card]:
    return [Card(**{**one, "aliases": tuple(one["aliases"])}) for one in read()["entries"]]


def _of_registry() -> list[Card]:
    from composer import registry

    return [Card.of(one) for one in registry.entries()]


def shown(known: Card, size: tuple[int, int, int] = SIZE) -> Mapping[str, Any]:
    """What `composer show` prints of a mechanism or layer; `size` is that of the cost: channels, rows and columns."""
    if known.shown and size == SIZE:
        source = place(known.shown["file"], known.shown["factory"])
        return {**known.shown["entry"], "doc": known.doc, "sections": sections(known.doc), "source": source}
    from composer import registry
    from composer.index.described import described

    entry = registry.get(known.name)
    assert entry is not None, "every card is of an entry"
    return described(entry, size)


def failures() -> Sequence[Diagnostic]:
    """The problems found when installed plugins were imported."""
    if is_enough():
        return ()
    from composer import registry

    return registry.failures()


def place(file: str, name: str) -> str:
    """File and line of a class or function, its decorators with it, of a file of composer."""
    path = PACKAGE / file
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    lines = [
        min([node.lineno, *(one.lineno for one in node.decorator_list)])
        for node in nodes
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name
    ]
    return f"{path}:{lines[0] if lines else 1}"
