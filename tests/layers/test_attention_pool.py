"""Pooling by attention beside CLIP's, timm's and SimPool's, and in place of the pooling of backbones."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from layers.conftest import refusal, run
from timm.layers import AttentionPool2d, AttentionPoolLatent, RotAttentionPool2d
from torch import nn

import composer
from composer.layers.attention_pool import AttentionPool, LatentAttentionPool, SimPool
from tests.mechanisms.oracle import agree

SIZES = [(7, 7), (3, 5), (1, 1)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_attention_pool_is_timms(size):
    ours = AttentionPool(16, *size, num_heads=2, out_features=5)
    agree(ours, AttentionPool2d(16, size, 5, num_heads=2, qkv_separate=True), torch.randn(3, 16, *size))


def test_without_biases_it_is_that_with_biases_of_0():
    x = torch.randn(3, 16, 3, 5)
    ours = AttentionPool(16, 3, 5, qkv_bias=False)
    other = AttentionPool(16, 3, 5)
    other.load_state_dict({**ours.state_dict(), **{f"{name}.bias": torch.zeros(16) for name in "qkv"}})
    torch.testing.assert_close(ours(x), other(x))


class Clip(nn.Module):
    """CLIP's, on torch's attention."""

    def __init__(self, size, channels, heads):
        super().__init__()
        self.positions = nn.Parameter(torch.empty(size[0] * size[1] + 1, channels))
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)

    def forward(self, x):
        tokens = torch.stack([row for one in x.unbind(2) for row in one.unbind(2)], 1)
        tokens = torch.cat((x.mean((2, 3))[:, None], tokens), 1) + self.positions
        return self.attention(tokens, tokens, tokens)[0][:, 0]


def test_attention_pool_is_clips():
    def carry(state):
        return {
            "positions": state["pos_embed"],
            "attention.in_proj_weight": torch.cat([state[f"{name}.weight"] for name in "qkv"]),
            "attention.in_proj_bias": torch.cat([state[f"{name}.bias"] for name in "qkv"]),
            "attention.out_proj.weight": state["proj.weight"],
            "attention.out_proj.bias": state["proj.bias"],
        }

    agree(AttentionPool(16, 4, 3, num_heads=4), Clip((4, 3), 16, 4), torch.randn(2, 16, 4, 3), carry=carry)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_rotary_positions_are_timms(size):
    theirs = RotAttentionPool2d(16, 5, ref_feat_size=7, num_heads=2, qkv_separate=True)
    ours = AttentionPool(16, *size, num_heads=2, out_features=5, positions="rotary")
    # Both keep the sines of their angles in single precision.
    agree(ours, theirs, torch.randn(3, 16, *size), tolerance=1e-6)


@pytest.mark.parametrize("options", [{}, {"mlp_ratio": 2.0, "qkv_bias": False}])
def test_latent_attention_pool_is_timms(options):
    theirs = AttentionPoolLatent(16, num_heads=2, norm_layer=partial(nn.LayerNorm, eps=1e-6), **options)
    x = torch.randn(3, 11, 16)
    agree(LatentAttentionPool(16, num_heads=2, **options), theirs, x)
    pixels = x[:, :10].transpose(1, 2).unflatten(2, (2, 5))
    on_maps = LatentAttentionPool(16, 2, num_heads=2, **options)
    on_maps.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(on_maps(pixels), theirs(x[:, :10]))
    skipping = LatentAttentionPool(16, num_heads=2, skip=1, **options)
    skipping.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(skipping(x), theirs(x[:, 1:]))


class PlainSimPool(nn.Module):
    """The authors', an image and a head at a time."""

    def __init__(self, channels, heads=1, bias=False, gamma=None, beta=False):
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.q, self.k = nn.Linear(channels, channels, bias=bias), nn.Linear(channels, channels, bias=bias)
        self.heads, self.gamma, self.beta = heads, gamma, nn.Parameter(torch.zeros(1)) if beta else None

    def forward(self, x):
        return torch.stack([self.pooled(tokens) for tokens in x])

    def pooled(self, tokens):
        u = self.norm(tokens)
        q, k = self.q(tokens.mean(0)), self.k(u)
        found = []
        for q_i, k_i, u_i in zip(*(one.chunk(self.heads, -1) for one in (q, k, u)), strict=True):
            weights = F.softmax(k_i @ q_i / len(q_i) ** 0.5, 0)
            if self.gamma is None:
                found.append(weights @ u_i)
            else:
                found.append((weights @ (u_i - u.min() + 1e-6) ** self.gamma) ** (1 / self.gamma))
        y = torch.cat(found)
        return y if self.beta is None else y + self.beta


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"num_heads": 2, "qkv_bias": True}, {"heads": 2, "bias": True}),
        ({"gamma": 2.0}, {"gamma": 2.0}),
        ({"gamma": 1.25, "use_beta": True, "num_heads": 4}, {"gamma": 1.25, "beta": True, "heads": 4}),
    ],
)
def test_sim_pool_is_the_authors(ours, theirs):
    x = torch.randn(3, 15, 8)
    agree(SimPool(8, **ours), PlainSimPool(8, **theirs), x)
    pixels = x.transpose(1, 2).unflatten(2, (3, 5))
    assert torch.equal(SimPool(8, 3, **ours).eval()(pixels).isfinite(), torch.ones(3, 8, dtype=torch.bool))


