"""Our names for a checkpoint's tensors: as they are, by a key map, or by their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from composer.dag.graph import Graph
from composer.errors import Diagnostic, WeightsError, one_of
from composer.weights.checkpoint import Checkpoint
from composer.weights.keys import KeyMap, Keys, known_key_maps, read_key_map
from composer.weights.names import Shapes, heads, shapes_of, whole_backbone, within

# Batch norm counts its batches in an integer that decides nothing in eval; old checkpoints lack it.
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Wanted:
    """What a network can take: the shapes of its own tensors by name, and its graph."""

    own: Shapes
    graph: Graph

    @cached_property
    def backbone(self) -> Shapes:
        """Every tensor of the plain backbone, in its order."""
        return shapes_of(whole_backbone(self.graph))

    @cached_property
    def inserted(self) -> frozenset[str]:
        """Names that rules put in."""
        return frozenset(name for name in self.own if within(name, self.graph.inserted))

    @cached_property
    def heads(self) -> Mapping[str, list[str]]:
        """Path of each classifier -> the names of its tensors."""
        return {path: [name for name in self.own if name.startswith(f"{path}.")] for path in heads(self.graph)}

    def knows(self, name: str) -> bool:
        """Whether a name belongs to the network or its backbone."""
        return name in self.own or name in self.backbone

    def takes(self, name: str, shape: tuple[int, ...]) -> bool:
        """Whether it has a place of this name and shape; a classifier may have another number of classes."""
        if self.own.get(name) == shape or (name not in self.own and name in self.backbone):
            return True
        of_head = any(name in names for names in self.heads.values())
        return of_head and shape[1:] == self.own[name][1:] and len(shape) == len(self.own[name])


@dataclass(frozen=True)
class Fitted:
    """Tensors under our names.

    keys     the key map that was used
    notes    what its networks have besides weights, and this one has not
    dropped  the file's names that the key map knows and we have nothing like
    sources  our name -> the file's, under the key map
    """

    tensors: Mapping[str, Tensor]
    keys: str = ""
    dropped: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def by_name(checkpoint: Checkpoint, wanted: Wanted, keys: Keys | None) -> Fitted:
    """The tensors as they are named, or under the one key map with which every one of them has a place.

    Raises WeightsError where several key maps would do, or the one that was asked for makes two names one.
    """
    if keys is not None:
        return _explicit(read_key_map(keys), checkpoint, wanted)
    tensors = checkpoint.tensors
    if all(name in wanted.own for name in tensors) or all(map(wanted.knows, tensors)):
        return Fitted(tensors)
    if checkpoint.prefix and all(wanted.knows(checkpoint.prefix + name) for name in tensors):
        # What looked like a wrapper's prefix is this network's own.
        return Fitted({checkpoint.prefix + name: tensor for name, tensor in tensors.items()})
    found = [one for one in (_under(keys, checkpoint, wanted) for keys in known_key_maps()) if one is not None]
    whole = [one for one in found if all(wanted.takes(name, tuple(t.shape)) for name, t in one.tensors.items())]
    return _only(whole or found, checkpoint) or Fitted(tensors)


def by_order(checkpoint: Checkpoint, wanted: Wanted) -> Fitted:
    """The n-th tensor under the name of the n-th of the plain backbone. Raises WeightsError."""
    found, name = checkpoint.tensors, checkpoint.name
    if not checkpoint.ordered:
        text = f"{name} does not keep its tensors in the order they were saved; safetensors sorts them"
        raise WeightsError(Diagnostic("weights-order", text, help=("load by name, or from a .pt file",)))
    learned = [one for one in wanted.backbone if not one.endswith(COUNTER)]
    names = next((names for names in (list(wanted.backbone), learned) if len(names) == len(found)), None)
    if names is None:
        text = f"{name} has {len(found)} tensors, the plain backbone {len(wanted.backbone)}"
        help = ("load by name, or the weights of the same backbone",)
        raise WeightsError(Diagnostic("weights-order", text, help=help))
    return Fitted(dict(zip(names, found.values(), strict=True)))


def _under(keys: KeyMap, checkpoint: Checkpoint, wanted: Wanted) -> Fitted | None:
    """The tensors under a key map; None unless each name becomes one that the network knows, and no two the same."""
    sources: dict[str, str] = {}
    dropped = []
    for name in checkpoint.tensors:
        ours = keys.rename(name)
        if ours is None:
            dropped.append(name)
        elif ours in sources or not wanted.knows(ours):
            return None
        else:
            sources[ours] = name
    return _renamed(keys, sources, dropped, checkpoint, wanted) if sources else None


def _explicit(keys: KeyMap, checkpoint: Checkpoint, wanted: Wanted) -> Fitted:
    sources: dict[str, str] = {}
    dropped = []
    for name in checkpoint.tensors:
        ours = keys.rename(name)
        if ours is None:
            dropped.append(name)
        elif ours in sources:
            text = f"under the key map `{keys.name}`, `{sources[ours]}` and `{name}` of {checkpoint.name} are one"
            raise WeightsError(Diagnostic("weights-keys", text, label=f"one tensor for `{ours}`"))
        else:
            sources[ours] = name
    return _renamed(keys, sources, dropped, checkpoint, wanted)


def _renamed(
    keys: KeyMap, sources: Mapping[str, str], dropped: list[str], checkpoint: Checkpoint, wanted: Wanted
) -> Fitted:
    tensors = {}
    for ours, name in sources.items():
        tensor, shape = checkpoint.tensors[name], wanted.own.get(ours)
        # Another library may write a 1×1 convolution as a linear layer.
        same = shape is not None and same_numbers(tuple(tensor.shape), shape)
        tensors[ours] = tensor.reshape(shape) if same and shape is not None else tensor
    return Fitted(tensors, keys.name, tuple(dropped), sources, tuple(keys.departures(wanted.graph.spec)))


def same_numbers(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes hold the same numbers in the same order: neighbouring axes joined, or axes of length 1.

    >>> same_numbers((4096, 25088), (4096, 512, 7, 7)), same_numbers((96, 1, 1), (96,)), same_numbers((2, 3), (3, 2))
    (True, True, False)
    """
    fewer, more = sorted(([n for n in shape if n != 1] for shape in (one, other)), key=len)
    for length in fewer:
        joined = 1
        while more and joined < length:
            joined *= more.pop(0)
        if joined != length:
            return False
    return not more


def _only(found: list[Fitted], checkpoint: Checkpoint) -> Fitted | None:
    """The one that is found; several that say the same are one."""
    if any(one.sources != found[0].sources for one in found):
        names = one_of(one.keys for one in found)
        help = ("say which with --keys (in Python, keys=…)",)
        text = f"the names in {checkpoint.name} fit under several key maps: {names}"
        raise WeightsError(Diagnostic("weights-keys", text, label="one of them", help=help))
    return found[0] if found else None
