"""What maps look like by chance: those of the same network on the same images, with weights that nothing trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.errors import ComposerError
from composer.looking.forms import ElementMaps, SpatialMaps
from composer.looking.gather import Gathered, gather
from composer.looking.prepared import Images

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule

SEED = 0
Maps = SpatialMaps | ElementMaps


@dataclass(frozen=True)
class Chance:
    """Maps of the network at SEED: path and part of a site -> images … h w; empty if there is nothing to compare."""

    maps: dict[tuple[str, str], Tensor] = field(default_factory=dict)

    def reaches(self, one: Maps, number: int) -> float | None:
        """How far the map of an untrained site reaches over an image, from its least to its largest value."""
        found = self.maps.get(_key(one))
        return None if found is None else reach(found[number])

    def explains(self, one: Maps, number: int) -> bool:
        """Whether a map reaches no further than that of the untrained network."""
        untrained = self.reaches(one, number)
        return untrained is not None and reach(one.values[number]) <= untrained

    def ends(self, one: Maps, number: int) -> tuple[float, float] | None:
        """The least and the largest value of the untrained map of a site over an image."""
        found = self.maps.get(_key(one))
        return None if found is None else (float(found[number].min()), float(found[number].max()))


def reach(values: Tensor) -> float:
    """From the least to the largest value of a map; of a map for each channel, of the mean of the channels."""
    shown = values if values.ndim == 2 else values.mean(0)
    return float(shown.max() - shown.min())


def chance_of(model: ComposedModule, gathered: Gathered, images: Images) -> Chance:
    """The maps of a network with the weights of SEED, on the same images.

    Empty for a network whose weights are those, which was changed by hand, or that shows no maps.
    """
    mine = [one for kind in (SpatialMaps, ElementMaps) for one in gathered.of(kind)]
    if not mine or model.graph.edits:
        return Chance()
    from composer.compile.graph import compile_graph

    try:
        other = compile_graph(model.graph, SEED)
    except ComposerError:
        return Chance()
    if _same(model, other):
        return Chance()
    found = gather(other, images)
    return Chance({_key(one): one.values for kind in (SpatialMaps, ElementMaps) for one in found.of(kind)})


def _key(one: Maps) -> tuple[str, str]:
    return one.site.path, one.part if isinstance(one, SpatialMaps) else ""


def _same(model: ComposedModule, other: ComposedModule) -> bool:
    mine, theirs = model.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(one.cpu(), theirs[name]) for name, one in mine.items())
