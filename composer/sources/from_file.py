"""Graphs of files: ONNX, and programs that torch.export saved. They can be looked at; there is no module that runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from composer.errors import Diagnostic
from composer.sources.files.graph import FileGraph, FileProblem, Value
from composer.sources.files.module import module_of
from composer.sources.files.places import word_of_input
from composer.sources.library import Keywords, nothing_more
from composer.spec.model import InputSpec
from composer.spec.model_source import ModelSource

PACKAGE, EXTRA, CLASSES = "", "", "num_classes"
_LAYOUTS = {1: "b c", 2: "b n c", 3: "b c h w", 4: "b c t h w"}
more_problems = nothing_more


def check(source: ModelSource) -> Iterator[Diagnostic]:
    """The problem of a file that cannot be read as a graph; UnavailableError without the package that reads it."""
    try:
        graph = _read(source)
    except FileProblem as error:
        yield source.name_origin.problem(
            "graph-file", f"cannot read `{source.name}`: {error}", "the graph of a network"
        )
        return
    for name in graph.inputs:
        if not 1 <= len(graph.values[name].shape) - 1 <= 4:
            text = f"input `{name}` of `{source.name}` has the shape {list(graph.values[name].shape)}"
            yield source.name_origin.problem("graph-file", text, "a batch, and 1 to 4 axes behind it")


def num_classes(source: ModelSource) -> None:
    """None: what is written in a file cannot be set."""


def own_inputs(source: ModelSource) -> dict[str, InputSpec]:
    """The inputs of the graph, without the batch."""
    return {name: _input(one) for name, one in _values(source).items()}


def _input(value: Value) -> InputSpec:
    shape = value.shape[1:]
    return InputSpec(shape=list(shape), layout=_LAYOUTS[len(shape)])


def takes(source: ModelSource) -> Keywords:
    """Nothing."""
    return Keywords(())


def takes_vars(source: ModelSource) -> Keywords:
    """Nothing."""
    return Keywords(())


def sized(source: ModelSource) -> dict[str, Any]:
    """Nothing: the shapes are those of the file."""
    return {}


def misfit(source: ModelSource) -> str:
    """A file has the shapes with which it was written, but for the axes that it leaves open; empty if they fit."""
    try:
        taken = [value.shape[1:] for value in _values(source).values()]
    except FileProblem as error:
        return f"`{source.name}` cannot be read at this size: {error}"
    if taken == list(source.shapes.values()):
        return ""
    return f"`{source.name}` was written for one size: export the network again with another one"


def call(source: ModelSource, tensors: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The tensors in their order, in the types that the file says."""
    values = _values(source).values()
    return tuple(tensor.to(one.dtype) for tensor, one in zip(tensors, values, strict=True)), {}


def make(source: ModelSource, given: Mapping[str, Any]) -> nn.Module:
    """A module without numbers that repeats the calls of the graph. Raises FileProblem."""
    return module_of(_read(source))


def _values(source: ModelSource) -> dict[str, Value]:
    graph = _read(source)
    return {word_of_input(name): graph.values[name] for name in graph.inputs}


def _read(source: ModelSource) -> FileGraph:
    path = Path(source.name)
    try:
        state = path.stat()
    except OSError as error:
        raise FileProblem(error.strerror or "it is not there") from error
    return _read_at(path, state.st_mtime_ns, state.st_size, tuple(source.shapes.values()))


@lru_cache(maxsize=4)
def _read_at(path: Path, changed: int, size: int, shapes: tuple[tuple[int, ...], ...]) -> FileGraph:
    if path.suffix.lower() == ".onnx":
        from composer.sources.files.onnx import read_onnx

        return read_onnx(path, shapes)
    from composer.sources.files.pt2 import read_pt2

    return read_pt2(path)
