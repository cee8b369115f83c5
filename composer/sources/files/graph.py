"""What a file says of its network, the same for every format: tensors with shapes, and the steps that use them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

MAX_STEPS = 50_000
MAX_DEPTH = 64


class FileProblem(Exception):
    """A file that cannot be read as a graph; the message says what was found, and what to do."""


@dataclass(frozen=True)
class Ref:
    """A tensor among the arguments of a step, by its name in the file."""

    name: str


@dataclass(frozen=True)
class Value:
    """A tensor of the file: its shape as written there, and its type."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Owned:
    """A tensor that the network holds: its name there, and whether it is learned."""

    path: str
    is_parameter: bool


@dataclass(frozen=True)
class Step:
    """A call.

    name      of the call in the file
    op        name of the function in torch's words, such as `conv2d`; of others, what the file calls it
    overload  which of torch's functions of this name it is; empty for what is not torch's
    outputs   names of the tensors that it gives; None for a result that nothing takes
    stack     the modules around it, the outermost first: path and class, and which call of it this is
    costs     False for a function that is known to multiply nothing
    """

    name: str
    op: str
    overload: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[str | None, ...]
    stack: tuple[tuple[str, str, str], ...] = ()
    costs: bool = True

    @property
    def taken(self) -> list[str]:
        """Names of the tensors that it takes, in order."""
        return [one.name for one in refs_in((self.args, dict(self.kwargs)))]


@dataclass(frozen=True)
class FileGraph:
    """The graph of a file.

    root     class of the whole network; empty if the file does not say it
    package  what the functions belong to: `torch` or `onnx`
    """

    root: str
    package: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: Mapping[str, Value]
    owned: Mapping[str, Owned]
    steps: tuple[Step, ...] = field(repr=False)


def words(text: str) -> frozenset[str]:
    """The words of a text, as names of functions."""
    return frozenset(text.split())


def refs_in(value: Any) -> Iterator[Ref]:
    """The tensors in nested arguments."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from refs_in(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from refs_in(one)


def checked(graph: FileGraph) -> FileGraph:
    """The graph without steps that lead to no output. Raises FileProblem where it is none, such as of a cycle."""
    if not graph.inputs or not graph.outputs:
        raise FileProblem(f"its graph has no {'output' if graph.inputs else 'input'}")
    if len(graph.steps) > MAX_STEPS:
        raise FileProblem(f"its graph has {len(graph.steps):,} steps, more than {MAX_STEPS:,}")
    known = {*graph.inputs, *graph.owned}
    for step in graph.steps:
        missing = next((name for name in step.taken if name not in known), None)
        if missing is not None:
            raise FileProblem(f"`{step.name}` takes `{missing}`, which nothing before it gives: the graph is broken")
        if len(step.stack) > MAX_DEPTH:
            raise FileProblem(f"`{step.name}` is {len(step.stack)} modules deep, more than {MAX_DEPTH}")
        known.update(name for name in step.outputs if name is not None)
    if missing := next((name for name in graph.outputs if name not in known), None):
        raise FileProblem(f"its output `{missing}` is given by no step: the graph is broken")
    return FileGraph(**{**vars(graph), "steps": tuple(reversed(list(_needed(graph))))})


def _needed(graph: FileGraph) -> Iterator[Step]:
    wanted = {*graph.outputs}
    for step in reversed(graph.steps):
        if not wanted.isdisjoint(step.outputs):
            wanted.update(step.taken)
            yield step
