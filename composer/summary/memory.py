"""What autograd keeps of a forward pass in training, counted per operation on fake tensors. Nothing runs."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from composer.compile.inplace import overwriting
from composer.dag.host import HostScope
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.dag.tensor import BATCH
from composer.hosts.recording.record import operations_at
from composer.hosts.recording.replay import Replay
from composer.kernels import on_fake_tensors
from composer.torch_private import FakeTensorMode, storage_of, without_logs

# Batch statistics do not grow with the batch: the cost per example is the difference of two batches.
BATCHES = (BATCH, 2 * BATCH)

# The owner of an output's storage: the operation, a parameter, or the index of an input.
FRESH, PARAMETER = -1, -2


class Unknown(Exception):
    """An operation that cannot run with gradients on fake tensors; the message says which and why."""


@dataclass(frozen=True)
class _Form:
    """A tensor without its numbers: shape and strides at each batch size, and whether backward passes through it."""

    shapes: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]
    requires_grad: bool


@dataclass(frozen=True)
class _Trace:
    """An operation, run at every batch size: its output, and what autograd keeps because of it.

    storage  the owner of the output's storage; `size` is its bytes per example
    kept     the inputs, and FRESH for the output, whose storages backward needs
    inside   bytes per example of everything else that is kept
    """

    output: _Form
    storage: int
    size: int
    kept: frozenset[int]
    inside: int


class Traces(dict[Any, _Trace]):
    """Traced operations: networks repeat the same few many times."""


@dataclass(frozen=True)
class _Value:
    """A tensor in the graph: its form, and the number of its storage; None for inputs and parameters."""

    form: _Form
    storage: int | None


@dataclass
class _Ledger:
    """The storages of the whole network: which operation made each, its bytes, and whether it is kept.

    kernels  `fused` if mechanisms run their kernels, or `reference`
    larger   path of an operation -> what it is at the larger batch, in models that hand the batch size to functions
    """

    traces: Traces
    kernels: str
    larger: Mapping[str, Operation]
    owners: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    kept: set[int] = field(default_factory=set)
    inside: dict[str, int] = field(default_factory=dict)


def activation_memory(root: Scope, traces: Traces | None = None, kernels: str = "fused") -> Mapping[str, int]:
    """Path of an operation -> bytes per example that its tensors add to a training step.

    root     the network
    traces   traced operations, to share between several networks
    kernels  whether its mechanisms run their kernels, `fused`, or their plain formulas, `reference`

    Counted is what autograd saves for the backward pass: each storage once, at the operation that made it, in float32,
    in training mode, as PyTorch's CPU kernels save it. So a view, an activation that overwrites its input, and an
    output that backward does not need cost nothing. Not counted: the network's inputs, parameters and buffers, what
    does not grow with the batch (statistics of a batch norm), gradients, and what an operation needs only while it
    runs. Raises Unknown.
    """
    ledger = _Ledger(Traces() if traces is None else traces, kernels, _larger(root))
    _visit(root, {name: _Value(_input_form(tensor.shape), None) for name, tensor in root.inputs.items()}, ledger)
    found: defaultdict[str, int] = defaultdict(int, ledger.inside)
    for storage in ledger.kept:
        found[ledger.owners[storage]] += ledger.sizes[storage]
    return found


def _larger(root: Scope) -> dict[str, Operation]:
    """What operations of models that were recorded are at the larger batch, by their paths."""
    found: dict[str, Operation] = {}
    for scope in (root, *(node.content for node in root.walk())):
        if isinstance(scope, HostScope) and scope.twin is not None:
            found.update(operations_at(scope, BATCHES[1]))
    return found


def _input_form(shape: tuple[int, ...]) -> _Form:
    tensors = [torch.empty((batch, *shape[1:]), device="meta") for batch in BATCHES]
    return _form(tensors, requires_grad=False)


def _form(tensors: Sequence[Tensor], requires_grad: bool) -> _Form:
    return _Form(tuple(tuple(t.shape) for t in tensors), tuple(t.stride() for t in tensors), requires_grad)


def _visit(scope: Scope, values: dict[str, _Value], ledger: _Ledger) -> dict[str, _Value]:
    """Record a scope's operations, given its input values, and return its output values."""
    overwrite = overwriting(scope)
    for node in scope.nodes.values():
        inputs = [values[reference] for reference in node.inputs]
        if node.content is None:
            values[node.name] = inputs[0]
        elif isinstance(node.content, Scope):
            inner = _visit(node.content, dict(zip(node.content.inputs, inputs, strict=True)), ledger)
            values[node.name] = next(iter(inner.values()))
            values.update({f"{node.name}.{key}": value for key, value in inner.items()})
        else:
            values[node.name] = _book(node, node.content, inputs, node.name in overwrite, ledger)
    return {key: values[reference] for key, reference in scope.outputs.items()}


