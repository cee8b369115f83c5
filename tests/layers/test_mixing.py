"""Linear layers over axes other than channels, slices of tokens, and how weights are drawn."""

from __future__ import annotations

import math

import pytest
import torch
from layers.conftest import refusal, run
from torch import nn

import composer

MIXER = {
    "input": {"shape": [9, 6], "layout": "b n c"},
    "blocks": {
        "mlp_tokens": {
            "nodes": {
                "turned": {"op": "rearrange", "pattern": "b n c -> b c n"},
                "fc1": {"op": "axis_linear", "out_features": 4},
                "act": "gelu",
                "fc2": {"op": "axis_linear", "out_features": 9},
                "back": {"op": "rearrange", "pattern": "b c n -> b n c"},
            }
        },
        "mlp_channels": {
            "nodes": {
                "fc1": {"op": "linear", "out_features": 24},
                "act": "gelu",
                "fc2": {"op": "linear", "out_features": 6},
            }
        },
    },
    "nodes": {
        "norm1": {"op": "layer_norm", "eps": 1e-6},
        "mlp_tokens": {"block": "mlp_tokens"},
        "add1": {"op": "add", "from": ["input", "mlp_tokens"]},
        "norm2": {"op": "layer_norm", "eps": 1e-6},
        "mlp_channels": {"block": "mlp_channels"},
        "add2": {"op": "add", "from": ["add1", "mlp_channels"]},
    },
}


def test_mlp_mixers_block_is_timms():
    from timm.models.mlp_mixer import MixerBlock

    peer = MixerBlock(6, 9, mlp_ratio=(4 / 6, 4.0)).eval()
    model = composer.build(MIXER).eval()
    model.load_state_dict(peer.state_dict())
    x = torch.randn(2, 9, 6)
    assert torch.equal(model(x), peer(x))
    assert type(model.mlp_tokens.fc1) is nn.Linear
    assert model.graph.macs["mlp_tokens.fc1"] == 6 * 9 * 4
    assert model.graph.macs["mlp_tokens.fc2"] == 6 * 4 * 9


@pytest.mark.parametrize(("axis", "pattern"), [("h", "b c h w -> b w c h"), ("w", "b c h w -> b h c w")])
def test_rows_and_columns_are_mixed(axis, pattern, x):
    spec = {
        "input": [6, 5, 7],
        "nodes": {
            "turned": {"op": "rearrange", "pattern": pattern},
            "tested": {"op": "axis_linear", "axis": axis, "out_features": 3, "bias": False},
        },
    }
    model = composer.build(spec).double()
    weight = model.get_parameter("tested.weight")
    turned = x.permute(0, 3, 1, 2) if axis == "h" else x.permute(0, 2, 1, 3)
    assert torch.allclose(model(x), torch.einsum("bijk,ok->bijo", turned, weight))
    assert model.graph.root.nodes["tested"].output.axis(axis) == 3


@pytest.mark.parametrize(
    ("options", "kept", "code"),
    [
        ({"start": 1}, slice(1, None), "x[:, 1:]"),
        ({"end": 1}, slice(None, 1), "x[:, :1]"),
        ({"start": 2, "end": -3}, slice(2, -3), "x[:, 2:-3]"),
        ({"start": -2}, slice(-2, None), "x[:, -2:]"),
    ],
)
def test_slices_of_tokens(options, kept, code, tokens):
    y, layout, model = run({"op": "slice_tokens", **options}, tokens, layout="b n c")
    assert torch.equal(y, tokens[:, kept])
    assert layout == "b n c"
    assert code in model.code


LAWS = [
    ("xavier_uniform", math.sqrt(2 / 192)),
    ("xavier_normal", math.sqrt(2 / 192)),
    ("zeros", 0.0),
]


