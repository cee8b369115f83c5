"""Measures the time of every operation of a network."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Mapping

import torch
from torch import Tensor

from composer.compile.module import ComposedModule
from composer.compile.steps import callable_of, evaluating
from composer.dag.follow import follow
from composer.dag.scope import Node


def measure(
    model: ComposedModule, *, batch: int = 1, runs: int = 5, device: str | torch.device | None = None
) -> Mapping[str, float]:
    """Path -> seconds that an operation takes in a forward pass in eval mode: the median of all runs.

    model   the network; stays as it is
    batch   number of inputs, standard normal, of the spec's size
    runs    number of measured runs; another run comes first and is not measured
    device  where to run; by default where the model is. On another device, a copy of the model runs

    Operations run one after the other, also functions and parameters. On CUDA each is waited for, so times that overlap
    in a normal run count in full: compare operations with each other, but not their sum with a network's speed. Raises
    ValueError for less than one input or run, and for a model on the meta device.
    """
    if batch < 1 or runs < 1:
        raise ValueError(f"batch={batch}, runs={runs}: both are at least 1")
    like = next(model.parameters(), torch.empty(0))
    target = like.device if device is None else torch.device(device)
    if like.is_meta or target.type == "meta":
        raise ValueError("a model on the meta device has no numbers to run with; build it on another")
    if target != like.device:
        model = copy.deepcopy(model).to(target)
    found: dict[str, list[float]] = {}
    with evaluating(model), torch.no_grad():
        inputs = _inputs(model, batch, like.to(target))
        for _ in range(1 + runs):
            follow(model.graph.root, inputs, lambda node, arriving: _timed(model, node, arriving, target, found))
    return {path: statistics.median(seconds[1:]) for path, seconds in found.items()}


def _inputs(model: ComposedModule, batch: int, like: Tensor) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {name: (batch, *tensor.without_batch) for name, tensor in model.graph.root.inputs.items()}
    return {name: torch.randn(shape, generator=generator).to(like) for name, shape in shapes.items()}


def _timed(
    model: ComposedModule, node: Node, arriving: list[Tensor], device: torch.device, found: dict[str, list[float]]
) -> Tensor:
    operation = callable_of(model, node)
    _wait(device)
    start = time.perf_counter()
    value = operation(*arriving)
    _wait(device)
    found.setdefault(node.path, []).append(time.perf_counter() - start)
    return value


def _wait(device: torch.device) -> None:
    """Wait until a device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
