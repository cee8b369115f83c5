"""Bi-level routing attention beside the authors' code in plain steps, and beside a matrix of all positions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import composer
from composer.mechanisms.token.bra import BiLevelRoutingAttention
from tests.mechanisms.oracle import SIZES, agree


class Plain(nn.Module):
    """What the authors compute (bra_legacy.py), one region and one chosen region after the other, without padding."""

    def __init__(self, channels, regions, topk, heads, side=3):
        super().__init__()
        self.qkv, self.wo = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.lepe = nn.Conv2d(channels, channels, side, padding=side // 2, groups=channels)
        self.regions, self.topk, self.heads = regions, topk, heads

    def forward(self, x):
        channels, (height, width) = x.shape[1], x.shape[2:]
        sides = (-(-height // self.regions), -(-width // self.regions))
        q, k, v = self.qkv(x.permute(0, 2, 3, 1)).chunk(3, -1)
        places = {}
        for i in range(height):
            for j in range(width):
                places.setdefault((i // sides[0], j // sides[1]), []).append((i, j))

        def of(tensor, region):
            return torch.stack([tensor[:, i, j] for i, j in places[region]], 1)

        y = torch.zeros_like(q)
        for region, own in places.items():
            logits = {
                other: (of(q, region).mean(1).detach() * of(k, other).mean(1).detach()).sum(-1) for other in places
            }
            for image in range(len(x)):
                chosen = sorted(places, key=lambda other: -logits[other][image].item())[: self.topk]
                keys, values = (
                    torch.cat([of(one, other)[image] for other in chosen]).unflatten(1, (self.heads, -1))
                    for one in (k, v)
                )
                queries = of(q, region)[image].unflatten(1, (self.heads, -1))
                weights = (torch.einsum("nhp,mhp->hnm", queries, keys) * channels**-0.5).softmax(-1)
                mixed = torch.einsum("hnm,mhp->nhp", weights, values).flatten(1)
                rows, columns = zip(*own, strict=True)
                y = y.index_put((torch.tensor(image), torch.tensor(rows), torch.tensor(columns)), mixed)
        lepe = self.lepe(v.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.wo(y + lepe).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("height", "width"), [(7, 7), (14, 14), (14, 21)])
def test_equals_the_authors(height, width):
    ours = BiLevelRoutingAttention(4, height, width, num_heads=2, topk=3, side_dwconv=5)
    agree(ours, Plain(4, 7, 3, 2, 5), torch.randn(2, 4, height, width), steps=1)


@pytest.mark.parametrize(("height", "width"), [(1, 1), *SIZES[1:3], (9, 4)])
def test_padding_has_no_part(height, width):
    """Where regions do not divide the map, the last ones are smaller, or there are fewer."""
    ours = BiLevelRoutingAttention(4, height, width, n_win=4, num_heads=2, topk=3)
    agree(ours, Plain(4, 4, 3, 2), torch.randn(2, 4, height, width), steps=1)


@pytest.mark.parametrize(("height", "width"), [(14, 14), (13, 17)])
def test_attention_takes_the_values(height, width):
    module = BiLevelRoutingAttention(8, height, width, num_heads=2, topk=2).double()
    x = torch.randn(2, 8, height, width, dtype=torch.float64)
    weights = module.attention(x)
    v = module.qkv(x.permute(0, 2, 3, 1)).chunk(3, -1)[2]
    mixed = torch.einsum("bhnm,bmhp->bnhp", weights, v.flatten(1, 2).unflatten(2, (2, 4))).flatten(2)
    y = mixed.unflatten(1, (height, width)) + module.lepe(v.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(module.wo(y).permute(0, 3, 1, 2), module(x), rtol=0, atol=1e-12)
    # Two regions of at most 4 or 6 positions.
    assert (weights > 0).sum(-1).max() <= 2 * (-(-height // 7)) * (-(-width // 7))


def test_the_choice_has_no_gradient():
    module = BiLevelRoutingAttention(4, 7, 7, num_heads=1, topk=1)
    x = torch.randn(1, 4, 7, 7)
    # With one key for each query, the weights are 1 whatever queries and keys are.
    module(x).square().sum().backward()
    assert module.qkv.weight.grad[:8].abs().max() == 0
    assert module.qkv.weight.grad[8:].abs().min() > 0


def test_parameters():
    assert sum(p.numel() for p in BiLevelRoutingAttention(64, 14, 14).parameters()) == 17_280


def test_refusals():
    with pytest.raises(ValueError, match="bra: topk=10 is more than the 9 regions; set topk to 9 or less"):
        BiLevelRoutingAttention(64, 14, 14, n_win=3, topk=10)
    with pytest.raises(ValueError, match="bra: 60 channels do not divide into 8 heads; set num_heads to 6 or 10"):
        BiLevelRoutingAttention(60, 14, 14)
    with pytest.raises(ValueError, match="bra: built for maps of 14×14, found 7×7; build it for that size"):
        BiLevelRoutingAttention(8, 14, 14)(torch.randn(1, 8, 7, 7))


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"replace": "mixer", "where": "stage == 2"}),
    ):
        spec = {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "bra", **rule}]}
        model = composer.build(spec)
        assert any(isinstance(one, BiLevelRoutingAttention) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
