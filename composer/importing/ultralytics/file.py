"""A model file of ultralytics -> its rows and factors, each with its place in the text."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer.errors import Diagnostic, SpecError, did_you_mean, one_of
from composer.importing.ultralytics.activation import SILU, read_activation
from composer.importing.ultralytics.row import Report, Row, read_row
from composer.spec.document import Document
from composer.spec.kind import found
from composer.spec.origin import Origin
from composer.spec.references import read_file

PARTS = ("backbone", "head")
_KEYS = ("nc", "scales", "scale", *PARTS, "activation", "depth_multiple", "width_multiple", "ch", "channels")
# These say nothing about the layers that an import writes.
_OF_HEADS = ("reg_max", "end2end", "kpt_shape", "text_model", "task")
# How ultralytics reads the letter of a scale in the name of a file.
_NAME = re.compile(r"(.*?yolo(?:e-)?v?\d+)([nslmx]?)(.*)")
_MAX_ROWS = 1000


@dataclass(frozen=True)
class ModelFile:
    """A model file, for one scale.

    name          the file's, with the letter of the scale
    scale         the letter; empty without one
    depth, width  factors of repeats and of channels
    activation    our layer, with its options
    bins          numbers per side of a box; ultralytics calls them `reg_max`
    """

    name: str
    scale: str
    channels: int
    depth: float
    width: float
    max_channels: float
    activation: Mapping[str, Any]
    bins: int
    end2end: bool
    rows: tuple[Row, ...]
    origin: Origin


def read_model(path: Path, scale: str | None, report: Report) -> ModelFile:
    """The model in a file. Reports the mistakes of its text, and leaves out rows that have some.

    path   a file such as yolov8n.yaml; if there is none, yolov8.yaml beside it, as ultralytics does
    scale  the letter of a scale; by default that in the name of the file
    Raises SpecError if the file cannot be read or is no model file of ultralytics.
    """
    named = _NAME.fullmatch(path.stem)
    start, own, end = named.groups() if named else (f"{path.stem}_", "", "")
    family = path.with_name(f"{start}{end}{path.suffix}") if own else path
    document = read_file(family if os.path.isfile(family) and not os.path.exists(path) else path)
    origin = Origin(document)
    SpecError.check(_foreign(document, origin))
    content: dict[str, Any] = document.plain()
    _check_keys(content, origin, report)
    letter, factors = _scale(content, origin, scale, own, report)
    classes = _number(content, "nc", 80, origin, report)
    return ModelFile(
        name=f"{start}{letter}{end}".strip("_"),
        scale=letter,
        channels=_number(content, "channels" if "channels" in content else "ch", 3, origin, report),
        depth=factors[0],
        width=factors[1],
        max_channels=factors[2],
        activation=read_activation(content["activation"], origin / "activation", report)
        if content.get("activation")
        else SILU,
        bins=_number(content, "reg_max", 16, origin, report),
        end2end=content.get("end2end") is True,
        rows=tuple(_rows(content, origin, classes, report)),
        origin=origin,
    )


def _foreign(document: Document, origin: Origin) -> Iterator[Diagnostic]:
    content = document.plain()
    if isinstance(content, dict) and isinstance(content.get("backbone"), list):
        return
    ours = isinstance(content, dict) and content.keys() & {"nodes", "attention", "blocks", "backbone"}
    help = ("it looks like a spec of composer's, which needs no import: composer build takes it",) if ours else ()
    text = f"`{document.source.name}` is no model file of ultralytics"
    yield origin.problem("import-file", text, "a mapping with `backbone` and `head`, lists of rows", help, path="")


def _check_keys(content: Mapping[str, Any], origin: Origin, report: Report) -> None:
    known = (*_KEYS, *_OF_HEADS)
    for key in content:
        if key not in known:
            hint = did_you_mean(key, known, f"known are {one_of(known, 20)}")
            report((origin / key).problem("import-key", f"a model file has no key `{key}`", help=hint, key=True))


def _number(content: Mapping[str, Any], key: str, default: int, origin: Origin, report: Report) -> int:
    value = content.get(key, default)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    report((origin / key).problem("import-key", f"`{key}` is {found(value)}", "a whole number from 1 on"))
    return default


def _scale(
    content: Mapping[str, Any], origin: Origin, asked: str | None, named: str, report: Report
) -> tuple[str, tuple[float, float, float]]:
    """The letter of the scale, and the factors of depth and width and the most channels."""
    scales = content.get("scales")
    if not scales:
        if asked is not None:
            text = f"the file has no `scales`, so there is none called `{asked}`"
            report(origin.problem("import-scale", text, help=("leave --scale away",), path=""))
        depth, width = (_factor(content, key, origin, report) for key in ("depth_multiple", "width_multiple"))
        return named, (depth, width, math.inf)
    at = origin / "scales"
    if not isinstance(scales, dict):
        label = "a mapping of letters to `[depth, width, most channels]`"
        report(at.problem("import-scale", f"`scales` is {found(scales)}", label))
        return named, (1.0, 1.0, math.inf)
    letter = asked or named or (next(iter(scales)) if len(scales) == 1 else "")
    if letter not in scales:
        text = f"the file has no scale `{letter}`" if letter else "the name of the file says no scale"
        help = did_you_mean(letter, scales, f"choose with --scale, one of {one_of(scales)}")
        report(at.problem("import-scale", text, one_of(scales), help, key=True, path=""))
        letter = next(iter(scales))
    factors = scales[letter]
    if isinstance(factors, list) and len(factors) == 3 and all(map(_is_factor, factors)):
        return letter, (factors[0], factors[1], factors[2])
    label = "`[depth, width, most channels]`, numbers above 0"
    report((at / letter).problem("import-scale", f"the scale `{letter}` is {found(factors)}", label))
    return letter, (1.0, 1.0, math.inf)


def _factor(content: Mapping[str, Any], key: str, origin: Origin, report: Report) -> float:
    value = content.get(key, 1.0)
    if _is_factor(value):
        return float(value)
    report((origin / key).problem("import-key", f"`{key}` is {found(value)}", "a number above 0"))
    return 1.0


def _is_factor(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _rows(content: Mapping[str, Any], origin: Origin, classes: int, report: Report) -> Iterator[Row]:
    number = 0
    for part in PARTS:
        rows = content.get(part) or []
        if not isinstance(rows, list):
            report((origin / part).problem("import-row", f"`{part}` is {found(rows)}", "a list of rows"))
            continue
        for index, value in enumerate(rows):
            if number >= _MAX_ROWS:
                text = f"more than {_MAX_ROWS:,} rows"
                report((origin / part / index).problem("import-row", text, "fewer rows", path=""))
                return
            row = read_row(number, part, value, origin / part / index, classes, report)
            number += 1
            if row is not None:
                yield row
