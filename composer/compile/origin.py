"""What a network was composed from, as the network carries it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from torch import nn

from composer import registry
from composer.compile.plan import class_of_scope
from composer.dag.composition import Composition
from composer.dag.host import HostScope
from composer.dag.limits import Limits
from composer.dag.scope import Scope
from composer.spec.portable import from_portable, to_portable


class Composed:
    """The graph and the seed of a network. Immutable: copies share it.

    It is pickled as the texts of the spec. The graph is composed again at its first use after loading, since a network
    runs without it. Raises SpecError, GraphError or PluginError then, if it cannot be composed.
    """

    def __init__(self, graph: Composition, seed: int) -> None:
        self.graph = graph
        self.seed = seed

    @cached_property
    def graph(self) -> Composition:
        """The network as it was composed."""
        for name, plugin in self._portable.get("blocks", {}).items():
            registry.again(name, plugin)
        limits = Limits(*self._portable["limits"])
        kind: type[Composition] = self._portable["kind"]
        return kind.of(from_portable(self._portable["spec"]), limits)

    def edited(self, edits: tuple[str, ...]) -> Composition:
        """The graph with `edits`, the sentences that say how the network was changed by hand."""
        if edits and self.__dict__.get("_edited", (None,))[0] != edits:
            self.__dict__["_edited"] = edits, replace(self.graph, edits=edits)
        return self.__dict__["_edited"][1] if edits else self.graph

    @cached_property
    def classes(self) -> Mapping[str, type[nn.Module]]:
        """Path -> the class with which the module of each scope was made, without the network itself."""
        return {scope.path: class_of_scope(scope) for scope in _scopes(self.graph.root)}

    @cached_property
    def _portable(self) -> dict[str, Any]:
        limits = self.graph.limits
        return {
            "spec": to_portable(self.graph.spec),
            "limits": [limits.nodes, limits.parameters],
            "kind": type(self.graph),
            "blocks": _blocks(self.graph.root),
            "seed": self.seed,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return composed, (self._portable,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Composed:
        return self


def _scopes(scope: Scope) -> Iterator[Scope]:
    """The scopes inside a scope that composer makes: not the models of other libraries."""
    for node in scope.parts.values():
        if node.owns and isinstance(node.content, Scope) and not isinstance(node.content, HostScope):
            yield node.content
            yield from _scopes(node.content)


def _blocks(root: Scope) -> dict[str, str]:
    """The blocks of plugins that a network has, each with its plugin: only with these it can be composed again."""
    scopes = (node.content for node in root.walk() if isinstance(node.content, Scope))
    return {one.entry.name: one.entry.plugin.name for one in scopes if one.entry is not None}


def composed(portable: dict[str, Any]) -> Composed:
    """What a network was composed from. Pickled networks call this function by name: never rename or move it."""
    made = Composed.__new__(Composed)
    made._portable, made.seed = portable, portable["seed"]
    return made
