"""Layers -> the text of a spec: one node per row, under the row's number, with the row beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from textwrap import fill, indent
from typing import Any

from composer.importing.ultralytics.blocks import block_texts, with_uses, written
from composer.importing.ultralytics.detect import detect_node, detect_outputs
from composer.importing.ultralytics.file import PARTS, ModelFile
from composer.importing.ultralytics.layers import DETECT, HEADS, Layer
from composer.importing.ultralytics.modules import CLASSIFY
from composer.spec.dump import flow
from composer.visible import visible

# Ultralytics trains detectors on images of this size, and classifiers on the smaller.
_SIDE, _SIDE_OF_CLASSIFIERS = 640, 224
# What stays of 120 columns beside the indentation of a node.
_WIDTH = 114
_SAID = (
    "Written by `composer import` from {source}{scale}. A node of `model` is the row of that number, `[from, repeats, "
    "module, args]`, so that ultralytics' weights fit by their names. Start: PyTorch's own, as there{biases}."
)
_OPENING = """\
{said}
name: {name}
description: {description}
input: {input}
"""
_BIASES = ", but for the last biases of the head, which ultralytics computes from the number of classes"


@dataclass(frozen=True)
class Layout:
    """What an import makes of the rows.

    nodes    number of a row -> the keys of its node; a head that is left out has none
    outputs  name of an output -> its path in `model`; without any, the last row is the output
    ends     numbers of the rows that a head looks at
    notes    one line per thing that the spec lacks
    """

    nodes: Mapping[int, Mapping[str, Any]]
    outputs: Mapping[str, str]
    ends: tuple[int, ...]
    notes: tuple[str, ...]


def lay_out(model: ModelFile, layers: Sequence[Layer]) -> Layout:
    """What an import makes of the rows."""
    last = layers[-1]
    number, head = last.row.number, last.row.module
    kept = {one.row.number: one.node for one in layers}
    if head not in HEADS:
        return Layout(kept, {}, (), ())
    if head == DETECT and len(last.sources) > 1:
        outputs = {name: f"{number}.{name}" for name in detect_outputs(model)}
        note = f"row {number}, Detect: the outputs {', '.join(outputs)} are those before boxes are decoded"
        notes = [note]
        if model.end2end:
            notes.append(f"row {number}, Detect: ultralytics trains one2one on detached maps; detach them in training")
        return Layout({**kept, number: detect_node(model, layers, last.sources)}, outputs, last.sources, tuple(notes))
    del kept[number]
    outputs = _levels([one for one in layers if one.row.number in last.sources])
    note = f"row {number}, {head}, is left out: the network ends with what it looks at, {', '.join(outputs)}"
    weights = "load a checkpoint with --require any, which leaves the head out"
    return Layout(kept, outputs, last.sources, (note, weights))


def _levels(layers: Sequence[Layer]) -> dict[str, str]:
    """The name of each level of a pyramid, p3 for stride 8, or row15 where strides tell nothing -> its node."""
    names = [_level(one.stride) for one in layers]
    sound = [name if names.count(name) == 1 else "" for name in names]
    return {name or f"row{one.row.number}": str(one.row.number) for name, one in zip(sound, layers, strict=True)}


def _level(stride: Fraction) -> str:
    whole = stride.numerator
    return f"p{whole.bit_length() - 1}" if stride.denominator == 1 and whole.bit_count() == 1 else ""


def spec_text(model: ModelFile, layers: Sequence[Layer], layout: Layout, source: str) -> str:
    """The text of the spec. `source` is the name of the model file."""
    used = {one for node in layout.nodes.values() for one in _blocks(node)}
    classifies, inputs = _classifies(layers), len(layout.ends)
    texts = [written(name, model.activation, classifies=classifies, inputs=inputs) for name in with_uses(used)]
    nodes = _nodes(layers, layout)
    lines = [_opening(model, layers, layout, source), "blocks:", indent("\n".join(texts), "  ").rstrip("\n")]
    lines += ["", "  # The rows.", "  model:", "    nodes:", *(f"      {line}" for line in nodes)]
    if layout.outputs:
        lines.append(f"    outputs: {flow(dict(layout.outputs))}")
    lines += ["nodes:", "  model: {block: model}"]
    if layout.outputs:
        lines.append(f"outputs: {flow({name: f'model.{name}' for name in layout.outputs})}")
    return "\n".join(lines) + "\n"


def _classifies(layers: Sequence[Layer]) -> bool:
    return layers[-1].row.module == CLASSIFY


def _blocks(node: Mapping[str, Any]) -> Iterator[str]:
    args = node.get("args", {})
    yield from (name for name in (node.get("block"), args.get("inner"), args.get("class_head")) if name)


def _opening(model: ModelFile, layers: Sequence[Layer], layout: Layout, source: str) -> str:
    most = f", at most {model.max_channels:g} channels before" if math.isfinite(model.max_channels) else ""
    classifies = _classifies(layers)
    side = _SIDE_OF_CLASSIFIERS if classifies else _SIDE
    count = model.channels
    image = {"shape": [count, side, side], "mean": [0] * count, "std": [1] * count}
    detects = any(name.startswith("boxes") for name in layout.outputs)
    scale = f", scale {model.scale} (depth × {model.depth:g}, width × {model.width:g}{most})" if model.scale else ""
    said = _SAID.format(source=visible(source), scale=scale, biases=_BIASES if detects else "")
    text = _OPENING.format(
        said=fill(said, 120, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False),
        name=flow(model.name),
        description=flow(f"{source}, imported"),
        input=flow(image),
    )
    if detects or classifies:
        text += (
            f"vars:\n  num_classes: {{default: {layers[-1].channels}, minimum: 1, description: number of classes}}\n"
        )
    return text.rstrip("\n")


def _nodes(layers: Sequence[Layer], layout: Layout) -> Iterator[str]:
    for part in PARTS:
        shown = [one for one in layers if one.row.part == part and one.row.number in layout.nodes]
        if shown:
            yield f"# {part}"
        for layer in shown:
            number = layer.row.number
            node = _with_inputs(layout.nodes[number], layer, _sites(layer, layout))
            yield from _written(str(number), node, f"# row {number}: {visible(layer.row.text)}")


def _written(name: str, node: Mapping[str, Any], comment: str) -> list[str]:
    """The lines of a node: one, or two with the comment before it, or one per key."""
    line = f"{flow(name)}: {flow(node)}"
    if len(line) + len(comment) + 2 <= _WIDTH:
        return [f"{line}  {comment}"]
    if len(line) <= _WIDTH:
        return [comment, line]
    return [comment, f"{flow(name)}:", *(f"  {key}: {flow(value)}" for key, value in node.items())]


def _with_inputs(node: Mapping[str, Any], layer: Layer, sites: list[str]) -> dict[str, Any]:
    """The keys of a node, without arguments that are the block's defaults."""
    found = dict(node)
    if layer.sources != (layer.row.number - 1,):
        sources = [str(one) if one >= 0 else "input" for one in layer.sources]
        found["from"] = sources if len(sources) > 1 else sources[0]
    args = found.pop("args", {})
    defaults = block_texts()[found["block"]].defaults if "block" in found else {}
    if kept := {name: value for name, value in args.items() if value is not None and value != defaults.get(name)}:
        found["args"] = kept
    if sites:
        found["site"] = sites[0] if len(sites) == 1 else sites
    return found


def _sites(layer: Layer, layout: Layout) -> list[str]:
    """The sites of a node; `pyramid` is what a head looks at, `lateral` are the neck's other stages."""
    row = layer.row
    found = ["stem"] if row.number == 0 else []
    if row.part == "backbone" and layer.is_stage:
        found.append("stage")
    if row.number in layout.ends:
        found.append("pyramid")
    elif row.part == "head" and layer.is_stage:
        found.append("lateral")
    return found