def test_sim_pool_of_equal_positions_is_their_norm():
    """Worked by hand: all weights are alike, and the values (-1, 1) and (1, -1) are 0 and 2 above their smallest."""
    module = SimPool(2, gamma=2.0).double()
    x = torch.tensor([[[1.0, 3.0], [3.0, 1.0]]], dtype=torch.float64)
    with torch.no_grad():
        module.k.weight.zero_()
    torch.testing.assert_close(module(x), torch.full((1, 2), 2.0**0.5, dtype=torch.float64), rtol=0, atol=1e-5)


def test_images_of_a_batch_do_not_mix():
    module = SimPool(8, gamma=2.0).double()
    x = torch.randn(3, 15, 8, dtype=torch.float64)
    torch.testing.assert_close(module(x)[:1], module(x[:1]), rtol=0, atol=1e-12)


POOLS = [
    ("attention_pool", {}),
    ("attention_pool", {"positions": "rotary"}),
    ("latent_attention_pool", {}),
    ("sim_pool", {"gamma": 2.0, "use_beta": True}),
]


@pytest.mark.parametrize(("pool", "options"), POOLS)
def test_in_place_of_the_mean_of_a_resnet(pool, options):
    rule = {"use": pool, "replace": "global_pool", "with": options}
    spec = {"backbone": "resnet18", "input": [3, 64, 64], "vars": {"num_classes": 7}, "attention": [rule]}
    model = composer.build(spec)
    x = torch.randn(2, 3, 64, 64)
    y = model(x)
    assert y.shape == (2, 7)
    y.square().mean().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert torch.equal(pickle.loads(pickle.dumps(model.eval()))(x), model(x))
    assert torch.equal(torch.fx.symbolic_trace(copy.deepcopy(model))(x), model(x))
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: batch},)).module()
    torch.testing.assert_close(exported(x.repeat(3, 1, 1, 1)), model(x.repeat(3, 1, 1, 1)), atol=1e-5, rtol=1e-4)
    assert copy.deepcopy(model).bfloat16()(x.bfloat16()).isfinite().all()
    with composer.record(model) as values:
        model(x)
    (weights,) = values.values()
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


@pytest.mark.parametrize(("pool", "options"), POOLS[2:])
def test_of_the_patches_of_a_vision_transformer(pool, options):
    rule = {"use": pool, "replace": "token", "with": {**options, "skip": 1}}
    if pool == "latent_attention_pool":
        rule["with"]["num_heads"] = 3
    model = composer.build({"backbone": "vit_tiny_patch16_224", "input": [3, 64, 64], "attention": [rule]})
    model(torch.randn(2, 3, 64, 64)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_refusals():
    tokens = {"shape": (9, 6), "layout": "b n c"}
    assert "`attention_pool` needs height, which b×9×6 (b n c) has not" in refusal("attention_pool", **tokens)
    assert "`sim_pool` skips 9 of 9 positions; set skip to 8 or less" in refusal(
        {"op": "sim_pool", "skip": 9}, **tokens
    )
    assert "6 channels do not divide into 8 heads" in refusal("latent_attention_pool")
    assert "`sim_pool`: beta is added to what" in refusal({"op": "sim_pool", "use_beta": True})
    text = "rotary positions take heads of a multiple of 4 channels, found 3; set num_heads"
    assert text in refusal({"op": "attention_pool", "positions": "rotary", "num_heads": 2})
    with pytest.raises(ValueError, match="attention_pool: built for maps of 7×7, found 7×8; build it for that size"):
        AttentionPool(16, 7, 7)(torch.zeros(1, 16, 7, 8))


def test_layout(x):
    y, layout, _ = run({"op": "attention_pool", "out_features": 4}, x)
    assert (y.shape, layout) == ((2, 4), "b c")
