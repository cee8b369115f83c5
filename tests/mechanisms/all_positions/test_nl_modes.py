"""The other pairwise functions of the non-local block, in plain steps after eq. 2 to 5 and mmcv's NonLocal2d."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import composer
from composer.mechanisms.all_positions.nl import NonLocal
from tests.mechanisms.oracle import SMALL, agree

C, D = 6, 3


class Plain(nn.Module):
    """Each has its whole matrix of positions; the concatenation has all pairs of channels as well."""

    def __init__(self, mode: str, sub_sample: bool, scale: float) -> None:
        super().__init__()
        self.mode, self.sub_sample, self.scale = mode, sub_sample, scale
        if mode != "gaussian":
            self.theta, self.phi = nn.Conv2d(C, D, 1), nn.Conv2d(C, D, 1)
        if mode == "concatenation":
            self.concat = nn.Parameter(torch.zeros(2, D))
        self.g, self.proj, self.bn = nn.Conv2d(C, D, 1), nn.Conv2d(D, C, 1), nn.BatchNorm2d(C)

    def weights(self, x: Tensor, near: Tensor) -> Tensor:
        if self.mode == "gaussian":
            return torch.softmax(x.flatten(2).transpose(1, 2) @ near.flatten(2) * self.scale, dim=-1)
        q, k = self.theta(x).flatten(2).transpose(1, 2), self.phi(near).flatten(2)
        if self.mode == "embedded_gaussian":
            return torch.softmax(q @ k * self.scale, dim=-1)
        if self.mode == "dot_product":
            return q @ k / k.shape[2]
        n, m = q.shape[1], k.shape[2]
        pairs = torch.cat(
            [q.unsqueeze(2).expand(-1, -1, m, -1), k.transpose(1, 2).unsqueeze(1).expand(-1, n, -1, -1)], 3
        )
        return torch.relu(pairs @ self.concat.flatten()) / m

    def forward(self, x: Tensor) -> Tensor:
        near = nn.functional.max_pool2d(x, 2) if self.sub_sample else x
        y = self.weights(x, near) @ self.g(near).flatten(2).transpose(1, 2)
        return x + self.bn(self.proj(y.transpose(1, 2).reshape(x.shape[0], D, *x.shape[2:])))


MODES = ("embedded_gaussian", "gaussian", "dot_product", "concatenation")


@pytest.mark.parametrize("sub_sample", [False, True])
@pytest.mark.parametrize("size", SMALL, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_it_is_the_papers(mode: str, size: tuple[int, int], sub_sample: bool) -> None:
    x = torch.randn(2, C, *size, generator=torch.Generator().manual_seed(0))
    agree(NonLocal(C, *size, mode=mode, sub_sample=sub_sample), Plain(mode, sub_sample, 1.0), x)


@pytest.mark.parametrize(("mode", "width"), [("embedded_gaussian", D), ("gaussian", C)])
def test_scaled(mode: str, width: int) -> None:
    x = torch.randn(2, C, 5, 7, generator=torch.Generator().manual_seed(0))
    agree(NonLocal(C, 5, 7, mode=mode, scale=True), Plain(mode, False, width**-0.5), x)


def test_only_a_softmax_is_scaled() -> None:
    rule = {"use": "nl", "after": "layer4", "with": {"mode": "dot_product", "scale": True}}
    with pytest.raises(composer.ComposerError, match="mode dot_product has none; leave it out"):
        composer.graph({"backbone": "resnet18", "attention": [rule]})


@pytest.mark.parametrize("mode", MODES)
def test_it_starts_as_the_identity_and_learns(mode: str) -> None:
    module, x = NonLocal(8, 5, 5, mode=mode), torch.randn(4, 8, 5, 5)
    assert torch.equal(module(x), x)
    nn.init.ones_(module.bn.weight)
    module(x).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in module.parameters())
