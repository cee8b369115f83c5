"""The tensors that a network can take from a weights file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from composer.dag.composition import Composition
from composer.spec.spec import Spec
from composer.weights.names import Shapes, heads, shapes_of, within

# Batch norm's counter of batches: it has no effect in eval, and old checkpoints lack it.
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Wanted:
    """Name -> shape of a network's own tensors, and its graph."""

    own: Shapes
    graph: Composition

    @property
    def spec(self) -> Spec | None:
        """The spec of the network."""
        return self.graph.spec

    @cached_property
    def backbone(self) -> Shapes:
        """Name -> shape of every tensor of the plain backbone, in its order."""
        whole = self.graph.whole_backbone
        return {name: shape for name, shape in shapes_of(whole).items() if not within(name, whole.on_backbone)}

    @cached_property
    def inserted(self) -> frozenset[str]:
        """Names of the tensors that rules inserted."""
        return frozenset(name for name in self.own if within(name, self.graph.inserted))

    @cached_property
    def added(self) -> frozenset[str]:
        """Names of the tensors of nodes that the spec puts on its backbone."""
        return frozenset(name for name in self.own if within(name, self.graph.on_backbone)) - self.inserted

    @cached_property
    def heads(self) -> Mapping[str, list[str]]:
        """Path of each classifier -> the names of its tensors."""
        return _of(heads(self.graph), self.own)

    @cached_property
    def of_heads(self) -> frozenset[str]:
        """Names of the classifiers' tensors, of the network and of its backbone."""
        both = (self.heads, _of(heads(self.graph.whole_backbone), self.backbone))
        return frozenset(name for known in both for names in known.values() for name in names)

    @cached_property
    def needed(self) -> tuple[Shapes, Shapes]:
        """What fills the plain backbone, and what fills the network itself: no counters, no classifiers."""
        own = {name: shape for name, shape in self.own.items() if name not in self.inserted | self.added}
        whole, part = ({n: s for n, s in some.items() if self._must_be_there(n)} for some in (self.backbone, own))
        return whole, part

    @cached_property
    def with_inserted(self) -> Shapes:
        """What fills the network with all that rules inserted, as a file of its own does; nothing without rules."""
        return {name: shape for name, shape in self.own.items() if self.inserted and self._must_be_there(name)}

    def knows(self, name: str) -> bool:
        """Whether a name belongs to the network or its backbone."""
        return name in self.own or name in self.backbone

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of the tensor of that name, in the plain backbone if it has one."""
        return self.backbone.get(name, self.own.get(name))

    def _must_be_there(self, name: str) -> bool:
        return name not in self.of_heads and not name.endswith(COUNTER)


def _of(paths: list[str], names: Shapes) -> dict[str, list[str]]:
    return {path: [name for name in names if name.startswith(f"{path}.")] for path in paths}
