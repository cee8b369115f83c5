"""Cascaded group attention beside timm's, and on maps that are not square."""

from __future__ import annotations

import pytest
import torch
from timm.models.efficientvit_msra import CascadedGroupAttention as TimmsAttention
from torch import nn

import composer
from composer.mechanisms.token.cga import CascadedGroupAttention
from tests.mechanisms.oracle import agree


class Timms(TimmsAttention):
    # timm's returns nothing, and empties a cache without gradients.
    def train(self, mode=True):
        self.attention_bias_cache = {}
        return nn.Module.train(self, mode)

    def get_attention_biases(self, device):
        return self.attention_biases[:, self.attention_bias_idxs]


# Theirs stores all pairs of positions: not 56.
@pytest.mark.parametrize("side", [1, 5, 7, 14])
def test_equals_timms(side):
    ours = CascadedGroupAttention(12, side, side, num_heads=2, head_dim=4, kernels=(5, 3))
    theirs = Timms(12, 4, 2, attn_ratio=1.5, resolution=side, kernels=(5, 3))
    agree(ours, theirs, torch.randn(2, 12, side, side))


class Plain(nn.Module):
    """The cascade, with a bias by distance that is looked up pair by pair.

    Its convolutions and norms are ours, which are beside timm's above.
    """

    def __init__(self, ours):
        super().__init__()
        self.qkvs, self.dws, self.proj = ours.qkvs, ours.dws, ours.proj
        self.attention_biases = ours.attention_biases
        self.size, self.dim = ours.size, ours.head_dim

    def forward(self, x):
        height, width = self.size
        places = [(i, j) for i in range(height) for j in range(width)]
        index = torch.tensor([[abs(i - a) * width + abs(j - b) for a, b in places] for i, j in places])
        outputs, own = [], 0
        for number, part in enumerate(x.chunk(len(self.qkvs), 1)):
            every = self.qkvs[number](part + own)
            q, k, v = every.split([self.dim, self.dim, every.shape[1] - 2 * self.dim], 1)
            q = self.dws[number](q)
            logits = torch.einsum("bdn,bdm->bnm", q.flatten(2), k.flatten(2)) / self.dim**0.5
            weights = (logits + self.attention_biases[number][index]).softmax(2)
            own = torch.einsum("bnm,bpm->bpn", weights, v.flatten(2)).unflatten(2, self.size)
            outputs.append(own)
        return self.proj(torch.cat(outputs, 1))


@pytest.mark.parametrize(("height", "width"), [(13, 17), (8, 5), (1, 3)])
def test_equals_the_equation(height, width):
    ours = CascadedGroupAttention(9, height, width, num_heads=3, head_dim=2, kernels=3)
    agree(ours, Plain(ours), torch.randn(2, 9, height, width))


def test_parameters():
    count = sum(p.numel() for p in Timms(64, 16, 4, attn_ratio=1, resolution=14).parameters())
    assert sum(p.numel() for p in CascadedGroupAttention(64, 14, 14).parameters()) == count


def test_refusals():
    with pytest.raises(ValueError, match="cga: 2 kernels for 4 heads; set kernels to one, or one per head"):
        CascadedGroupAttention(64, 7, 7, kernels=(3, 5))
    with pytest.raises(ValueError, match="cga: 62 channels do not divide into 4 heads; set num_heads to 2 or 31"):
        CascadedGroupAttention(62, 7, 7)
    with pytest.raises(ValueError, match="cga: built for maps of 14×14, found 7×7; build it for that size"):
        CascadedGroupAttention(8, 14, 14)(torch.randn(1, 8, 7, 7))


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"replace": "mixer", "where": "stage == 2"}),
    ):
        spec = {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "cga", **rule}]}
        model = composer.build(spec)
        assert any(isinstance(one, CascadedGroupAttention) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
