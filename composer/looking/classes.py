"""Grad-CAM, the map of a class, beside the maps of attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.errors import Diagnostic, InputError, did_you_mean
from composer.looking.class_activation import grad_cam
from composer.looking.forms import ElementMaps, Form, SpatialMaps, TokenMaps
from composer.looking.gather import Gathered
from composer.looking.overlays import Shown, over_photo
from composer.looking.plates import Plate, Section, Table
from composer.looking.sites import class_node
from composer.looking.tokens import class_map

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The number of maps that fit into two rows with the photograph and Grad-CAM.
MAPS = 10


@dataclass(frozen=True)
class Class:
    """A class, and its name if it has one."""

    index: int
    name: str | None

    def __str__(self) -> str:
        return f"class {self.index}" + (f", {self.name}" if self.name else "")


def choose_classes(asked: str | None, gathered: Gathered, names: Sequence[str] | None) -> list[Class] | None:
    """Per image, the class requested by number or name, or the likeliest class.

    None if the network gives no logits and no class was requested. Raises InputError.
    """
    logits = gathered.logits
    if logits is None:
        if asked is not None:
            text = f"`{gathered.model.spec.name}` ends in no vector of logits, so it has no classes"
            raise InputError(Diagnostic("class", text, help=("leave out --class",)))
        return None
    count = logits.shape[1]
    known = names if names is not None and len(names) == count else None
    fixed = None if asked is None else _index(asked, count, known)
    indices = logits.argmax(1).tolist() if fixed is None else [fixed] * len(logits)
    return [Class(index, known[index] if known else None) for index in indices]


def _index(asked: str, count: int, names: Sequence[str] | None) -> int:
    if asked.isdecimal() and int(asked) < count:
        return int(asked)
    if names is not None and asked in names:
        return names.index(asked)
    text = f"there is no class `{asked}`"
    label = f"a number from 0 to {count - 1}" + (", or a name" if names else "")
    help = did_you_mean(asked, names) if names else ("the network has no class names",) * (not asked.isdecimal())
    raise InputError(Diagnostic("class", text, label=label, help=tuple(help)))


def class_section(gathered: Gathered, classes: Sequence[Class] | None) -> Section | None:
    """Grad-CAM at the last feature map, beside the last maps of attention; None without logits or a map."""
    path = class_node(gathered.model.graph)
    if classes is None or path is None or gathered.logits is None:
        return None
    shown = list(zip(gathered.photos, gathered.inputs, classes, strict=False))
    device = next(gathered.model.parameters(), torch.empty(0)).device
    maps = [grad_cam(gathered.model, image[None].to(device), path, one.index) for _, image, one in shown]
    return Section(
        "Grad-CAM",
        f"Where {path} speaks for a class (Selvaraju et al. 2017): a map of that class, not of attention, to compare "
        "attention with.",
        [
            Plate(
                f"grad-cam-{number + 1}",
                f"{photo.name}: {one}",
                f"Grad-CAM at {path}, then the maps of attention nearest to it. Each map has its own range of colours.",
                f"Grad-CAM of {one} over the photograph {photo.name}, beside maps of attention.",
                partial(_beside, gathered, number, maps[number]),
                is_map=True,
            )
            for number, (photo, _, one) in enumerate(shown)
        ],
        _table(gathered, gathered.logits, classes),
    )


def _table(gathered: Gathered, logits: Tensor, classes: Sequence[Class]) -> Table:
    rows = []
    for name, row, one in zip(gathered.names, logits.softmax(1), classes, strict=True):
        rows.append((name, str(one), f"{100 * float(row[one.index]):.2f} %", str(int(row.argmax()))))
    return Table(("image", "class", "probability", "likeliest"), tuple(rows), ("probability", "likeliest"))


def _beside(gathered: Gathered, number: int, map_of_class: Tensor) -> Figure:
    found = {}
    for one in gathered.seen:
        # Of a site's several maps, take the last: CBAM's spatial half, not the product of both.
        if (values := attention_map(one.form, number)) is not None:
            found[one.form.site.path] = values
    maps = [("Grad-CAM", map_of_class), *list(found.items())[-MAPS:]]
    return over_photo(gathered.photos[number], [Shown(title, values) for title, values in maps])


def attention_map(form: Form, image: int) -> Tensor | None:
    """The map h w that says most about an attention; None if it has no positions."""
    if isinstance(form, SpatialMaps):
        return form.values[image]
    if isinstance(form, ElementMaps):
        return form.values[image].mean(0)
    if isinstance(form, TokenMaps) and form.keys is not None and form.keys == form.site.grid:
        # Without a class token, take the mean of what all positions look at.
        patches = form.values[image, :, form.prefix :, form.prefix :]
        return class_map(form, image) if form.prefix else patches.mean((0, 1)).unflatten(0, form.keys)
    return None
