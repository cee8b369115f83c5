"""How images were prepared for the weights' own network, and whether the spec prepares them the same way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from typing import TYPE_CHECKING

from composer.spec import zoo
from composer.spec.load import load_spec
from composer.spec.model import InputSpec
from composer.spec.preparation import FIELDS, plain, size, words
from composer.spec.spec import Spec

if TYPE_CHECKING:
    from composer.dag.composition import Composition


def prepared(graph: Composition, theirs: InputSpec) -> InputSpec | None:
    """The network's input, prepared as its weights' network was; None if the network does not take a single image.

    What the spec sets otherwise than its backbone of the zoo stays.
    """
    ours = image_of(graph)
    if ours is None:
        return None
    usual = _usual_input(graph.spec)
    own = {name for name in FIELDS if _is_own(name, ours, usual)}
    changes = {name: getattr(theirs, name) for name in _known(theirs) if name not in own}
    return ours.model_copy(update=changes)


def for_channels(image: InputSpec) -> InputSpec:
    """The image with a mean and std per channel; the values repeat if there are more channels than values."""
    repeated = {name: _for_channels(getattr(image, name), int(image.shape[0])) for name in ("mean", "std")}
    return image.model_copy(update=repeated)


def different_preparation(graph: Composition, theirs: InputSpec) -> str:
    """How the spec's input differs from that of the weights, and how to write theirs; empty if both are the same."""
    ours = image_of(graph)
    if ours is None:
        return ""
    wanted = theirs.model_copy(update={"shape": [ours.shape[0], *theirs.shape[1:]]})
    parts = [f"{size(wanted)} pixels, not {size(ours)}"] if wanted.shape != ours.shape else []
    changed = [name for name in _known(theirs) if plain(getattr(theirs, name)) != plain(getattr(ours, name))]
    parts += [f"{name} {words(getattr(theirs, name))}, not {words(getattr(ours, name))}" for name in changed]
    if not parts:
        return ""
    written = {"shape": wanted.shape, **{name: getattr(theirs, name) for name in changed}}
    values = ", ".join(f"{name}: {value}" for name, value in written.items())
    return f"made for images of {'; '.join(parts)}: set `input: {{{values}}}`"


def image_of(graph: Composition) -> InputSpec | None:
    """The input of a network that takes one image, from its spec, with its shape; None for other networks."""
    (image, *more), (tensor, *_) = graph.spec.inputs.values(), graph.root.inputs.values()
    shape = tensor.without_batch
    return None if more or len(shape) != 3 else image.model_copy(update={"shape": list(shape)})


def usual_spec(spec: Spec) -> Spec | None:
    """The backbone of the zoo that a spec starts from, without the spec's changes; None if it starts from none."""
    home = zoo.folder() / "backbones"
    path = next((file.path for file in spec.files if file.path and file.path.parent == home), None)
    return load_spec(path) if path else None


def _usual_input(spec: Spec) -> InputSpec | None:
    """The input without the spec's changes: that of the backbone of the zoo, or of the model of another library."""
    if spec.source is not None:
        return next(iter(spec.source.own_inputs.values()))
    backbone = usual_spec(spec)
    return next(iter(backbone.inputs.values())) if backbone else None


def _is_own(name: str, ours: InputSpec, usual: InputSpec | None) -> bool:
    if usual is None:
        return name in ours.model_fields_set
    return plain(getattr(ours, name)) != plain(getattr(usual, name))


def _known(image: InputSpec) -> Iterator[str]:
    return (name for name in FIELDS if name in image.model_fields_set)


def _for_channels(values: list[float] | None, channels: int) -> list[float] | None:
    """A value per channel, repeated if there are more channels. Grey images average the values later."""
    if values is None or channels == 1 or len(values) in (1, channels):
        return values
    return list(islice(cycle(values), channels))
