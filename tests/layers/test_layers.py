"""Each layer in a graph: its result against plain arithmetic, the layout it gives, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from layers.conftest import MAP, refusal, run

import composer
from composer import registry
from composer.dag.tensor import TensorSpec


@pytest.mark.parametrize(
    ("node", "peer"),
    [
        ("relu", lambda z: z.clip(0)),
        ("relu6", lambda z: z.clip(0, 6)),
        ({"op": "leaky_relu", "negative_slope": 0.2}, lambda z: np.where(z > 0, z, 0.2 * z)),
        ("silu", lambda z: z / (1 + np.exp(-z))),
        ("sigmoid", lambda z: 1 / (1 + np.exp(-z))),
        ("hard_sigmoid", lambda z: (z + 3).clip(0, 6) / 6),
        ("hard_swish", lambda z: z * (z + 3).clip(0, 6) / 6),
        ("identity", lambda z: z),
        ({"op": "dropout", "p": 0.9}, lambda z: z),
        ({"op": "drop_path", "p": 0.9}, lambda z: z),
    ],
)
def test_activations(node, peer, x):
    y, layout, _ = run(node, 5 * x)
    assert np.allclose(y, peer(5 * x.numpy()), atol=1e-12)
    assert layout == "b c h w"


def test_drop_path_drops_whole_examples():
    _, _, model = run({"op": "drop_path", "p": 0.25}, torch.ones(2, 3, 2, 2))
    y = model.train()(torch.ones(4000, 3, 2, 2, dtype=torch.float64))
    assert torch.equal(y, y[:, :1, :1, :1].expand_as(y))
    assert set(y.unique().tolist()) == {0.0, 1 / 0.75}
    assert (y[:, 0, 0, 0] == 0).double().mean().item() == pytest.approx(0.25, abs=0.03)
    model.tested.p = 1.0
    assert not model(torch.ones(4, 3, 2, 2)).any()


def test_gelu_and_its_cheaper_formula(x):
    for approximate in ("none", "tanh"):
        y, _, _ = run({"op": "gelu", "approximate": approximate}, x)
        assert torch.equal(y, F.gelu(x, approximate=approximate))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("kernel_size", "groups", "bias"), [(1, 1, True), (3, 2, False), (5, 6, True)])
def test_convolution_keeps_the_size_of_odd_kernels(x, kernel_size, stride, groups, bias):
    options = {"kernel_size": kernel_size, "stride": stride, "groups": groups, "bias": bias}
    y, layout, model = run({"op": "conv2d", "out_channels": 12, **options}, x)
    tested = model.get_submodule("tested")
    assert torch.equal(y, F.conv2d(x, tested.weight, tested.bias, stride, kernel_size // 2, 1, groups))
    assert y.shape[2:] == (-(-5 // stride), -(-7 // stride))
    assert (tested.bias is not None) == bias
    assert layout == "b c h w"


def test_he_initialisation_has_the_papers_variance():
    conv = composer.build(
        {"input": [64, 9, 9], "nodes": {"c": {"op": "conv2d", "out_channels": 128, "kernel_size": 3}}}
    )
    assert conv.get_parameter("c.weight").var().item() == pytest.approx(2 / (9 * 128), rel=0.02)


def test_truncated_normal_initialisation_of_a_convolution():
    node = {"op": "conv2d", "out_channels": 128, "kernel_size": 3, "bias": True, "init": "trunc_normal"}
    conv = composer.build({"input": [64, 9, 9], "nodes": {"c": node}})
    assert conv.get_parameter("c.weight").std().item() == pytest.approx(0.02, rel=0.02)
    assert not conv.get_parameter("c.bias").any()


def test_rectangular_and_dilated_convolution(x):
    node = {"op": "conv2d", "out_channels": 4, "kernel_size": [3, 5], "dilation": [1, 2], "stride": [2, 1]}
    y, _, model = run(node, x)
    assert torch.equal(y, F.conv2d(x, model.get_submodule("tested").weight, None, (2, 1), (1, 4), (1, 2)))


def test_linear_batch_and_layer_norm(x, tokens):
    y, layout, model = run({"op": "linear", "out_features": 4}, tokens, layout="b n c")
    tested = model.get_submodule("tested")
    assert torch.allclose(y, torch.einsum("bnc,oc->bno", tokens, tested.weight) + tested.bias)
    assert layout == "b n c"
    y, _, _ = run({"op": "layer_norm", "eps": 1e-6}, tokens, layout="b n c")
    centred = tokens - tokens.mean(-1, keepdim=True)
    assert torch.allclose(y, centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt())
    y, layout, _ = run("layer_norm_2d", x)
    centred = x - x.mean(1, keepdim=True)
    assert torch.allclose(y, centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt())
    assert layout == "b c h w"
    y, _, _ = run("batch_norm", x)
    assert torch.allclose(y, x / (1 + 1e-5) ** 0.5)


def test_pools(x):
    node = {"kernel_size": 3, "stride": 2}
    assert torch.equal(run({"op": "max_pool", **node}, x)[0], F.max_pool2d(x, 3, 2, 1))
    assert torch.equal(run({"op": "avg_pool", "kernel_size": 2}, x)[0], F.avg_pool2d(x, 2))
    node = {"op": "avg_pool", "kernel_size": 3, "stride": 2, "ceil_mode": True, "count_include_pad": False}
    assert torch.equal(run(node, x)[0], F.avg_pool2d(x, 3, 2, 1, True, False))
    y, layout, _ = run("global_avg_pool", x)
    assert torch.allclose(y, x.flatten(2).mean(2))
    assert layout == "b c"
    y, layout, _ = run({"op": "global_avg_pool", "keepdim": True}, x)
    assert y.shape == (2, 6, 1, 1)
    assert layout == "b c h w"


def test_short_sides_are_stretched(x):
    y, layout, _ = run({"op": "at_least", "size": 6}, x)
    # Row i of 6 is the mean of rows floor(5 i / 6) up to ceil(5 (i + 1) / 6) of 5.
    rows = [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5)]
    assert torch.allclose(y, torch.stack([x[:, :, a:b].mean(2) for a, b in rows], 2))
    assert layout == "b c h w"
    assert torch.equal(run({"op": "at_least", "size": 5}, x)[0], x)


def test_merges(x):
    other = x.flip(0)
    assert torch.equal(run({"op": "add"}, x, other, x)[0], x + other + x)
    assert torch.equal(run({"op": "mul"}, x, other)[0], x * other)
    assert torch.equal(run({"op": "average"}, x, other)[0], (x + other) / 2)
    y, layout, _ = run({"op": "concat"}, x, other)
    assert torch.equal(y, torch.cat([x, other], 1))
    assert layout == "b c h w"
    assert torch.equal(run({"op": "concat", "axis": "h"}, x, other)[0], torch.cat([x, other], 2))
    vector = torch.randn(2, 6, dtype=torch.float64)
    assert torch.equal(run({"op": "concat"}, vector, vector)[0], torch.cat([vector, vector], 1))


def test_nothing_is_broadcast_in_silence(x):
    narrow = {"op": "avg_pool", "kernel_size": 5, "stride": 5, "padding": 0, "from": "input"}
    small = {"op": "add", "from": ["input", "narrow"]}
    assert "takes inputs of one shape, found b×6×5×7 and b×6×1×1" in refusal(small, narrow=narrow)
    assert "one shape" in refusal({**small, "op": "mul"}, narrow=narrow)
    y, _, _ = run({"op": "mul", "broadcast": True}, x, x[:, :, :1, :1])
    assert torch.equal(y, x * x[:, :, :1, :1])
    assert "in all other axes" in refusal({**small, "op": "concat"}, narrow=narrow)
    assert "at least 2 inputs" in refusal("add")
    assert "cannot broadcast" in refusal({**small, "broadcast": True}, narrow={**narrow, "kernel_size": 3, "stride": 3})


def test_shapes(x):
    y, layout, _ = run({"op": "rearrange", "pattern": "b c h w -> b (h w) c"}, x)
    assert torch.equal(y, x.flatten(2).transpose(1, 2))
    assert layout == "b n c"
    y, layout, _ = run({"op": "rearrange", "pattern": "b c h w -> b h w c"}, x)
    assert torch.equal(y, x.permute(0, 2, 3, 1))
    assert layout == "b h w c"
    y, layout, _ = run("channels_last", x)
    assert layout == "b h w c"
    assert torch.equal(run("channels_first", y, layout="b h w c")[0], x)
    assert torch.equal(run("flatten", x)[0], x.reshape(2, -1))
    y, layout, _ = run({"op": "channels", "start": 2, "end": 5}, x)
    assert torch.equal(y, x[:, 2:5])
    y, _, _ = run({"op": "channel_shuffle", "groups": 3}, x)
    # Group g holds channels 2g and 2g + 1; they are dealt out in turn.
    assert torch.equal(y, x[:, [0, 2, 4, 1, 3, 5]])


@pytest.mark.parametrize(
    "pattern",
    [
        "b c h w",
        "b c h w ->",
        "b c h w -> b (c h w",
        "b c h w -> b (c (h w))",
        "b (c h) w -> b c h w",
        "b 1 h w -> b h w",
        "b c h w -> b c h",
        "b c h h -> b c h h",
        "b c h w -> b () c h w",
        "a" * 50_000 + "!",
    ],
)
def test_patterns_that_are_refused(pattern):
    assert "`rearrange`" in refusal({"op": "rearrange", "pattern": pattern})


def test_tokens(x, tokens):
    y, layout, _ = run("map_to_tokens", x)
    assert torch.equal(y, x.flatten(2).transpose(1, 2))
    assert layout == "b n c"
    y, _, _ = run({"op": "map_to_tokens", "axis": "channels"}, x)
    assert torch.equal(y, x.flatten(2))
    for axis in ("pixels", "channels"):
        spec = {
            "input": list(MAP[1:]),
            "nodes": {
                "there": {"op": "map_to_tokens", "axis": axis},
                "back": {"op": "tokens_to_map", "axis": axis, "from": ["there", "input"]},
            },
        }
        assert torch.equal(composer.build(spec)(x), x)
    y, _, _ = run({"op": "take_token", "index": -1}, tokens, layout="b n c")
    assert torch.equal(y, tokens[:, -1])
    y, layout, _ = run({"op": "mean_tokens", "skip": 1}, tokens, layout="b n c")
    assert torch.allclose(y, tokens[:, 1:].mean(1))
    assert layout == "b c"


def test_a_token_in_front_of_each_sequence(tokens):
    spec = {
        "input": {"shape": [9, 6], "layout": "b n c"},
        "nodes": {
            "token": {"op": "parameter", "shape": [1, 1, 6], "init": "normal", "std": 1.0},
            "put": {"op": "prepend_token", "from": ["token", "input"]},
        },
    }
    model = composer.build(spec).double()
    y = model(tokens)
    assert torch.equal(y[:, 1:], tokens)
    assert torch.equal(y[:, 0], model.get_parameter("token")[0].expand(2, 6))


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"op": "conv2d", "out_channels": 8, "kernel_size": 3, "groups": 4}, "6 input channels do not divide into 4"),
        ({"op": "conv2d", "out_channels": 8, "kernel_size": 3, "groups": 3}, "8 output channels do not divide into 3"),
        ({"op": "conv2d", "out_channels": 8, "kernel_size": 9, "padding": 0}, "does not fit b×6×5×7"),
        ({"op": "max_pool", "kernel_size": 9, "padding": 0}, "does not fit b×6×5×7"),
        ({"op": "max_pool", "kernel_size": 3, "padding": 2}, "set padding to 1 or less"),
        ({"op": "channel_shuffle", "groups": 4}, "6 channels into 4 groups"),
        ({"op": "channels", "start": 4, "end": 7}, "set 0 <= start < end <= 6"),
        ({"op": "linear", "out_features": 3}, "last axis"),
        ("layer_norm", "last axis"),
        ("take_token", "b n c"),
        ("channels_first", "works on `b h w c`, found `b c h w`"),
        ({"op": "conv2d", "kernel_size": 3}, "needs `out_channels`"),
        ({"op": "conv2d", "out_channels": 0, "kernel_size": 3}, "`out_channels` of `conv2d`"),
        ({"op": "conv2d", "out_channels": 3.0, "kernel_size": 3}, "`out_channels` of `conv2d`"),
        ({"op": "conv2d", "out_channels": True, "kernel_size": 3}, "`out_channels` of `conv2d`"),
    ],
)
def test_refusals(node, said):
    assert said in refusal(node)


@pytest.mark.parametrize("entry", registry.entries("layer"), ids=lambda entry: entry.name)
def test_every_layer_is_described(entry):
    assert entry.summary, f"{entry.file}:{entry.line}"
    assert repr(entry) == f"<layer {entry.name}: {entry.kind}>"


def test_tensors_print_as_people_write_them():
    assert str(TensorSpec((2, 6, 5, 7), "b c h w")) == "b×6×5×7"


def test_positions_of_another_grid_are_timms():
    from timm.layers import resample_abs_pos_embed

    spec = {
        "input": [3, 4, 4],
        "nodes": {
            "positions": {"op": "parameter", "shape": [1, 17, 6], "init": "normal", "std": 1.0},
            "resized": {"op": "resize_positions", "source": [4, 4], "target": [3, 7], "skip": 1},
            "tokens": {"op": "conv2d", "from": "input", "out_channels": 6, "kernel_size": 1},
            "pooled": "global_avg_pool",
        },
        "outputs": {"resized": "resized", "pooled": "pooled"},
    }
    model = composer.build(spec)
    expected = resample_abs_pos_embed(model.get_parameter("positions"), [3, 7], [4, 4])
    assert torch.equal(model(torch.randn(2, 3, 4, 4))["resized"], expected)
    spec["nodes"]["resized"]["source"] = [3, 4]
    with pytest.raises(composer.GraphError, match="1 \\+ 3×4 = 13 positions, found 1×17×6"):
        composer.graph(spec)


def test_a_vision_transformer_takes_its_weights_to_a_larger_input():
    small = {"depth": 1, "dim": 24, "num_heads": 3, "num_classes": 5}
    model = composer.build("vit_base_patch16_224", vars=small).eval()
    wide = composer.load("vit_base_patch16_224", vars={**small, "learnt": 14}, sets=["input=[3, 64, 96]"])
    other = composer.build(wide).eval()
    assert composer.load_weights(other, model.state_dict(), require="all").loaded
    assert other(torch.randn(2, 3, 64, 96)).shape == (2, 5)
