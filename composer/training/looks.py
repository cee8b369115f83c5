"""A look at what attention does before and after training: a page of pairs of figures in the run's folder."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from composer.compile.module import ComposedModule
from composer.errors import ComposerError
from composer.files import staged
from composer.foreign import is_error, named
from composer.images import find_images
from composer.looking.canvas import png, styled
from composer.looking.page import page
from composer.looking.plates import Section, Table
from composer.looking.prepared import SHOWN
from composer.looking.report import Look, attention_on
from composer.looking.sites import sites_of
from composer.training.checkpoint import FIRST, read_weights
from composer.training.data import evaluation_transform
from composer.training.data.drawing import drawing
from composer.training.page import LOOK
from composer.training.run import Run
from composer.weights.run_folder import CHECKPOINTS

if TYPE_CHECKING:
    from composer.training.data import Data

# More figures take longer than seconds: fewer images are looked at then, if there are several.
FIGURES = 7
_ROWS = "Above, with the first weights; below, with those of the best epoch. Their maps have one range of colours."
_GAP = 24


def look_back(run: Run, model: ComposedModule, data: Data, say: Callable[[str], None]) -> Path | None:
    """Write look.html: what attention does on a few images with the first weights, and with the best.

    run    it is trained to its end
    model  its network with the best weights, which stays as it is
    data   of which validation images are taken, unless the recipe names images
    say    is told, once, why there is none though the network has attention
    Returns its path; None for a network without attention, and where the recipe wants none.

    It draws from no generator. What goes wrong here costs no run: it is said.
    """
    wanted = run.training.recipe.look
    if wanted is False or wanted == []:
        return None
    try:
        with drawing(0):
            return _written(run, model, data, wanted)
    except ComposerError as error:
        first = error.diagnostics[0]
        say(f"no look at attention: {first.message}" + (f"; {first.help[0]}" if first.help else ""))
    except Exception as error:
        # Attention may be a plugin's.
        if not is_error(error):
            raise
        say(f"no look at attention: {named(error)}")
    return None


def images_of(data: Data) -> list[int]:
    """The numbers of the validation images that are looked at: the first of each of the first four classes.

    Where an image has no one class, they are the first four.
    """
    if data.task != "classes":
        return [*range(min(SHOWN, len(data.validation)))]
    found: dict[int, int] = {}
    for index in range(len(data.validation)):
        target = data.validation.target(index)
        assert isinstance(target, int), "a class is a number"
        found.setdefault(target, index)
        if len(found) == len(data.classes):
            break
    return [found[target] for target in sorted(found)[:SHOWN]]


def _written(run: Run, model: ComposedModule, data: Data, wanted: bool | Sequence[str]) -> Path | None:
    if not sites_of(model):
        return None
    chosen = images_of(data) if isinstance(wanted, bool) else []
    images: Any = _batch(model, data, chosen) if isinstance(wanted, bool) else find_images(map(Path, wanted))
    after = attention_on(model, images)
    while after is not None and len(images) > 1 and _figures(after) > FIGURES:
        images = images[: len(images) // 2]
        after = attention_on(model, images)
    if after is None:
        return None
    first = copy.deepcopy(model)
    first.load_state_dict(read_weights(run.folder / CHECKPOINTS / FIRST))
    before = attention_on(first, images)
    assert before is not None, "the same network has the same attention"
    epoch = (run.checkpoint or {})["progress"]["best"]["epoch"]
    lead = [
        f"`{after.network}` with its first weights and with those of the best epoch, {epoch}, on the same images. "
        "Texts, findings and numbers are those of the best epoch.",
    ]
    sections, figures = _paired(before, after)
    if chosen:
        sections.insert(0, _shown(data, chosen[: len(images)]))
    text = page(f"Attention of {after.network}, before and after", lead, sections, figures)
    with staged([run.folder / LOOK], force=True) as (path,):
        path.write_text(text, encoding="utf-8")
    return run.folder / LOOK


def _figures(look: Look) -> int:
    return len(look.plates)


def _batch(model: ComposedModule, data: Data, chosen: Sequence[int]) -> Tensor:
    """Validation images as they are validated, b c h w."""
    image = next(iter(model.spec.inputs.values()))
    shape = next(iter(model.graph.root.inputs.values())).shape[1:]
    transform = evaluation_transform(image, shape)
    split = data.validation
    return torch.stack([transform(split.image(index), split.target(index))[0] for index in chosen])


def _shown(data: Data, chosen: Sequence[int]) -> Section:
    """Which images are looked at."""
    rows = []
    for number, index in enumerate(chosen, 1):
        target = data.validation.target(index)
        name = data.classes[target] if isinstance(target, int) and data.classes else ""
        rows.append((f"image {number}", data.validation.name(index), name))
    text = "The first images of the validation split" + (", of a class each." if data.task == "classes" else ".")
    return Section("The images", text, table=Table(("number", "image", "class"), tuple(rows)))


def _paired(before: Look, after: Look) -> tuple[list[Section], dict[str, bytes]]:
    """The sections of the best epoch, each figure under that of the first weights; and these figures."""
    earlier, figures = before.plates, {}
    sections = []
    with styled():
        for section in after.sections:
            plates = []
            for plate in section.plates:
                other = earlier.get(plate.name)
                found = png(plate.draw(other))
                figures[plate.name] = found if other is None else _joined(png(other.draw(plate)), found)
                plates.append(plate if other is None else replace(plate, caption=f"{_ROWS} {plate.caption}"))
            sections.append(replace(section, plates=plates))
    return sections, figures


def _joined(before: bytes, after: bytes) -> bytes:
    """Two figures as one, above one another, so that what belongs together is in a column."""
    pair = [Image.open(io.BytesIO(one)).convert("RGB") for one in (before, after)]
    made = Image.new("RGB", (max(one.width for one in pair), sum(one.height for one in pair) + _GAP), "white")
    made.paste(pair[0], (0, 0))
    made.paste(pair[1], (0, pair[0].height + _GAP))
    stream = io.BytesIO()
    made.save(stream, "PNG")
    return stream.getvalue()