def _book(node: Node, operation: Operation, inputs: list[_Value], inplace: bool, ledger: _Ledger) -> _Value:
    forms = tuple(value.form for value in inputs)
    larger = ledger.larger.get(node.path, operation)
    if larger.entry.name != operation.entry.name:
        # A rule replaced it.
        larger = operation
    key = (operation.key, larger.key, inplace, forms, ledger.kernels)
    if key not in ledger.traces:
        try:
            with on_fake_tensors() if ledger.kernels == "fused" else contextlib.nullcontext():
                ledger.traces[key] = _trace((operation, larger), inplace, forms)
        except Exception as error:
            raise Unknown(f"`{node.path}` cannot be traced: {type(error).__name__}: {error}") from error
    trace = ledger.traces[key]
    storage = inputs[trace.storage].storage if trace.storage >= 0 else None
    if trace.storage == FRESH:
        storage = len(ledger.sizes)
        ledger.sizes.append(trace.size)
        ledger.owners.append(node.path)
    needed = {storage if index == FRESH else inputs[index].storage for index in trace.kept}
    ledger.kept |= {one for one in needed if one is not None}
    ledger.inside[node.path] = trace.inside
    return _Value(trace.output, storage)


@dataclass(frozen=True)
class _Run:
    """An operation run at a single batch size; `size` and `inside` are in bytes for the whole batch."""

    output: Tensor
    storage: int
    size: int
    kept: frozenset[int]
    inside: int


def _trace(operations: Sequence[Operation], inplace: bool, forms: tuple[_Form, ...]) -> _Trace:
    with torch.device("meta"):
        # Built on meta: some initialisations read numbers, which fake tensors do not have.
        built = [one.make() for one in operations]
    if isinstance(built[0], nn.Parameter):
        return _Trace(_form(built, True), PARAMETER, 0, frozenset(), 0)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.enable_grad(), without_logs():
        small, large = (
            _run(operation, made, inplace, forms, size)
            for size, (operation, made) in enumerate(zip(operations, built, strict=True))
        )
    output = _form((small.output, large.output), small.output.requires_grad)
    growth = BATCHES[1] - BATCHES[0]
    size, inside = (large.size - small.size) // growth, (large.inside - small.inside) // growth
    return _Trace(output, small.storage, size, small.kept, inside if operations[0].entry.counted else 0)


def _run(operation: Operation, built: Any, inplace: bool, forms: tuple[_Form, ...], size: int) -> _Run:
    if isinstance(built, nn.Module):
        built.to_empty(device="cpu").train()
    inputs = [torch.empty_strided(form.shapes[size], form.strides[size]) for form in forms]
    for x, form in zip(inputs, forms, strict=True):
        x.requires_grad_(form.requires_grad)
    if inplace:
        built.inplace = True
    if inplace or (isinstance(built, Replay) and built.in_place):
        # A leaf cannot be overwritten, and no tensor inside a network is a leaf.
        inputs = [x.clone() for x in inputs]
    saved: dict[int, torch.UntypedStorage] = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda x: _note(x, saved), lambda x: x):
        output = operation.entry.run(built, inputs)
    own = [*built.parameters(), *built.buffers()] if isinstance(built, nn.Module) else []
    index = {storage_of(x): PARAMETER for x in own} | {storage_of(x): position for position, x in enumerate(inputs)}
    storage = index.setdefault(storage_of(output), FRESH)
    kept = frozenset(index[one] for one in saved if one in index) - {PARAMETER}
    inside = sum(one.nbytes() for key, one in saved.items() if key not in index)
    return _Run(output, storage, output.untyped_storage().nbytes(), kept, inside)


def _note(tensor: Tensor, saved: dict[int, torch.UntypedStorage]) -> Tensor:
    # A reference to the storage keeps its address from being reused.
    saved[storage_of(tensor)] = tensor.untyped_storage()
    return tensor
