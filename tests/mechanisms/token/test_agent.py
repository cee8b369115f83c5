"""Agent attention beside the authors' code in plain steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import composer
from composer.mechanisms.token.agent import AgentAttention
from tests.mechanisms.oracle import SIZES, agree


class Plain(nn.Module):
    """What the authors compute, head by head, with every weight stored."""

    def __init__(self, channels, height, width, agents, heads):
        super().__init__()
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.dwc = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.an_bias, self.na_bias = (nn.Parameter(torch.zeros(heads, agents, 7, 7)) for _ in range(2))
        self.ah_bias = nn.Parameter(torch.zeros(1, heads, agents, height, 1))
        self.aw_bias = nn.Parameter(torch.zeros(1, heads, agents, 1, width))
        self.ha_bias = nn.Parameter(torch.zeros(1, heads, height, 1, agents))
        self.wa_bias = nn.Parameter(torch.zeros(1, heads, 1, width, agents))
        self.heads, self.side = heads, int(agents**0.5)

    def forward(self, x):
        channels, height, width = x.shape[1:]
        dim = channels // self.heads
        q, k, v = self.qkv(x.flatten(2).transpose(1, 2)).chunk(3, 2)
        pool = nn.AdaptiveAvgPool2d(self.side)
        agents = pool(q.transpose(1, 2).unflatten(2, (height, width))).flatten(2).transpose(1, 2)
        outputs = []
        for head in range(self.heads):
            own_q, own_a, own_k, own_v = (one[..., head * dim : (head + 1) * dim] for one in (q, agents, k, v))
            first, second = (
                nn.functional.interpolate(one[head][None], (height, width), mode="bilinear")[0].flatten(1)
                for one in (self.an_bias, self.na_bias)
            )
            first = first + (self.ah_bias[0, head] + self.aw_bias[0, head]).flatten(1)
            second = second.T + (self.ha_bias[0, head] + self.wa_bias[0, head]).flatten(0, 1)
            gathered = (own_a @ own_k.transpose(1, 2) / dim**0.5 + first).softmax(2) @ own_v
            outputs.append((own_q @ own_a.transpose(1, 2) / dim**0.5 + second).softmax(2) @ gathered)
        y = torch.cat(outputs, 2) + self.dwc(v.transpose(1, 2).unflatten(2, (height, width))).flatten(2).transpose(1, 2)
        return self.proj(y).transpose(1, 2).unflatten(2, (height, width))


def as_the_authors(state):
    """Theirs have an axis for the batch, with which channels_last weights could not be made."""
    sums = ("ah_bias", "aw_bias", "ha_bias", "wa_bias")
    return {name: one[None] if name in sums else one for name, one in state.items()}


@pytest.mark.parametrize(("height", "width"), [(1, 1), *SIZES])
def test_equals_the_authors(height, width):
    ours = AgentAttention(8, height, width, num_agents=9, num_heads=2)
    agree(ours, Plain(8, height, width, 9, 2), torch.randn(2, 8, height, width), carry=as_the_authors)


def test_attention_takes_the_values():
    module = AgentAttention(8, 5, 7, num_agents=4, num_heads=2).double()
    x = torch.randn(2, 8, 5, 7, dtype=torch.float64)
    v = module.qkv(x.permute(0, 2, 3, 1)).chunk(3, -1)[2]
    y = torch.einsum("bhnm,bmhp->bnhp", module.attention(x), v.flatten(1, 2).unflatten(2, (2, 4))).flatten(2)
    y = y.unflatten(1, (5, 7)) + module.dwc(v.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(module.proj(y).permute(0, 3, 1, 2), module(x), rtol=0, atol=1e-12)


def test_parameters():
    assert sum(p.numel() for p in AgentAttention(64, 14, 14).parameters()) == 77_648


def test_refusals():
    with pytest.raises(ValueError, match="agent: num_agents=50 is not a square; set num_agents to 49 or 64"):
        AgentAttention(64, 7, 7, num_agents=50)
    with pytest.raises(ValueError, match="agent: 60 channels do not divide into 8 heads; set num_heads to 6 or 10"):
        AgentAttention(60, 7, 7)
    with pytest.raises(ValueError, match="agent: built for maps of 14×14, found 7×7; build it for that size"):
        AgentAttention(8, 14, 14)(torch.randn(1, 8, 7, 7))


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"replace": "mixer", "where": "stage == 2"}),
    ):
        spec = {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "agent", **rule}]}
        model = composer.build(spec)
        assert any(isinstance(one, AgentAttention) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
