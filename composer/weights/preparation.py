"""How images become what a network saw when its weights were made, and whether its spec says the same."""

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
    """The network's input, with the preparation that its weights were made with.

    What the spec itself sets otherwise than its backbone of the zoo stays. None for a network that takes no one image.
    """
    ours = image_of(graph)
    if ours is None:
        return None
    backbone = usual_spec(graph.spec)
    usual = next(iter(backbone.inputs.values())) if backbone else None
    own = {name for name in FIELDS if _is_own(name, ours, usual)}
    changes = {name: getattr(theirs, name) for name in _known(theirs) if name not in own}
    return ours.model_copy(update=changes)


def for_channels(image: InputSpec) -> InputSpec:
    """The image with mean and std for each of its channels: the same again and again where there are more."""
    repeated = {name: _for_channels(getattr(image, name), int(image.shape[0])) for name in ("mean", "std")}
    return image.model_copy(update=repeated)


def different_preparation(graph: Composition, theirs: InputSpec) -> str:
    """In what the spec's own input is not what weights were made for, and how to write that; empty where it is."""
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
    """The input of a network that takes one image, as its spec has it; None for any other."""
    (image, *more), (tensor, *_) = graph.spec.inputs.values(), graph.root.inputs.values()
    shape = tensor.without_batch
    return None if more or len(shape) != 3 else image.model_copy(update={"shape": list(shape)})


def usual_spec(spec: Spec) -> Spec | None:
    """The nearest backbone of the zoo that a spec starts from, as it is by itself; None for a network of one's own."""
    home = zoo.folder() / "backbones"
    path = next((file.path for file in spec.files if file.path and file.path.parent == home), None)
    return load_spec(path) if path else None


def _is_own(name: str, ours: InputSpec, usual: InputSpec | None) -> bool:
    if usual is None:
        return name in ours.model_fields_set
    return plain(getattr(ours, name)) != plain(getattr(usual, name))


def _known(image: InputSpec) -> Iterator[str]:
    return (name for name in FIELDS if name in image.model_fields_set)


def _for_channels(values: list[float] | None, channels: int) -> list[float] | None:
    """One value for each channel: the same again and again for more. Grey takes their average when it is prepared."""
    if values is None or channels == 1 or len(values) in (1, channels):
        return values
    return list(islice(cycle(values), channels))
