"""What attention looks like by chance: the same network on the same images, with weights that nothing trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import torch

from composer.errors import ComposerError
from composer.looking.forms import ElementMaps, Form, SpatialMaps, TokenMaps, WindowMaps
from composer.looking.gather import Gathered, gather
from composer.looking.prepared import Images

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule

SEED = 0
# The forms that are drawn as maps.
_KINDS = (SpatialMaps, ElementMaps, TokenMaps, WindowMaps)

F = TypeVar("F", SpatialMaps, ElementMaps, TokenMaps, WindowMaps, TokenMaps | WindowMaps, SpatialMaps | ElementMaps)


@dataclass(frozen=True)
class Chance:
    """The values of the network at SEED, by form, path and part of a site; none if there is nothing to compare."""

    forms: Mapping[tuple[type, str, str], Form] = field(default_factory=dict)

    def twin(self, one: F) -> F | None:
        """The untrained value in the place of a value."""
        # Its key holds its type.
        return self.forms.get(_key(one))  # type: ignore[return-value]


def chance_of(model: ComposedModule, gathered: Gathered, images: Images) -> Chance:
    """The attention of a network with the weights of SEED, on the same images.

    Empty for a network whose weights are those, which was changed by hand, or that shows no maps.
    """
    if not any(gathered.of(kind) for kind in _KINDS) or model.graph.edits:
        return Chance()
    from composer.compile.graph import compile_graph

    try:
        other = compile_graph(model.graph, SEED)
    except ComposerError:
        return Chance()
    if _same(model, other):
        return Chance()
    found = gather(other, images)
    return Chance({_key(one): one for kind in _KINDS for one in found.of(kind)})


def _key(one: Form) -> tuple[type, str, str]:
    return type(one), one.site.path, one.part if isinstance(one, SpatialMaps) else ""


def _same(model: ComposedModule, other: ComposedModule) -> bool:
    mine, theirs = model.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(one.cpu(), theirs[name]) for name, one in mine.items())
