"""A mechanism beside the authors' code, written again in the test, or a peer library's: outputs, gradients, steps."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

# Square and not, odd and even, smaller than usual windows and not a multiple of them.
SIZES = ((7, 7), (13, 17), (8, 5), (14, 14), (56, 56))
# Those for what is written again with a number, in float64, for each pair of positions, or position by position in
# Python: on 56 × 56 it takes gigabytes or minutes.
SMALL = SIZES[:4]


def agree(
    ours: nn.Module,
    theirs: nn.Module,
    *inputs: Tensor,
    carry: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
    steps: int = 4,
    tolerance: float = 1e-9,
) -> None:
    """Give both the same random numbers, and compare in float64: outputs in evaluation and in training, gradients of
    inputs and of weights, and the weights and buffers after some steps of SGD.

    ours, theirs  the two modules; they are copied. Their numbers are drawn anew, norms' statistics too
    inputs        what both take, b c h w or b n c
    carry         our state_dict -> theirs, for other names or shapes; it must be linear in the tensors, such as a new
                  name, a reshape or a concatenation, so that it carries gradients as well
    tolerance     the largest difference, as a part of the largest number, at least 1
    Raises AssertionError.
    """
    ours, theirs = (copy.deepcopy(one).double() for one in (ours, theirs))
    _draw(ours)
    theirs.load_state_dict(carry(ours.state_dict()))
    for training in (False, True):
        own, other = (_run(one.train(training), inputs) for one in (ours, theirs))
        _near(own[0], other[0], f"the output, {'in training' if training else 'in evaluation'}", tolerance)
        for number, pair in enumerate(zip(own[1], other[1], strict=True)):
            _near(*pair, f"the gradient of input {number}", tolerance)
        _same(carry(_gradients(ours)), _gradients(theirs), "the gradient of", tolerance)
    for _ in range(steps):
        for one in (ours, theirs):
            _run(one, inputs)
            with torch.no_grad():
                for weight in one.parameters():
                    weight -= 0.01 * weight.grad / own[0].numel()
    _same(carry(ours.state_dict()), theirs.state_dict(), f"after {steps} steps,", tolerance)


def _draw(module: nn.Module) -> None:
    """Numbers that are nobody's default. A variance stays positive."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * 0.3)
                if name.endswith("running_var"):
                    tensor.abs_().add_(0.5)


def _run(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
    module.zero_grad()
    own = [one.detach().double().requires_grad_() for one in inputs]
    output = module(*own)
    # A weight for each number, so that no gradient is hidden by symmetry; a sum, so that none is small on large maps.
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    (output * weights).sum().backward()
    return output.detach(), [one.grad for one in own if one.grad is not None]


def _gradients(module: nn.Module) -> dict[str, Tensor]:
    """A gradient for each parameter, and nothing for buffers, in the places of the state."""
    found = {name: torch.zeros_like(tensor) for name, tensor in module.state_dict().items()}
    own = {name: one.grad for name, one in module.named_parameters() if one.grad is not None}
    return {name: own.get(name, zero) for name, zero in found.items()}


def _same(found: dict[str, Tensor], wanted: dict[str, Tensor], what: str, tolerance: float) -> None:
    assert found.keys() == wanted.keys()
    for name, tensor in found.items():
        _near(tensor, wanted[name], f"{what} {name}", tolerance)


def _near(found: Tensor, wanted: Tensor, what: str, tolerance: float) -> None:
    assert found.shape == wanted.shape, what
    if not found.is_floating_point():
        assert torch.equal(found, wanted), what
        return
    assert wanted.isfinite().all(), what
    difference = (found - wanted).abs().max() / max(1.0, wanted.abs().max().item())
    assert difference <= tolerance, f"{what} differs by {difference:.1e}"
