"""A definition that may be copied into a file, and where its names are looked up."""

from __future__ import annotations

import ast
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from composer.ejecting.sources import module_of

Key = tuple[str, str]


@dataclass
class Item:
    """A definition that may be copied.

    sites   for each call: parameter -> the value or expression that it is given
    before  its parameters before it was folded
    called  whether a forward of the network calls it
    shared  whether another class that is copied extends it
    opaque  whether it is used otherwise than called, so that nothing is known of its arguments
    """

    key: Key
    node: ast.stmt
    module: types.ModuleType
    sites: list[Mapping[str, Any]] = field(default_factory=list)
    opaque: bool = False
    used: bool = False
    name: str = ""
    before: ast.arguments | None = None
    shared: bool = False
    called: bool = False

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)


def home_of(node: ast.AST, name: str, module: types.ModuleType) -> types.ModuleType:
    """The module in which a name of a definition is looked up: of what came from elsewhere, its own."""
    found = getattr(node, "homes", {}).get(name)
    return module if found is None else sys.modules[found]


def users_first(graph: nx.DiGraph[Key], keys: list[Key]) -> list[Key]:
    """What uses others before those. Of definitions that use each other, in the order in which they were found."""
    places = {key: index for index, key in enumerate(keys)}
    groups = nx.condensation(graph)
    order = nx.lexicographical_topological_sort(
        groups, key=lambda one: min(places[key] for key in groups.nodes[one]["members"])
    )
    return [key for one in order for key in sorted(groups.nodes[one]["members"], key=lambda key: places[key])]


def file_of(module: types.ModuleType) -> str:
    return f"`{getattr(module, '__file__', None) or module.__name__}`"


def key_of(thing: Callable[..., Any]) -> Key:
    return module_of(thing).__name__, inspect.unwrap(thing).__name__


def rename(node: ast.AST, names: Mapping[str, str]) -> None:
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and one.id in names:
            one.id = names[one.id]
        elif isinstance(one, ast.ClassDef | ast.FunctionDef) and one.name in names and one is node:
            one.name = names[one.name]
