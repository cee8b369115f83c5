"""How two networks are born: whether each parameter is drawn by one law, judged by its numbers alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

# Six standard errors: of a hundred thousand true comparisons, one in five thousand runs fails.
ERRORS = 6.0
# Kolmogorov and Smirnov's statistic that equal laws reach as rarely.
LAMBDA = 3.3
# As many numbers tell the form of a law.
ENOUGH = 65536

Pair = tuple[Tensor, Tensor]


def differences(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> list[str]:
    """What sets the laws of parameters of the same names apart, a sentence each; none where they are the same.

    A constant must be the same constant. Drawn parameters whose names differ in numbers alone, as those of a stage's
    blocks do, are judged together, each measured in the standard deviation of the peer's.
    """
    assert {name: one.shape for name, one in ours.items()} == {name: one.shape for name, one in theirs.items()}
    found, drawn = [], defaultdict(list)
    for name, wanted in theirs.items():
        mine, peer = (tensor.detach().flatten() for tensor in (ours[name], wanted))
        if not constant(mine) and not constant(peer):
            drawn[re.sub(r"\d+", "*", name)].append((measured(mine, peer), measured(peer, peer)))
        elif not torch.equal(mine, peer):
            found.append(f"{name}: {described(mine)}, not {described(peer)}")
    for name, pairs in drawn.items():
        found += [f"{name}: {text}" for text in (*moments_apart(pairs), *forms_apart(pairs))]
    return found


def constant(values: Tensor) -> bool:
    return bool((values == values[0]).all())


def described(values: Tensor) -> str:
    return f"all {values[0]:g}" if constant(values) else f"drawn with a deviation of {values.std():.3g}"


def measured(values: Tensor, peer: Tensor) -> Tensor:
    """In deviations of the peer's. One number in ten million of torch's `trunc_normal_` is its bound, far outside."""
    return (values / peer.std()).clamp(-6, 6)


def moments_apart(pairs: Sequence[Pair]) -> list[str]:
    """How the tensors of a law differ in mean and deviation, beyond what chance explains."""
    sizes = torch.tensor([float(mine.numel()) for mine, _ in pairs])
    shift = torch.tensor([float(mine.mean() - peer.mean()) for mine, peer in pairs])
    ratio = torch.tensor([float((mine.std() / peer.std()).log()) for mine, peer in pairs])
    error = ERRORS * float(sizes.sum()) ** -0.5
    shift, ratio = ((sizes * each).sum() / sizes.sum() for each in (shift, ratio))
    found = [f"the mean is {float(shift):.3g} deviations away"] if abs(shift) > error * 2**0.5 else []
    return found + ([f"the deviation is {float(ratio.exp()):.3g} times the peer's"] if abs(ratio) > error else [])


def forms_apart(pairs: Sequence[Pair]) -> list[str]:
    """How the tensors of a law differ in bounds or form, beyond what chance explains."""
    mine, peer = (torch.cat(part) for part in zip(*pairs, strict=True))
    mine, peer = (each[:: max(1, len(each) // ENOUGH)] for each in (mine, peer))
    # Beyond 1.8 deviations lies a fourteenth of a normal law and nothing of a uniform one.
    unbounded = [bool((each.abs() > 1.8).any()) for each in (mine, peer)]
    found = ["one law is bounded"] if mine.numel() >= 256 and unbounded[0] != unbounded[1] else []
    distance = largest_distance(mine, peer)
    apart = distance > LAMBDA * (2 / mine.numel()) ** 0.5
    return found + ([f"the distributions are {distance:.3g} apart"] if apart else [])


def largest_distance(one: Tensor, other: Tensor) -> float:
    """Between the shares of two samples of one size that lie below a number."""
    points = torch.cat([one, other])
    shares = [torch.searchsorted(sample.sort().values, points, right=True) / sample.numel() for sample in (one, other)]
    return float((shares[0] - shares[1]).abs().max())
