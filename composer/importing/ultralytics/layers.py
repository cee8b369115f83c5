"""Rows -> layers: the node of each row, its inputs, its channels and its stride, as ultralytics computes them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from composer.errors import did_you_mean, one_of
from composer.importing.ultralytics.binding import bind
from composer.importing.ultralytics.file import ModelFile
from composer.importing.ultralytics.modules import CLASSIFY, MODULES, Module
from composer.importing.ultralytics.row import Report, Row

CONCAT, DETECT = "Concat", "Detect"
# The network then ends with the rows that such a head looks at.
OTHER_HEADS = (
    *("Segment", "Segment26", "Pose", "Pose26", "OBB", "OBB26", "v10Detect", "WorldDetect", "YOLOEDetect"),
    *("YOLOESegment", "YOLOESegment26", "RTDETRDecoder", "Depth", "SemanticSegment"),
)
HEADS = (DETECT, *OTHER_HEADS)
NAMES = (*MODULES, CONCAT, DETECT)
_DETECTS = MODULES[CLASSIFY].arguments[:1]
# Scales for which ultralytics changes the arguments of rows.
_WITH_C3K, _WITH_RESIDUAL = ("m", "l", "x"), ("l", "x")


@dataclass(frozen=True)
class Layer:
    """A row as a part of the network.

    sources   numbers of the rows that it reads; -1 is the network's input
    node      the node's keys, without its inputs; empty for a head
    channels  of its map; of a head, the number of classes
    stride    pixels of the input per position of its map
    """

    row: Row
    sources: tuple[int, ...]
    node: dict[str, Any]
    channels: int
    stride: Fraction

    @property
    def is_stage(self) -> bool:
        """Whether it is a stage of blocks, not a single layer."""
        module = MODULES.get(self.row.module)
        return module is not None and module.stage


def read_layers(model: ModelFile, report: Report) -> tuple[Layer, ...]:
    """The layer of each row. Reports the mistakes of rows, and goes on as if such a row kept its input's channels."""
    layers: dict[int, Layer] = {}
    unknown: set[str] = set()
    last = model.rows[-1].number if model.rows else -1
    for row in model.rows:
        sources = tuple(_sources(row, last, report))
        known = [layers[one] for one in sources if one in layers]
        channels = [one.channels for one in known] or [model.channels]
        stride = known[0].stride if known else Fraction(1)
        kept = Layer(row, sources, {}, channels[0], stride)
        layers[row.number] = _layer(kept, channels, model, last, unknown, report)
    return tuple(layers.values())


def _sources(row: Row, last: int, report: Report) -> Iterator[int]:
    """The numbers of the rows that a row reads."""
    for index, written in enumerate(row.sources):
        number = row.number + written if written < 0 else written
        if 0 <= number < row.number or number == row.number - 1:
            yield number
            continue
        if number == row.number:
            text = f"row {row.number} reads itself"
        elif number < 0:
            text = f"row {row.number} reads the row {-written} before it, which does not exist"
        else:
            text = f"row {row.number} reads row {written}, " + (
                "which comes later" if written <= last else "and there is none"
            )
        label = f"-1, or a row from 0 to {row.number - 1}" if row.number else "-1, the image"
        report(row.problem_at((0, index) if row.several else 0, "import-row", text, label))
        yield row.number - 1


def _layer(kept: Layer, channels: list[int], model: ModelFile, last: int, unknown: set[str], report: Report) -> Layer:
    row = kept.row
    if row.module in HEADS:
        if row.number != last:
            text = f"the head `{row.module}` is row {row.number}, and rows follow it"
            report(row.problem_at(2, "import-row", text, "the last row"))
        values = bind(row, _DETECTS, row.arguments, report) if row.module == DETECT else None
        return replace(kept, channels=values["classes"]) if values else kept
    if row.module == CONCAT:
        return _concat(kept, sum(channels), report)
    module = MODULES.get(row.module)
    if module is None:
        # The long list is said once.
        known = "" if unknown else f"an import knows {one_of((*NAMES, *OTHER_HEADS), 40)}"
        unknown.add(row.module)
        text = f"row {row.number} has the module `{row.module}`, which an import does not know"
        report(row.problem_at(2, "import-module", text, help=did_you_mean(row.module, NAMES, known)))
        return kept
    if row.several:
        text = f"`{row.module}` of row {row.number} takes one map, and reads a list of rows"
        report(row.problem_at(0, "import-row", text, "the number of a row"))
    return _known(kept, module, model, report)


def _concat(kept: Layer, channels: int, report: Report) -> Layer:
    row = kept.row
    if len(row.sources) < 2:
        report(row.problem_at(0, "import-row", f"`Concat` of row {row.number} reads one row", "a list, `[-1, 6]`"))
    if row.arguments not in ((), (1,)):
        text = f"`Concat` of row {row.number} is along another axis than the channels"
        report(row.problem_at(3, "import-args", text, "[1]"))
    _repeats_never(row, report)
    return replace(kept, node={"op": "concat"}, channels=channels)


def _repeats_never(row: Row, report: Report) -> None:
    if row.repeats != 1:
        text = f"`{row.module}` of row {row.number} is repeated {row.repeats} times"
        report(row.problem_at(1, "import-row", text, "1"))


def _known(kept: Layer, module: Module, model: ModelFile, report: Report) -> Layer:
    row = kept.row
    values = bind(row, module.arguments, _arguments(row, model.scale), report)
    if values is None:
        return kept
    if "out" in values:
        values["out"] = math.ceil(min(values["out"], model.max_channels) * model.width / 8) * 8
    repeats = max(round(row.repeats * model.depth), 1)
    if module.repeats == "inside":
        values["depth"] = repeats
    elif module.repeats == "never":
        _repeats_never(row, report)
    out = values.get("out", values.get("classes", kept.channels))
    node = module.node(values, kept.channels)
    if module.repeats == "around" and repeats > 1:
        node["repeat"] = repeats
        if out != kept.channels:
            text = f"row {row.number} repeats `{row.module}` {repeats} times, from {kept.channels} to {out} channels"
            report(row.problem_at(1, "import-row", text, "as many channels out as in; or 1"))
    if (problem := module.check(values, kept.channels)) is not None:
        report(row.problem_at(3, "import-args", f"row {row.number}: {problem}"))
    times = node.get("repeat", 1)
    return replace(kept, node=node, channels=out, stride=kept.stride * module.stride(values) ** times)


def _arguments(row: Row, scale: str) -> tuple[Any, ...]:
    """The arguments of a row as ultralytics changes them for larger scales."""
    if row.module == "C3k2" and scale in _WITH_C3K:
        return (*row.arguments[:1], True, *row.arguments[2:])
    if row.module == "A2C2f" and scale in _WITH_RESIDUAL:
        return (*row.arguments, True, 1.2)
    return row.arguments