@pytest.mark.parametrize(("law", "deviation"), LAWS)
def test_laws_that_weights_are_drawn_by(law, deviation):
    nodes = {
        "fc": {"op": "linear", "out_features": 64, "init": law, "from": "input"},
        "map": {"op": "tokens_to_map", "from": ["input", "like"]},
        "conv": {"op": "conv2d", "out_channels": 64, "kernel_size": 1, "init": law, "bias": True},
        "up": {
            "op": "conv_transpose2d",
            "out_channels": 64,
            "kernel_size": 1,
            "init": law,
            "bias": True,
            "from": "map",
        },
    }
    inputs = {"input": {"shape": [4, 128], "layout": "b n c"}, "like": [1, 2, 2]}
    model = composer.build({"inputs": inputs, "nodes": nodes, "outputs": {"fc": "fc", "conv": "conv", "up": "up"}})
    for made in (model.fc, model.conv, model.up):
        assert made.weight.std().item() == pytest.approx(deviation, rel=0.03)
        assert made.bias is None or not made.bias.any()
        if law == "xavier_uniform":
            assert made.weight.abs().max() <= math.sqrt(6 / 192)


def test_lecuns_law_and_biases_that_are_drawn_are_timms():
    from timm.layers import lecun_normal_

    nodes = {
        "conv": {"op": "conv2d", "out_channels": 512, "kernel_size": 3, "init": "lecun_normal", "bias": True},
        "mean": "global_avg_pool",
        "fc": {"op": "linear", "out_features": 4096, "init": "xavier_uniform", "bias_init": "normal"},
    }
    model = composer.build({"input": [64, 4, 4], "nodes": nodes})
    peer = torch.empty_like(model.conv.weight)
    lecun_normal_(peer)
    assert model.conv.weight.std().item() == pytest.approx(peer.std().item(), rel=0.01)
    assert model.conv.weight.abs().max().item() == pytest.approx(peer.abs().max().item(), rel=1e-3)
    assert not model.conv.bias.any()
    assert model.fc.bias.std().item() == pytest.approx(1e-6, rel=0.05)


CONV = {"out_channels": 64, "kernel_size": 3, "bias": True}
BIASED = [
    ({"op": "linear", "out_features": 64}, {"shape": [64], "layout": "b c"}),
    ({"op": "conv1d", **CONV}, {"shape": [64, 3], "layout": "b c l"}),
    ({"op": "conv2d", **CONV}, {"shape": [64, 3, 3]}),
    ({"op": "conv3d", **CONV}, {"shape": [64, 3, 3, 3], "layout": "b c t h w"}),
    ({"op": "conv_transpose2d", **CONV}, {"shape": [64, 3, 3]}),
]


@pytest.mark.parametrize("law", ["zeros", "torch", "normal", 0.02, -1])
@pytest.mark.parametrize(("node", "input"), BIASED, ids=[node["op"] for node, _ in BIASED])
def test_biases_start_as_told(node, input, law):
    """With any law of the weights, which keep theirs."""
    tested = {"init": "normal", "std": 0.5, **node, "bias_init": law}
    made = composer.build({"input": input, "nodes": {"tested": tested}}).tested
    assert made.weight.std().item() == pytest.approx(0.5, rel=0.05)
    if law == "torch":
        bound = nn.init._calculate_fan_in_and_fan_out(made.weight)[0] ** -0.5
        assert 0.8 * bound < made.bias.abs().max() <= bound
    elif law == "normal":
        assert made.bias.std().item() == pytest.approx(1e-6, rel=0.5)
    else:
        assert (made.bias == (0 if law == "zeros" else law)).all()


@pytest.mark.parametrize("law", [".inf", "ones", True])
def test_other_laws_of_biases_are_refused(law):
    assert "`bias_init` of `conv2d`" in refusal({"op": "conv2d", **CONV, "bias_init": law})


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"op": "axis_linear", "out_features": 4}, 'put `{op: rearrange, pattern: "b n c -> b c n"}` before it'),
        ({"op": "axis_linear", "axis": "h", "out_features": 4}, "found layout `b n c`; set axis to one that it has"),
        ({"op": "axis_linear"}, "needs `out_features`"),
        ({"op": "slice_tokens", "start": 9}, "from 9 to the end leaves none of 9 tokens; set 0 <= start < end <= 9"),
        ({"op": "slice_tokens", "start": 4, "end": 2}, "from 4 to 2 leaves none of 9 tokens"),
        ({"op": "slice_tokens", "start": 1.5}, "`start` of `slice_tokens`"),
    ],
)
def test_refusals(node, said):
    assert said in refusal(node, shape=(9, 6), layout="b n c")
