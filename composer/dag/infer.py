"""Finds shapes: runs each operation once on the meta device, or calls its own rule. Allocates and guesses nothing."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from composer.dag.limits import MAX_TENSOR
from composer.dag.operation import Operation
from composer.dag.shortcuts import Shortcuts
from composer.dag.tensor import BATCH, TensorSpec
from composer.errors import PluginError, one_of
from composer.foreign import is_error, said
from composer.registry import (
    ANY_MAP,
    Entry,
    ModuleEntry,
    ParameterEntry,
    TokenGrid,
    declared_shape,
    layouts_of,
)

_WINDOWED: Any = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    *(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
)


class Misfit(Exception):
    """An operation does not fit its inputs; the message says what was given and what is needed."""


@dataclass(frozen=True)
class Inferred:
    """An operation with its number of parameters, and the TensorSpec of its output."""

    operation: Operation
    output: TensorSpec


@dataclass
class Inference:
    """Infers outputs. `macs` holds multiply-accumulates per example, None if not known."""

    macs: dict[Hashable, int | None] = field(default_factory=dict)

    def __call__(self, entry: Entry, arguments: Mapping[str, Any], inputs: Sequence[TensorSpec]) -> Inferred:
        """The Inferred of an entry with these arguments and inputs. Raises Misfit."""
        return _inferred(Operation(entry, arguments), tuple(inputs), tuple(tensor.grid for tensor in inputs))


# Networks repeat the same few operations many times, and whoever compares networks composes the same ones again.
@lru_cache(maxsize=10_000)
def _inferred(operation: Operation, inputs: tuple[TensorSpec, ...], grids: tuple[TokenGrid | None, ...]) -> Inferred:
    return infer(operation, inputs)


def infer(operation: Operation, inputs: Sequence[TensorSpec]) -> Inferred:
    """The Inferred of an operation, made and run on the meta device at batch 2. Raises Misfit."""
    entry = operation.entry
    _check_arity(entry, len(inputs))
    layout = output_layout(operation, inputs)
    built = None
    try:
        with torch.device("meta"), torch.no_grad(), Shortcuts():
            tensors = [torch.empty(tensor.shape) for tensor in inputs]
            built = operation.make()
            if isinstance(built, nn.Module) and any(map(is_lazy, built.parameters())):
                raise TypeError("it has parameters without a shape (`nn.Lazy…`): take `channels` and give their sizes")
            if entry.shape is not None:
                batch = inputs[0].shape[0] if inputs else BATCH
                shape = declared_shape(entry, inputs, operation.arguments, batch)
            else:
                shape = _shape_of(entry, entry.run(built, tensors))
    except (Misfit, PluginError):
        raise
    except BaseException as error:
        if not is_error(error):
            raise
        found = " and ".join(map(str, inputs)) or "no input"
        why = _too_wide(built, inputs) or _first_words(error, entry.name)
        raise Misfit(f"{entry.words} does not fit {found}: {why}") from error
    if layout is not None and len(layout.split()) != len(shape):
        raise Misfit(f"{entry.words} returns {len(shape)} axes, its layout `{layout}` has {len(layout.split())}")
    given = TensorSpec(shape, layout)
    if not isinstance(entry, ParameterEntry) and math.prod(shape) > BATCH * MAX_TENSOR:
        raise Misfit(f"`{entry.name}` gives {given}, more than {MAX_TENSOR:,} numbers for one input; make it smaller")
    given = replace(given, grid=output_grid(operation, inputs, given))
    return Inferred(replace(operation, num_parameters=entry.num_parameters(built)), given)


def _shape_of(entry: Entry, result: Any) -> tuple[int, ...]:
    if not isinstance(result, Tensor):
        raise Misfit(f"{entry.words} returns {type(result).__name__}, not one tensor")
    return tuple(result.shape)


def refuses_one(operation: Operation, inputs: Sequence[TensorSpec]) -> str | None:
    """Why an operation cannot train at batch 1, such as a batch norm of a 1×1 map; None if it can."""
    if not isinstance(operation.entry, ModuleEntry) or operation.entry.shape is not None:
        return None
    tensors = [torch.empty((tensor.windows, *tensor.shape[1:]), device="meta") for tensor in inputs]
    try:
        with torch.device("meta"), torch.no_grad(), Shortcuts():
            operation.make().train()(*tensors)
    except BaseException as error:
        if not is_error(error):
            raise
        return _first_words(error, operation.entry.name)
    return None


def output_layout(operation: Operation, inputs: Sequence[TensorSpec]) -> str | None:
    """The layout of an operation's output, by the entry's rule. Raises Misfit if the rule refuses the inputs."""
    entry, rule = operation.entry, operation.entry.layout_rule
    if callable(rule):
        given = _by_rule(operation, "layout", rule, inputs)
        if not isinstance(given, str | None):
            raise Misfit(f"the layout rule of {entry.words} gives {type(given).__name__}, not a layout")
        return given
    first = inputs[0] if inputs else TensorSpec(())
    if isinstance(entry, ModuleEntry) and entry.works_on is not None:
        wanted, given = entry.layouts, first.layout
    elif rule is None:
        return first.layout
    else:
        one, _, given = map(str.strip, rule.partition("->"))
        wanted = layouts_of(one)
        given = first.layout if given == ANY_MAP else given
    if first.layout not in wanted:
        found = f"`{first.layout}` ({first})" if first.layout else str(first)
        raise Misfit(f"`{entry.name}` works on {one_of(map(str, wanted))}, found {found}")
    return given or first.layout


def output_grid(operation: Operation, inputs: Sequence[TensorSpec], output: TensorSpec) -> TokenGrid | None:
    """The grid of an operation's output tokens, by the entry's rule; None if not known. Raises Misfit."""
    entry, count = operation.entry, output.axis("n")
    if count is None:
        return None
    if entry.grid_rule is None:
        # A layer that reshapes may put tokens elsewhere. What is merged stands in one place: any input may know it.
        known = () if entry.kind == "shape" else inputs if entry.kind == "merge" else inputs[:1]
        grids = {tensor.grid for tensor in known if tensor.grid is not None and tensor.grid.tokens == count}
        return grids.pop() if len(grids) == 1 else None
    given = _by_rule(operation, "grid", entry.grid_rule, inputs)
    if given is None:
        return None
    if not isinstance(given, tuple) or not 2 <= len(given) <= 3 or not all(isinstance(one, int) for one in given):
        raise Misfit(f"the grid rule of {entry.words} gives {given!r}, not (height, width, prefix)")
    grid = TokenGrid(*given)
    if grid.tokens != count:
        raise Misfit(f"the grid rule of {entry.words} gives {grid} = {grid.tokens} tokens, and there are {count}")
    return grid


def _by_rule(operation: Operation, word: str, rule: Callable[..., Any], inputs: Sequence[TensorSpec]) -> Any:
    """The result of an entry's own rule for these inputs and its options. Raises Misfit."""
    entry = operation.entry
    options = {name: value for name, value in operation.arguments.items() if name in entry.options.model_fields}
    try:
        return rule(inputs, **options)
    except ValueError as error:
        raise Misfit(said(error)) from error
    except BaseException as error:
        if not is_error(error):
            raise
        raise Misfit(f"the {word} rule of {entry.words} fails: {_first_words(error, entry.name)}") from error


