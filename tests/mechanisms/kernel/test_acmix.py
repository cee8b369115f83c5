"""ACmix beside its authors' module, written again with unfolded windows."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import composer
from composer.mechanisms.kernel.acmix import ACmix
from tests.mechanisms.oracle import SIZES, agree


class Authors(nn.Module):
    """test_bottleneck.py of ACmix, for maps that the stride divides."""

    def __init__(self, c: int, o: int, window: int, heads: int, side: int, stride: int) -> None:
        super().__init__()
        self.window, self.heads, self.p, self.stride = window, heads, o // heads, stride
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(c, o, 1), nn.Conv2d(c, o, 1), nn.Conv2d(c, o, 1)
        self.conv_p = nn.Conv2d(2, self.p, 1)
        self.fc = nn.Conv2d(3 * heads, side**2, 1, bias=False)
        self.dep_conv = nn.Conv2d(
            side**2 * self.p, o, side, groups=self.p, padding=side // 2, stride=stride, bias=False
        )
        self.rate1, self.rate2 = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def unfolded(self, x: Tensor) -> Tensor:
        seen = F.unfold(nn.ReflectionPad2d(self.window // 2)(x), self.window, stride=self.stride)
        return seen.view(len(x), x.shape[1], self.window**2, -1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.conv1(x), self.conv2(x), self.conv3(x)
        b, o, h, w = q.shape
        column = torch.linspace(-1.0, 1.0, w, dtype=x.dtype).unsqueeze(0).repeat(h, 1)
        row = torch.linspace(-1.0, 1.0, h, dtype=x.dtype).unsqueeze(1).repeat(1, w)
        place = self.conv_p(torch.stack([column, row]).unsqueeze(0))
        near = self.stride
        query = (q.view(b * self.heads, self.p, h, w) * self.p**-0.5)[:, :, ::near, ::near].flatten(2)
        own = place[:, :, ::near, ::near].flatten(2)
        keys = self.unfolded(k.view(b * self.heads, self.p, h, w))
        logits = (query.unsqueeze(2) * (keys + own.unsqueeze(2) - self.unfolded(place))).sum(1)
        weights = torch.softmax(logits, dim=1).unsqueeze(1)
        attended = (weights * self.unfolded(v.view(b * self.heads, self.p, h, w))).sum(2)
        high, wide = -(-h // near), -(-w // near)
        rows = [one.view(b, self.heads, self.p, h * w) for one in (q, k, v)]
        local = self.fc(torch.cat(rows, 1)).permute(0, 2, 1, 3).reshape(b, -1, h, w)
        return self.rate1 * attended.view(b, o, high, wide) + self.rate2 * self.dep_conv(local)


def carry(state: dict[str, Tensor]) -> dict[str, Tensor]:
    position = state["position"]
    rest = {name: tensor for name, tensor in state.items() if name != "position"}
    # Their bias has a gradient of zero: it cancels.
    return {**rest, "conv_p.weight": position[..., None, None], "conv_p.bias": torch.zeros_like(position[:, 0])}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_is_the_authors(size: tuple[int, int], stride: int) -> None:
    x = torch.randn(2, 6, *size, generator=torch.Generator().manual_seed(0))
    agree(ACmix(6, 8, *size, stride, num_heads=2), Authors(6, 8, 7, 2, 3, stride), x, carry=carry)
    small = ACmix(6, 8, *size, stride, num_heads=4, window=3, kernel_conv=5)
    agree(small, Authors(6, 8, 3, 4, 5, stride), x, carry=carry)


def test_its_convolution_starts_as_shifts() -> None:
    """With a projection of ones at one tap, the output is what the tap sees, from each of the heads' sums."""
    module = ACmix(8, 8, 7, 7, num_heads=2)
    assert module.dep_conv.weight.shape == (8, 9, 3, 3)
    for kernel in module.dep_conv.weight:
        assert torch.equal(kernel, torch.eye(9).view(9, 3, 3))


def test_small_maps() -> None:
    with pytest.raises(
        ValueError, match="acmix: window=7 is mirrored at the edges of the map 3×9; set window to 5 or less"
    ):
        ACmix(8, 8, 3, 9)
    assert ACmix(8, 8, 3, 9, window=5)(torch.randn(1, 8, 3, 9)).isfinite().all()
    assert ACmix(8, 8, 1, 1, window=1)(torch.randn(1, 8, 1, 1)).isfinite().all()


def test_in_a_network() -> None:
    rule = {"use": "acmix", "replace": "spatial_conv", "where": "stage == 3"}
    model = composer.build({"backbone": "resnet18", "input": [3, 96, 96], "attention": [rule]}).eval()
    assert model(torch.randn(1, 3, 96, 96)).isfinite().all()
