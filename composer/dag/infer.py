"""Shapes by running each operation once on the meta device: nothing is allocated, nothing is guessed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from composer.dag.scope import TensorSpec
from composer.dag.shortcuts import Shortcuts
from composer.registry import Entry

Key = tuple[Any, ...]


class Misfit(Exception):
    """An operation does not fit its inputs; the message says what was found and what is needed."""


@dataclass(frozen=True)
class Inferred:
    """What an operation gives for these inputs, and its learnable numbers."""

    output: TensorSpec
    num_parameters: int


@dataclass
class Inference:
    """Infers and remembers: networks repeat the same few operations many times. `macs` are those of one input."""

    known: dict[Key, Inferred] = field(default_factory=dict)
    macs: dict[Key, int] = field(default_factory=dict)

    def __call__(self, entry: Entry, arguments: Mapping[str, Any], inputs: Sequence[TensorSpec]) -> Inferred:
        """The output of the entry called with these arguments. Raises Misfit."""
        key = (entry.name, repr(sorted(arguments.items())), tuple(inputs))
        if key not in self.known:
            self.known[key] = infer(entry, arguments, inputs)
        return self.known[key]


def infer(entry: Entry, arguments: Mapping[str, Any], inputs: Sequence[TensorSpec]) -> Inferred:
    """Build and run one operation on the meta device at batch 2. Raises Misfit."""
    _check_arity(entry, len(inputs))
    layout = output_layout(entry, arguments, inputs)
    tensors = [torch.empty(tensor.shape, device="meta") for tensor in inputs]
    try:
        with torch.device("meta"), torch.no_grad(), Shortcuts():
            built = build(entry, arguments)
            result = built if entry.form == "parameter" else built(*tensors)
    except Exception as error:
        found = " and ".join(map(str, inputs)) or "no input"
        raise Misfit(f"`{entry.name}` does not fit {found}: {_first_words(error, entry.name)}") from error
    if not isinstance(result, Tensor):
        raise Misfit(f"`{entry.name}` returns {type(result).__name__}, not one tensor")
    if layout is not None and len(layout.split()) != result.ndim:
        raise Misfit(f"`{entry.name}` returns {result.ndim} axes, its layout `{layout}` has {len(layout.split())}")
    count = 0
    if entry.form == "parameter":
        count = result.numel()
    elif isinstance(built, nn.Module):
        count = sum(parameter.numel() for parameter in built.parameters())
    return Inferred(TensorSpec(tuple(result.shape), layout), count)


def refuses_one(entry: Entry, arguments: Mapping[str, Any], inputs: Sequence[TensorSpec]) -> str | None:
    """Why an operation cannot train on a batch of one, as batch norm over a single value cannot; None if it can."""
    if entry.form != "module":
        return None
    tensors = [torch.empty((1, *tensor.shape[1:]), device="meta") for tensor in inputs]
    try:
        with torch.device("meta"), torch.no_grad():
            build(entry, arguments).train()(*tensors)
    except Exception as error:
        return _first_words(error, entry.name)
    return None


def build(entry: Entry, arguments: Mapping[str, Any]) -> Any:
    """The entry made ready to be called: a module, a function with its options bound, or the parameter itself."""
    if entry.form == "function":
        return lambda *tensors: entry.factory(*tensors, **arguments)
    return entry.factory(**arguments)


def output_layout(entry: Entry, arguments: Mapping[str, Any], inputs: Sequence[TensorSpec]) -> str | None:
    """The layout an operation gives, by its own rule. Raises Misfit when the rule refuses the inputs."""
    rule = entry.layout
    if callable(rule):
        options = {name: value for name, value in arguments.items() if name in entry.options.model_fields}
        try:
            return rule(inputs, **options)
        except ValueError as error:
            raise Misfit(str(error)) from error
    first = inputs[0] if inputs else TensorSpec(())
    if rule is None:
        return first.layout
    wanted, _, given = rule.partition("->")
    if first.layout != wanted.strip():
        found = f"`{first.layout}` ({first})" if first.layout else str(first)
        raise Misfit(f"`{entry.name}` works on `{wanted.strip()}`, found {found}")
    return given.strip() or wanted.strip()


def _check_arity(entry: Entry, found: int) -> None:
    fewest, most = entry.inputs
    if found < fewest or (most is not None and found > most):
        wanted = str(fewest) if most == fewest else f"at least {fewest}" if most is None else f"{fewest} to {most}"
        raise Misfit(f"`{entry.name}` takes {wanted} input{'s' * (wanted != '1')}, found {found}")


def _first_words(error: Exception, name: str) -> str:
    text = next(iter(str(error).splitlines()), "") or type(error).__name__
    text = text.removeprefix(f"{name}: ")
    if re.search(r"[Oo]verflow(ed|.*unpacking)", text):
        return "a tensor of it would be larger than any memory; use smaller numbers"
    return text if isinstance(error, ValueError | RuntimeError) else f"{type(error).__name__}: {text}"


def missing(default: Any) -> bool:
    """Whether a fact has no default."""
    return default is inspect.Parameter.empty
