"""Attention from other tokens, between heads and channels, and to smaller maps, beside timm's and torch's."""

from __future__ import annotations

import copy

import pytest
import torch
from layers.conftest import refusal, run
from timm.layers import RotaryEmbeddingCat
from timm.models.cait import ClassAttn, TalkingHeadAttn
from timm.models.eva import EvaAttention
from timm.models.pvt_v2 import Attention
from timm.models.xcit import XCA, PositionalEncodingFourier
from torch import nn

import composer
from composer.layers.attention import (
    CrossAttention,
    CrossCovarianceAttention,
    ScaledDotProductAttention,
    TalkingHeadAttention,
)
from composer.layers.positions import FourierPositions, RotaryPositions
from composer.layers.spatial_reduction import SpatialReductionAttention


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), requires_grad=True)


def shaken(module: nn.Module) -> nn.Module:
    """With weights that are nobody's default."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


def assert_same(ours, theirs, inputs, given) -> None:
    """Outputs, and gradients of the inputs and of each parameter, with the same weights."""
    ours.load_state_dict(theirs.state_dict())
    found, wanted = ours(*inputs), theirs(*given)
    torch.testing.assert_close(found, wanted.reshape(found.shape), atol=1e-5, rtol=1e-5)
    mine, peers = (
        torch.autograd.grad(y.reshape(found.shape).square().sum(), [*inputs, *dict(one.named_parameters()).values()])
        for y, one in ((found, ours), (wanted, theirs))
    )
    order = [name for name, _ in theirs.named_parameters()]
    assert order == [name for name, _ in ours.named_parameters()]
    for one, other in zip(mine, peers, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_class_attention_is_cross_attention_of_one_token():
    x = numbers(2, 9, 8)
    ours, theirs = CrossAttention(8, num_heads=2), shaken(ClassAttn(8, num_heads=2, qkv_bias=True))
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x[:, :1], x), theirs(x))
    assert {name for name, _ in CrossAttention(8, qkv_bias=False).named_parameters()} == {
        name for name, _ in ClassAttn(8, qkv_bias=False).named_parameters()
    }


def test_cross_attention_is_torchs_for_another_width_of_context():
    x, context = numbers(2, 5, 8), numbers(2, 7, 12)
    ours = shaken(CrossAttention(8, 12, num_heads=2))
    peer = nn.MultiheadAttention(8, 2, kdim=12, vdim=12, batch_first=True)
    state = {f"{name}_proj_weight": getattr(ours, name).weight for name in "qkv"}
    state["in_proj_bias"] = torch.cat([ours.q.bias, ours.k.bias, ours.v.bias])
    peer.load_state_dict({**state, "out_proj.weight": ours.proj.weight, "out_proj.bias": ours.proj.bias})
    wanted, weights = peer(x, context, context, average_attn_weights=False)
    torch.testing.assert_close(ours(x, context), wanted)
    torch.testing.assert_close(ours.attention(x, context), weights)


def test_talking_heads_are_timms():
    x = numbers(2, 9, 8)
    theirs = shaken(TalkingHeadAttn(8, num_heads=2, qkv_bias=True))
    assert_same(TalkingHeadAttention(8, num_heads=2), theirs, [x], [x])


def test_cross_covariance_is_timms():
    x = numbers(2, 9, 8)
    theirs = shaken(XCA(8, num_heads=2, qkv_bias=True))
    ours = CrossCovarianceAttention(8, num_heads=2)
    assert_same(ours, theirs, [x], [x])
    torch.testing.assert_close(ours.attention(x).sum(-1), torch.ones(2, 2, 4))


@pytest.mark.parametrize("options", [{}, {"sr_ratio": 2}, {"linear_attn": True}, {"qkv_bias": False}])
def test_spatial_reduction_is_timms(options):
    x = numbers(2, 9, 10, 8)
    theirs = shaken(Attention(8, num_heads=2, **options))
    ours = SpatialReductionAttention(8, num_heads=2, **options)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x).flatten(1, 2), theirs(x.flatten(1, 2), [9, 10]), atol=1e-5, rtol=1e-5)
    keys = {"sr_ratio": 20, "linear_attn": 49}.get(next(iter(options), ""), 90)
    weights = ours.attention(x)
    assert weights.shape == (2, 2, 90, keys)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 90))


@pytest.mark.parametrize(("grid", "reference"), [((3, 5), None), ((4, 6), (16, 16))])
def test_rotary_positions_are_timms(grid, reference):
    rope = RotaryEmbeddingCat(8, in_pixels=False, feat_shape=grid, ref_feat_shape=reference)
    q = numbers(2, grid[0] * grid[1] + 2, 16)
    ours = RotaryPositions(16, *grid, 2, num_heads=2, ref_feat_shape=reference)
    heads = q[:, 2:].unflatten(2, (2, 8)).permute(0, 2, 3, 1).flatten(0, 1).unflatten(2, grid)
    wanted = rope(heads).flatten(2).unflatten(0, (2, 2)).permute(0, 3, 1, 2).flatten(2)
    torch.testing.assert_close(ours(q), torch.cat([q[:, :2], wanted], 1))


EVA = {
    "input": {"shape": [13, 16], "layout": "b n c", "grid": [3, 4]},
    "nodes": {
        "qkv": {"op": "linear", "out_features": 48, "bias": False},
        "q_bias": {"op": "parameter", "shape": [16]},
        "v_bias": {"op": "parameter", "shape": [16]},
        "query": {"op": "channels", "from": "qkv", "start": 0, "end": 16},
        "biased": {"op": "add", "from": ["query", "q_bias"]},
        "q": {"op": "rotary_positions", "num_heads": 2},
        "key": {"op": "channels", "from": "qkv", "start": 16, "end": 32},
        "k": {"op": "rotary_positions", "num_heads": 2},
        "value": {"op": "channels", "from": "qkv", "start": 32, "end": 48},
        "v": {"op": "add", "from": ["value", "v_bias"]},
        "heads": {"op": "scaled_dot_product_attention", "from": ["q", "k", "v"], "num_heads": 2},
        "proj": {"op": "linear", "out_features": 16},
    },
}


def test_an_attention_written_in_yaml_is_timms():
    """EVA's: no bias for keys, which no softmax sees, and rotary positions."""
    x = numbers(2, 13, 16)
    rope = RotaryEmbeddingCat(8, in_pixels=False, feat_shape=(3, 4)).get_embed()
    theirs = shaken(EvaAttention(16, num_heads=2, scale_norm=False))
    ours = composer.build(EVA)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs(x, rope), atol=1e-5, rtol=1e-5)
    assert "query = query + self.q_bias  # biased" in ours.code
    with composer.record(ours) as values:
        ours(x)
    assert values["heads"].shape == (2, 2, 13, 13)
    torch.testing.assert_close(values["heads"].sum(-1), torch.ones(2, 2, 13))


