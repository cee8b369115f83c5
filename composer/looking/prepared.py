"""Images as a network takes them, and as people see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from torch import Tensor

from composer.errors import Diagnostic, InputError
from composer.images import find_images, input_of, read_batches
from composer.looking.photograph import Photo, crop, undo
from composer.spec.model import InputSpec

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule

Images = Path | str | Sequence[Path | str] | Tensor

BATCH_SIZE = 8
# The number of images of which maps are drawn; numbers are of all images.
SHOWN = 4


@dataclass(frozen=True)
class Prepared:
    """Names of all images, photographs of those that are drawn, and batches b c h w."""

    names: tuple[str, ...]
    photos: tuple[Photo, ...]
    batches: Iterator[Tensor]


def prepare_images(model: ComposedModule, images: Images) -> Prepared:
    """Images, or an already prepared batch, for a network. Raises InputError if the network cannot take them."""
    wanted = model.graph.root.inputs
    if len(wanted) != 1:
        text = f"`{model.spec.name}` takes {len(wanted)} inputs ({', '.join(wanted)})"
        raise InputError(Diagnostic("input", text, label="a network that takes one image"))
    shape = next(iter(wanted.values())).shape[1:]
    spec = input_of(model)
    if len(shape) != 3:
        text = f"the input of `{model.spec.name}` is no image"
        raise InputError(Diagnostic("input", text, label="channels, height and width"))
    if isinstance(images, Tensor):
        return _batch(images.detach().float().cpu(), spec, shape)
    return _files(find_images(map(Path, [images] if isinstance(images, str | Path) else images)), spec, shape)


def _batch(batch: Tensor, spec: InputSpec, shape: tuple[int, ...]) -> Prepared:
    if batch.ndim != 4 or tuple(batch.shape[1:]) != shape or not len(batch):
        found, asked = ("×".join(map(str, one)) for one in (batch.shape, ("b", *shape)))
        raise InputError(Diagnostic("input", f"the images are {found}", label=asked))
    names = tuple(f"image {number}" for number in range(1, len(batch) + 1))
    photos = tuple(undo(name, image, spec) for name, image in zip(names, batch[:SHOWN], strict=False))
    return Prepared(names, photos, iter(batch.split(BATCH_SIZE)))


def _files(paths: list[Path], spec: InputSpec, shape: tuple[int, ...]) -> Prepared:
    if not paths:
        raise InputError(Diagnostic("image", "there is nothing to look at", label="at least one image"))
    photos: list[Photo] = []

    def show(path: Path, image: Image.Image) -> None:
        if len(photos) < SHOWN:
            photos.append(crop(path, image, spec, shape))

    batches = read_batches(paths, spec, shape, BATCH_SIZE, show)
    return Prepared(tuple(path.name for path in paths), tuple(photos), batches)
