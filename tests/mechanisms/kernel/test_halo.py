"""Halo attention beside timm's, and beside the paper's equation, position by position."""

from __future__ import annotations

import pytest
import torch
from timm.layers.halo_attn import HaloAttn
from torch import nn

import composer
from composer.errors import ComposerError
from composer.mechanisms.kernel.halo import HaloAttention
from tests.mechanisms.oracle import SMALL, agree


def as_timms(state):
    return {f"pos_embed.{name}" if name.endswith("rel") else name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 24), (56, 56)])
def test_equals_timms(height, width, both):
    ours = HaloAttention(16, 8, height, width, num_heads=2, scale="both" if both else "content")
    theirs = HaloAttn(16, 8, num_heads=2, scale_pos_embed=both)
    agree(ours, theirs, torch.randn(1, 16, height, width), carry=as_timms)


class Equation(nn.Module):
    """The equation, position by position: a block begins at multiples of the side; beyond the map there are zeros."""

    def __init__(self, inputs, outputs, stride, block, halo, heads, scale):
        super().__init__()
        self.q = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.kv = nn.Conv2d(inputs, 2 * outputs, 1, bias=False)
        self.window, self.dim = block + 2 * halo, outputs // heads
        self.height_rel, self.width_rel = (nn.Parameter(torch.zeros(2 * self.window - 1, self.dim)) for _ in "hw")
        self.stride, self.block, self.halo, self.heads, self.scale = stride, block, halo, heads, scale

    def forward(self, x):
        margin = self.window
        queries, kv = self.q(x), nn.functional.pad(self.kv(x), (margin,) * 4)
        keys, values = kv.unflatten(1, (self.heads, 2, self.dim)).unbind(2)
        # The entry for offset 0: offsets begin at 1 - block - halo, after 2 halo entries that are not in use.
        middle = 3 * self.halo + self.block - 1
        rows = []
        for i in range(queries.shape[2]):
            row = []
            for j in range(queries.shape[3]):
                q = queries[:, :, i, j].unflatten(1, (self.heads, self.dim))
                y, x = i * self.stride, j * self.stride
                top, left = (at // self.block * self.block - self.halo for at in (y, x))
                near = range(self.window)
                spots = [(top + a, left + b) for a in near for b in near]
                k, v = (torch.stack([one[..., a + margin, b + margin] for a, b in spots], 2) for one in (keys, values))
                place = torch.stack(
                    [self.height_rel[a - y + middle] + self.width_rel[b - x + middle] for a, b in spots]
                )
                content, position = torch.einsum("bmp,bmkp->bmk", q, k), torch.einsum("bmp,kp->bmk", q, place)
                content = content / self.dim**0.5 if self.scale != "none" else content
                position = position / self.dim**0.5 if self.scale == "both" else position
                weights = (content + position).softmax(-1)
                row.append(torch.einsum("bmk,bmkp->bmp", weights, v).flatten(1))
            rows.append(torch.stack(row, -1))
        return torch.stack(rows, -2)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(1, 1), *SMALL])
def test_equals_the_equation(height, width, stride):
    options = {"block_size": 4, "halo_size": 1, "num_heads": 2, "scale": "none"}
    ours = HaloAttention(3, 4, height, width, stride, **options)
    agree(ours, Equation(3, 4, stride, 4, 1, 2, "none"), torch.randn(2, 3, height, width), steps=1)


@pytest.mark.parametrize("scale", ["content", "both"])
def test_scales(scale):
    ours = HaloAttention(3, 4, 5, 7, block_size=2, halo_size=2, num_heads=1, scale=scale)
    agree(ours, Equation(3, 4, 1, 2, 2, 1, scale), torch.randn(2, 3, 5, 7))


def test_attended_is_where_the_weights_look():
    module = HaloAttention(4, 4, 7, 9, 2, block_size=4, halo_size=1, num_heads=1)
    places = module.attended
    assert places.shape == (4, 5, 36, 2)
    assert places[0, 0, 7].tolist() == [0, 0]
    assert places[3, 4].isnan().any()
    # The query at row 6 and column 4 is in the block of rows 4 to 7 and columns 4 to 7.
    assert places[3, 2, 0].tolist() == [3, 3]
    seen = places[3, 2][~places[3, 2].isnan().any(-1)]
    assert (seen.amin(0).tolist(), seen.amax(0).tolist()) == ([3, 3], [6, 8])
    # A position that no weight refers to does not move the output.
    x = torch.randn(1, 4, 7, 9, requires_grad=True)
    module(x)[0, :, 3, 2].sum().backward()
    touched = {tuple(one) for one in x.grad[0].abs().sum(0).nonzero().tolist()}
    assert touched == {tuple(int(one) for one in place) for place in seen.tolist()}


def test_parameters():
    assert sum(p.numel() for p in HaloAttention(64, 64, 56, 56).parameters()) == 12_720
    assert sum(p.numel() for p in HaloAttn(64).parameters()) == 12_720


def test_refusals():
    with pytest.raises(ValueError, match="halo: blocks of 7 do not divide by the stride 2; set block_size to 8"):
        HaloAttention(64, 64, 14, 14, 2, block_size=7)
    with pytest.raises(ValueError, match="halo: 60 channels do not divide into 8 heads; set num_heads to 6 or 10"):
        HaloAttention(64, 60, 14, 14)
    with pytest.raises(ValueError, match="halo: built for maps of 14×14, found 7×7; build it for that size"):
        HaloAttention(8, 8, 14, 14)(torch.randn(1, 8, 7, 7))


def test_in_place_of_convolutions():
    rule = {"use": "halo", "replace": "spatial_conv", "where": "stage >= 3"}
    model = composer.build({"backbone": "resnet18", "input": [3, 64, 96], "attention": [rule]})
    model(torch.randn(2, 3, 64, 96)).sum().backward()
    places = [one for one in model.modules() if isinstance(one, HaloAttention)]
    assert len(places) == 8
    # layer4 has maps of 4×6 and 2×3, which no block of 8 divides.
    assert places[-1].size == (2, 3)
    with pytest.raises(ComposerError, match="blocks of 7 do not divide by the stride 2"):
        composer.graph(
            {"backbone": "resnet18", "input": [3, 64, 64], "attention": [{**rule, "with": {"block_size": 7}}]}
        )


def test_in_place_of_a_mixer_of_tokens():
    rule = {"use": "halo", "replace": "mixer", "where": "stage == 1", "with": {"num_heads": 3}}
    model = composer.build({"backbone": "swin_tiny_patch4_window7_224", "input": [3, 64, 64], "attention": [rule]})
    assert sum(isinstance(one, HaloAttention) for one in model.modules()) == 2
    assert model(torch.randn(1, 3, 64, 64)).isfinite().all()