def test_fourier_positions_are_timms_for_maps_of_any_size():
    theirs = shaken(PositionalEncodingFourier(hidden_dim=6, dim=5))
    ours = FourierPositions(5, hidden_dim=6)
    ours.load_state_dict(theirs.state_dict())
    for height, width in ((4, 7), (1, 1)):
        x = numbers(2, 5, height, width)
        torch.testing.assert_close(ours(x), x + theirs(2, height, width))


LAYERS = [
    (CrossAttention(8, 4, num_heads=2), [numbers(2, 5, 8), numbers(2, 6, 4)]),
    (ScaledDotProductAttention(num_heads=2, scale=0.3), [numbers(2, 5, 8), numbers(2, 6, 8), numbers(2, 6, 4)]),
    (TalkingHeadAttention(8, num_heads=2), [numbers(2, 5, 8)]),
    (CrossCovarianceAttention(8, num_heads=2), [numbers(2, 5, 8)]),
    (SpatialReductionAttention(8, num_heads=2, sr_ratio=2), [numbers(2, 5, 6, 8)]),
    (SpatialReductionAttention(8, num_heads=2, linear_attn=True), [numbers(2, 5, 6, 8)]),
    (RotaryPositions(8, 2, 2, 1, num_heads=2), [numbers(2, 5, 8)]),
    (FourierPositions(8), [numbers(2, 8, 3, 4)]),
]


