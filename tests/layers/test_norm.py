"""Normalisations and scales with few words to say: PyTorch's own, timm's, and their equations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from layers.conftest import refusal, run
from torch import nn

import composer


@pytest.fixture
def last(x):
    """The map, channels last."""
    return x.permute(0, 2, 3, 1).contiguous()


def drawn(model):
    """The tested layer, its weights drawn anew: most start where they do nothing."""
    tested = model.get_submodule("tested")
    for parameter in tested.parameters():
        nn.init.normal_(parameter)
    return tested


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("num_groups", [1, 3, 6])
def test_group_norm_is_pytorchs(num_groups, affine, x):
    _, layout, model = run({"op": "group_norm", "num_groups": num_groups, "eps": 1e-3, "affine": affine}, x)
    tested = drawn(model)
    assert type(tested) is nn.GroupNorm
    assert torch.equal(model(x), F.group_norm(x, num_groups, tested.weight, tested.bias, 1e-3))
    assert layout == "b c h w"
    assert len(list(tested.parameters())) == 2 * affine


def test_group_norm_of_vectors(x):
    vectors = x[:, :, 0, 0]
    y, layout, _ = run({"op": "group_norm", "num_groups": 2, "affine": False}, vectors)
    assert torch.equal(y, F.group_norm(vectors, 2))
    assert layout == "b c"


def test_norms_without_scale_and_shift(x, tokens):
    y, _, model = run({"op": "batch_norm", "affine": False}, x)
    assert not list(model.parameters())
    assert torch.equal(y, F.batch_norm(x, torch.zeros(6).double(), torch.ones(6).double()))
    y, _, model = run({"op": "layer_norm", "affine": False}, tokens, layout="b n c")
    assert type(model.get_submodule("tested")) is nn.LayerNorm
    assert not list(model.parameters())
    assert torch.equal(y, F.layer_norm(tokens, (6,)))
    y, _, model = run({"op": "layer_norm_2d", "affine": False}, x)
    assert not list(model.parameters())
    assert torch.equal(y, F.layer_norm(x.permute(0, 2, 3, 1), (6,)).permute(0, 3, 1, 2))


@pytest.mark.parametrize("op", ["grn", "grn_2d"])
def test_global_response_norm_is_timms(op, x, last):
    from timm.layers.grn import GlobalResponseNorm

    x = last if op == "grn" else x
    y, layout, model = run(op, x, layout="b h w c" if op == "grn" else "b c h w")
    assert torch.equal(y, x)
    peer = GlobalResponseNorm(6, channels_last=op == "grn").double()
    peer.load_state_dict(drawn(model).state_dict())
    assert torch.equal(model(x), peer(x))
    assert layout == ("b h w c" if op == "grn" else "b c h w")


def test_global_response_norm_by_hand():
    # Lengths 5 and 1, of which the mean is 3: the channels are strong by 5/3 and 1/3.
    x = torch.tensor([[3.0, 4.0], [0.0, 1.0]]).double().view(1, 2, 1, 2)
    _, _, model = run({"op": "grn_2d", "eps": 1e-12}, x)
    tested = model.get_submodule("tested")
    with torch.no_grad():
        tested.weight.copy_(torch.tensor([3.0, 6.0]))
        tested.bias.copy_(torch.tensor([1.0, 0.0]))
    assert torch.allclose(model(x).flatten(), torch.tensor([3 + 15 + 1, 4 + 20 + 1, 0, 1 + 2.0]).double())


@pytest.mark.parametrize("dim", [1, -1])
def test_vectors_of_length_one(dim, x):
    y, layout, model = run({"op": "l2_norm", "dim": dim}, x)
    assert torch.equal(y, F.normalize(x, dim=dim))
    assert torch.allclose(y.square().sum(dim), torch.ones(()).double())
    assert layout == "b c h w"
    assert f"torch.nn.functional.normalize(x, dim={dim})" in model.code
    zero = torch.zeros(1, 2, 1, 1).double()
    assert torch.equal(run({"op": "l2_norm", "eps": 0.1}, zero + 0.03)[0], F.normalize(zero + 0.03, dim=1, eps=0.1))


def test_layer_scale_is_timms(x, tokens):
    from timm.layers import LayerScale, LayerScale2d

    for op, peer, given, layout in (
        ("layer_scale", LayerScale(6), tokens, "b n c"),
        ("layer_scale_2d", LayerScale2d(6), x, "b c h w"),
    ):
        y, found, model = run(op, given, layout=layout)
        assert torch.allclose(y, given * 1e-5)
        assert found == layout
        peer.double().load_state_dict(drawn(model).state_dict())
        assert torch.equal(model(given), peer(given))
    y, _, _ = run({"op": "layer_scale_2d", "init_values": 0.5}, x)
    assert torch.equal(y, 0.5 * x)


def test_they_are_trained_with_attention_around_them():
    spec = {
        "input": [6, 5, 7],
        "nodes": {
            "conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3},
            "norm": {"op": "group_norm", "num_groups": 4},
            "act": "relu",
            "last": "channels_last",
            "grn": "grn",
            "scale": "layer_scale",
        },
        "attention": [{"use": "se", "after": "norm"}],
    }
    model = composer.build(spec)
    model(torch.randn(2, 6, 5, 7)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert sum(parameter.numel() for parameter in model.grn.parameters()) == 16
    assert model.graph.macs["norm"] == model.graph.macs["grn"] == model.graph.macs["scale"] == 0


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (
            {"op": "group_norm", "num_groups": 4},
            "6 channels into 4 groups; set num_groups to a divisor of 6",
        ),
        (
            {"op": "group_norm", "num_groups": 2, "from": "last"},
            "must be `c`; found layout `b h w c`",
        ),
        ("group_norm", "needs `num_groups`"),
        ({"op": "batch_norm", "init": "zeros", "affine": False}, "`init: zeros` sets the scale"),
        ("grn", "works on `b h w c`, found `b c h w`"),
        ({"op": "grn_2d", "from": "last"}, "works on `b c h w`, found `b h w c`"),
        ("layer_scale", "last axis, which must be `c`"),
        ({"op": "l2_norm", "dim": 0}, "`l2_norm` along axis 0 of b×6×5×7; set dim from 1 to 3"),
        ({"op": "l2_norm", "eps": 0}, "`eps` of `l2_norm`"),
    ],
)
def test_refusals(node, said):
    written = {"op": node} if isinstance(node, str) else node
    assert said in refusal({"from": "input", **written}, last={"op": "channels_last", "from": "input"})