def _check_arity(entry: Entry, found: int) -> None:
    fewest, most = entry.inputs
    if found < fewest or (most is not None and found > most):
        wanted = str(fewest) if most == fewest else f"at least {fewest}" if most is None else f"{fewest} to {most}"
        raise Misfit(f"`{entry.name}` takes {wanted} input{'s' * (wanted != '1')}, found {found}")


def _too_wide(built: Any, inputs: Sequence[TensorSpec]) -> str | None:
    """A message if the window of a convolution or pooling exceeds its map, because PyTorch's own changes; else None."""
    if not isinstance(built, _WINDOWED) or len(inputs) != 1 or len(inputs[0].shape) < 3:
        return None
    dims = len(inputs[0].shape) - 2
    settings: tuple[Any, ...] = (built.kernel_size, built.padding, getattr(built, "dilation", 1))
    kernel, padding, dilation = (one if isinstance(one, tuple) else (one,) * dims for one in settings)
    if not len(kernel) == len(padding) == len(dilation) == dims:
        return None
    window = [step * (size - 1) + 1 for step, size in zip(dilation, kernel, strict=True)]
    padded = [size + 2 * pad for size, pad in zip(inputs[0].shape[2:], padding, strict=True)]
    if all(one <= other for one, other in zip(window, padded, strict=True)):
        return None
    return f"its window is {_sides(window)}, and the map with its padding {_sides(padded)}"


def _sides(lengths: Sequence[int]) -> str:
    return "×".join(map(str, lengths))


def _first_words(error: BaseException, name: str) -> str:
    text = next(iter(said(error).splitlines()), "")
    if not text:
        return type(error).__name__
    text = text.removeprefix(f"{name}: ")
    if re.search(r"[Oo]verflow(ed|.*unpacking)", text):
        return "a tensor of it would be larger than any memory; use smaller numbers"
    return text if isinstance(error, ValueError | RuntimeError) else f"{type(error).__name__}: {text}"


def missing(default: Any) -> bool:
    """Whether a fact has no default."""
    return default is inspect.Parameter.empty
