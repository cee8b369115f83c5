"""Effective receptive fields. Luo et al., Understanding the Effective Receptive Field in Deep CNNs, NeurIPS 2016."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.compile.graph import compile_graph
from composer.compile.module import ComposedModule
from composer.compile.steps import evaluating, run_steps
from composer.errors import Diagnostic, InputError
from composer.looking.nodes import MapNode, map_node

if TYPE_CHECKING:
    from composer.dag.scope import Node

# The paper's value: the share of a Gaussian field outside two standard deviations.
THRESHOLD = 1 - 0.9545


class _Reached(Exception):
    """The node's value is computed, so that the rest of the network need not run."""

    def __init__(self, value: Tensor) -> None:
        self.value = value


def effective_receptive_field(
    model: ComposedModule, path: str, size: tuple[int, int] | None = None, *, samples: int = 16, seed: int = 0
) -> Tensor:
    """How much each pixel of the input moves the centre of a node's output: h w, the largest 1.

    Mean over random inputs of the gradient of the centre, summed over its channels: absolute values, summed over the
    input's channels. The centre of n rows is row n // 2. Pixels that cannot move it are exactly 0.

    model    the network; runs in eval mode and is then as it was
    path     a node that gives a feature map or tokens; nodes that rules put after it belong to it
    size     height and width of the input; by default the spec's own
    samples  number of inputs, standard normal
    seed     of the random inputs

    Raises InputError, and ValueError for fewer than one sample.
    """
    if samples < 1:
        raise ValueError(f"samples={samples}: a mean needs at least one")
    channels, *own = _input_shape(model)
    height, width = size or own
    node = map_node(model.graph, path).at_size((own[0], own[1]), (height, width))
    like = next(model.parameters(), torch.empty(0))
    generator = torch.Generator().manual_seed(seed)
    with evaluating(model), torch.inference_mode(False), torch.enable_grad():
        total = torch.zeros(height, width, dtype=torch.float64)
        for _ in range(samples):
            x = torch.randn((1, channels, height, width), generator=generator).to(like)
            total += _gradient(model, node, x).abs().sum(0).cpu()
    # The field of a node that no input reaches is 0 everywhere.
    return (total / total.max().clamp(min=torch.finfo(total.dtype).tiny)).to(torch.float32)


def of_both(
    model: ComposedModule, path: str, size: tuple[int, int] | None = None, *, samples: int = 16, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """The field of a node with attention, and in the network without its rules, with the same weights and inputs.

    Arguments as for `effective_receptive_field`. Weights of nodes that a rule replaced are drawn from the network's
    seed. Raises InputError, also for a node that only one of the networks has.
    """
    with torch.inference_mode(False):
        plain = _without_attention(model)
    map_node(plain.graph, path)
    ours, theirs = (effective_receptive_field(one, path, size, samples=samples, seed=seed) for one in (model, plain))
    return ours, theirs


def share_of_area(field: Tensor, threshold: float = THRESHOLD) -> float:
    """The share of the input's pixels above `threshold` times the largest; with 0, of all that have any influence.

    >>> share_of_area(torch.tensor([[0.0, 0.5, 1.0, 0.01]]))
    0.5
    """
    return int((field > threshold).sum()) / field.numel()


def side(field: Tensor, threshold: float = THRESHOLD) -> float:
    """The side, in pixels, of a square as large as the pixels above `threshold`: the paper's size of a field.

    >>> side(torch.ones(4, 9))
    6.0
    """
    return math.sqrt(int((field > threshold).sum()))


def _gradient(model: ComposedModule, node: MapNode, x: Tensor) -> Tensor:
    """The gradient of the centre of the node's output with respect to the input: c h w."""
    x.requires_grad_()
    value = node.as_map(_value(model, node, x))
    centre = value[0, :, value.shape[2] // 2, value.shape[3] // 2].sum()
    if not centre.requires_grad:
        return torch.zeros_like(x[0])
    (gradient,) = torch.autograd.grad(centre, x, allow_unused=True)
    return torch.zeros_like(x[0]) if gradient is None else gradient[0]


def _value(model: ComposedModule, wanted: MapNode, x: Tensor) -> Tensor:
    """The node's value. Raises InputError if the network cannot take an input of this size."""

    def stop(node: Node, value: Tensor) -> Tensor:
        if node.path == wanted.path:
            raise _Reached(value)
        return value

    try:
        run_steps(model, x, stop)
    except _Reached as reached:
        return reached.value
    except (RuntimeError, ValueError) as error:
        height, width = _input_shape(model)[1:]
        if x.shape[2:] == (height, width):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        text = f"`{model.spec.name}` cannot take an input of {x.shape[2]}×{x.shape[3]}: {reason}"
        label = f"its own size, {height}×{width}, or another that it can take"
        raise InputError(Diagnostic("input-size", text, label=label)) from error
    raise AssertionError(f"`{wanted.path}` was never reached")


def _input_shape(model: ComposedModule) -> tuple[int, ...]:
    """Channels, height and width of the network's single map input. Raises InputError if it has other inputs."""
    tensors = list(model.graph.root.inputs.values())
    if len(tensors) != 1 or tensors[0].layout != "b c h w":
        text = f"`{model.spec.name}` takes {', '.join(map(str, tensors))}"
        raise InputError(Diagnostic("input", text, label="a network of one input b c h w"))
    return tensors[0].without_batch


def _without_attention(model: ComposedModule) -> ComposedModule:
    plain, ours = compile_graph(model.graph.plain, model.seed), model.state_dict()
    wanted = plain.state_dict().items()
    shared = {name: ours[name] for name, value in wanted if name in ours and ours[name].shape == value.shape}
    plain.load_state_dict(shared, strict=False)
    like = next(model.parameters(), torch.empty(0))
    return plain.to(device=like.device, dtype=like.dtype)