@pytest.mark.parametrize(("module", "inputs"), LAYERS, ids=lambda one: type(one).__name__)
def test_they_are_traced_exported_and_run_in_half_precision(module, inputs):
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = module

        def forward(self, a, b=None, c=None):
            return self.one(*(a, b, c)[: len(inputs)])

    inputs = [x.detach() for x in inputs]
    around, expected = Around().eval(), module(*inputs)
    traced = torch.fx.symbolic_trace(around, concrete_args=dict.fromkeys("abc"[len(inputs) :]))
    assert torch.equal(copy.deepcopy(traced)(*inputs), expected)
    exported = torch.export.export(around, tuple(inputs)).module()
    torch.testing.assert_close(exported(*inputs), expected)
    half = copy.deepcopy(module).bfloat16()(*(x.bfloat16() for x in inputs))
    # A number of bfloat16 has eight bits.
    assert (half.float() - expected).abs().max() <= 0.02 * expected.abs().max()


def test_angles_come_back_with_the_weights():
    node = {"op": "rotary_positions", "num_heads": 2}
    spec = {"input": EVA["input"], "nodes": {"q": node}}
    model, x = composer.build(spec), numbers(2, 13, 16)
    with torch.device("meta"):
        empty = composer.build(spec)
    empty = empty.to_empty(device="cpu")
    for buffer in empty.buffers():
        buffer.fill_(float("nan"))
    empty.load_state_dict(model.state_dict())
    assert torch.equal(empty(x), model(x))


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"op": "cross_attention"}, "takes 2 inputs, found 1"),
        (
            {"op": "cross_attention", "from": ["input", "input"], "num_heads": 4},
            "6 channels do not divide into 4 heads",
        ),
        ({"op": "talking_head_attention", "num_heads": 4}, "6 channels do not divide into 4 heads"),
        ({"op": "cross_covariance_attention", "num_heads": 4}, "6 channels do not divide into 4 heads"),
        ({"op": "scaled_dot_product_attention"}, "takes 3 to 4 inputs, found 1"),
        (
            {"op": "scaled_dot_product_attention", "from": ["input", "narrow", "input"]},
            "takes queries and keys of as many channels",
        ),
        ({"op": "spatial_reduction_attention", "num_heads": 2}, "works on `b h w c`, found `b n c`"),
        ({"op": "rotary_positions"}, "`rotary_positions` needs grid_height, which b×9×6 (b n c) has not"),
        ({"op": "fourier_positions"}, "works on `b c h w`, found `b n c`"),
        ({"op": "channels", "start": 3, "end": 9}, "cannot take 3 to 9 of 6 channels"),
    ],
)
def test_refusals(node, said):
    narrow = {"op": "linear", "out_features": 4, "from": "input"}
    assert said in refusal({"from": "input", **node}, shape=(9, 6), layout="b n c", narrow=narrow)


def test_a_map_that_is_smaller_than_its_reduction_is_refused():
    node = {"op": "spatial_reduction_attention", "num_heads": 2, "sr_ratio": 8}
    assert "cannot reduce a map of 5×7 by 8; set sr_ratio to 5" in refusal(node, shape=(5, 7, 6), layout="b h w c")


def test_heads_of_rotary_positions_have_rows_and_columns():
    spec = {"input": [6, 3, 3], "nodes": {"tokens": "map_to_tokens", "tested": "rotary_positions"}}
    with pytest.raises(composer.GraphError, match="6 channels do not divide into 1 heads of a multiple of 4"):
        composer.graph(spec)
    with pytest.raises(ValueError, match=r"built for 1 \+ 2×2 tokens, found 6; build it for that size"):
        RotaryPositions(8, 2, 2, 1)(torch.zeros(1, 6, 8))


def test_channels_of_tokens_are_taken(tokens):
    y, layout, model = run({"op": "channels", "start": 2, "end": 5}, tokens, layout="b n c")
    assert torch.equal(y, tokens[..., 2:5])
    assert (layout, "x[..., 2:5]" in model.code) == ("b n c", True)
