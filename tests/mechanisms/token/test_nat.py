"""Neighbourhood attention beside its equation, position by position."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import composer
from composer.mechanisms.token.nat import NeighbourhoodAttention
from tests.mechanisms.oracle import agree


class Equation(nn.Module):
    """Each position looks at the nearest rows and columns, of those that stand a multiple of `dilation` away."""

    def __init__(self, channels, heads, window, dilation):
        super().__init__()
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.rpb = nn.Parameter(torch.zeros(heads, 2 * window - 1, 2 * window - 1))
        self.heads, self.window, self.dilation = heads, window, dilation

    def nearest(self, at, length):
        own = [one for one in range(length) if one % self.dilation == at % self.dilation]
        here = own.index(at)
        # Windows of neighbours in a row: the one whose middle is nearest.
        starts = range(len(own) - self.window + 1)
        start = min(starts, key=lambda one: abs(one + self.window // 2 - here))
        return own[start : start + self.window]

    def forward(self, x):
        height, width = x.shape[2:]
        q, k, v = (one.unflatten(3, (self.heads, -1)) for one in self.qkv(x.permute(0, 2, 3, 1)).chunk(3, -1))
        y = []
        for i in range(height):
            for j in range(width):
                spots = [(a, b) for a in self.nearest(i, height) for b in self.nearest(j, width)]
                keys, values = (torch.stack([one[:, a, b] for a, b in spots], 2) for one in (k, v))
                logits = torch.einsum("bhp,bhkp->bhk", q[:, i, j], keys) / q.shape[4] ** 0.5
                middle = self.window - 1
                place = [
                    self.rpb[:, (a - i) // self.dilation + middle, (b - j) // self.dilation + middle] for a, b in spots
                ]
                weights = (logits + torch.stack(place, 1)).softmax(2)
                y.append(torch.einsum("bhk,bhkp->bhp", weights, values).flatten(1))
        return self.proj(torch.stack(y, 1)).transpose(1, 2).unflatten(2, (height, width))


@pytest.mark.parametrize(
    ("height", "width", "window", "dilation"),
    [(7, 7, 7, 1), (13, 17, 3, 1), (8, 5, 5, 1), (14, 14, 7, 1), (1, 1, 1, 1), (7, 9, 3, 2), (10, 8, 3, 2)],
)
def test_equals_the_equation(height, width, window, dilation):
    ours = NeighbourhoodAttention(4, height, width, window=window, num_heads=2, dilation=dilation)
    agree(ours, Equation(4, 2, window, dilation), torch.randn(2, 4, height, width), steps=1)


def test_attended_is_where_the_weights_look():
    module = NeighbourhoodAttention(4, 7, 9, window=3, dilation=2, num_heads=1)
    seen = {tuple(int(one) for one in place) for place in module.attended[0, 5].tolist()}
    assert seen == {(a, b) for a in (0, 2, 4) for b in (3, 5, 7)}
    x = torch.randn(1, 4, 7, 9, requires_grad=True)
    module(x)[0, :, 0, 5].sum().backward()
    assert {tuple(one) for one in x.grad[0].abs().sum(0).nonzero().tolist()} == seen


def test_parameters():
    assert sum(p.numel() for p in NeighbourhoodAttention(64, 14, 14).parameters()) == 16_978


def test_refusals():
    with pytest.raises(ValueError, match="nat: window=7 at dilation=2 is larger than the map 12×20; set window to 5"):
        NeighbourhoodAttention(64, 12, 20, dilation=2)
    with pytest.raises(ValueError, match="nat: 64 channels do not divide into 5 heads; set num_heads to 4 or 8"):
        NeighbourhoodAttention(64, 7, 7, num_heads=5)


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"replace": "mixer", "where": "stage == 2"}),
    ):
        rule = {"use": "nat", **rule, "with": {"window": "${3 if height >= 3 else 1}"}}
        model = composer.build({"backbone": backbone, "input": [3, 64, 64], "attention": [rule]})
        assert any(isinstance(one, NeighbourhoodAttention) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
