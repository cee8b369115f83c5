"""The options that later papers add to multi-head self-attention, each beside timm's or PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from timm.layers import Attention, AttentionRope, LayerScale, RotaryEmbeddingCat
from timm.layers.pos_embed_rel import RelPosBias
from timm.models.cait import TalkingHeadAttn
from torch import nn

import composer
from composer.errors import ComposerError
from composer.mechanisms.token.mhsa import MultiHeadSelfAttention
from tests.mechanisms.oracle import agree

GRID = (3, 5)


def tokens(prefix=0, channels=16):
    return torch.randn(2, prefix + GRID[0] * GRID[1], channels)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("qk_norm", [False, True])
def test_norms_and_gates(qk_norm, gated):
    ours = MultiHeadSelfAttention(16, num_heads=4, qk_norm=qk_norm, gated=gated)
    theirs = Attention(16, 4, qkv_bias=True, qk_norm=qk_norm, gated=gated, norm_layer=nn.LayerNorm)
    agree(ours, theirs, tokens())


class Rotated(nn.Module):
    """timm's attention, with what its networks give it."""

    def __init__(self, prefix, kv_heads):
        super().__init__()
        self.attn = AttentionRope(16, 4, num_prefix_tokens=prefix, num_kv_heads=kv_heads, qkv_fused=False)
        self.rope = RotaryEmbeddingCat(4, in_pixels=False, feat_shape=GRID).double()

    def forward(self, x):
        return self.attn(x, rope=self.rope.get_embed())


def apart(kv_heads):
    """Our state_dict with separate projections."""

    def carry(state):
        lengths = [16, 4 * kv_heads, 4 * kv_heads]
        own = {f"attn.{name}": one for name, one in state.items() if not name.startswith("qkv")}
        for kind in ("weight", "bias"):
            parts = state[f"qkv.{kind}"].split(lengths)
            own |= {f"attn.{name}_proj.{kind}": part for name, part in zip("qkv", parts, strict=True)}
        return own

    return carry


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("prefix", [0, 2])
def test_rotary_positions_and_fewer_heads_of_keys(prefix, kv_heads):
    ours = MultiHeadSelfAttention(16, *GRID, prefix, num_heads=4, positions="rotary", num_kv_heads=kv_heads)
    # timm computes the angles in float32.
    agree(ours, Rotated(prefix, kv_heads), tokens(prefix), carry=apart(kv_heads), tolerance=1e-6)


class Biased(nn.Module):
    """timm's attention with the mask of its relative positions, as in BEiT."""

    def __init__(self, prefix):
        super().__init__()
        self.attn, self.bias = Attention(16, 4, qkv_bias=True), RelPosBias(GRID, 4, prefix)

    def forward(self, x):
        return self.attn(x, attn_mask=self.bias.get_bias())


def as_biased(state):
    parts = [state[name] for name in ("relative.grid.relative_position_bias_table", "relative.prefix") if name in state]
    own = {f"attn.{name}": one for name, one in state.items() if not name.startswith("relative")}
    return {**own, "bias.relative_position_bias_table": torch.cat(parts)}


@pytest.mark.parametrize("prefix", [0, 1])
def test_relative_positions(prefix):
    ours = MultiHeadSelfAttention(16, *GRID, prefix, num_heads=4, positions="relative")
    agree(ours, Biased(prefix), tokens(prefix), carry=as_biased)


def test_relative_positions_of_several_prefix_tokens():
    module = MultiHeadSelfAttention(16, *GRID, 2, num_heads=4, positions="relative")
    bias = module.relative()
    assert bias.shape == (1, 4, 17, 17)
    looks, is_seen, both = module.relative.prefix
    for found, wanted in ((bias[0, :, 0, 5], looks), (bias[0, :, 5, 1], is_seen), (bias[0, :, 1, 0], both)):
        assert found.equal(wanted)
    assert bias[0, :, 2, 2].equal(bias[0, :, 16, 16])
    assert module(tokens(2)).shape == (2, 17, 16)


def test_talking_heads():
    ours = MultiHeadSelfAttention(16, num_heads=4, talking_heads=True)
    agree(ours, TalkingHeadAttn(16, 4, qkv_bias=True), tokens())


class Sinking(nn.Module):
    """PyTorch's, with a learnt key and value behind those of the tokens."""

    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(16, 4, add_bias_kv=True, batch_first=True)

    def forward(self, x):
        return self.inner(x, x, x)[0]


def as_sinking(state):
    names = {"qkv.weight": "in_proj_weight", "qkv.bias": "in_proj_bias"}
    own = {names.get(name, name.replace("proj.", "out_proj.")): one for name, one in state.items() if name != "sinks"}
    k, v = (one.transpose(0, 1).reshape(1, 1, 16) for one in state["sinks"])
    return {f"inner.{name}": one for name, one in {**own, "bias_k": k, "bias_v": v}.items()}


def test_a_sink_is_pytorchs_bias_of_keys_and_values():
    agree(MultiHeadSelfAttention(16, num_heads=4, num_sinks=1), Sinking(), tokens(), carry=as_sinking)


def test_several_sinks_beside_positions_and_fewer_heads():
    module = MultiHeadSelfAttention(16, *GRID, num_heads=4, positions="relative", num_sinks=3, num_kv_heads=2)
    x = tokens()
    weights = module.attention(x)
    assert weights.shape == (2, 4, 15, 18)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 15))
    module(x).sum().backward()
    assert module.sinks.grad.abs().amin((0, 1, 3)).shape == (3,)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn, self.ls = Attention(16, 4, qkv_bias=True), LayerScale(16, init_values=0.1)

    def forward(self, x):
        return self.ls(self.attn(x))


def test_layer_scale():
    ours = MultiHeadSelfAttention(16, num_heads=4, layer_scale=0.1)
    assert ours.gamma.eq(Scaled().ls.gamma).all()
    carry = lambda state: {("ls.gamma" if name == "gamma" else f"attn.{name}"): one for name, one in state.items()}  # noqa: E731
    agree(ours, Scaled(), tokens(), carry=carry)


def test_all_at_once():
    options = {"positions": "rotary", "qk_norm": True, "talking_heads": True, "num_kv_heads": 2, "num_sinks": 2}
    module = MultiHeadSelfAttention(16, *GRID, 1, num_heads=4, gated=True, layer_scale=1.0, **options)
    x = tokens(1)
    module(x).square().sum().backward()
    assert all(one.grad.isfinite().all() for one in module.parameters())


def test_refusals():
    with pytest.raises(
        ValueError, match="mhsa: 8 heads do not divide among 3 heads of keys and values; set num_kv_heads"
    ):
        MultiHeadSelfAttention(64, num_kv_heads=3)
    with pytest.raises(ValueError, match="`positions: rotary` takes heads of a multiple of 4, found 6; set head_dim"):
        MultiHeadSelfAttention(48, 7, 7, positions="rotary")
    with pytest.raises(ValueError, match="`positions: relative` needs tokens whose grid is known"):
        MultiHeadSelfAttention(64, positions="relative")
    with pytest.raises(ValueError, match="mhsa: its positions were built for 15 tokens, found 16"):
        MultiHeadSelfAttention(16, *GRID, num_heads=4, positions="relative")(torch.randn(1, 16, 16))


@pytest.mark.parametrize("positions", ["relative", "rotary"])
@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_in_networks(backbone, positions):
    where = "stage == 4" if backbone == "resnet18" else "block == 1"
    rule = {"use": "mhsa", "after": "block", "where": where, "with": {"positions": positions}}
    model = composer.build({"backbone": backbone, "input": [3, 64, 64], "attention": [rule]})
    assert model(torch.randn(1, 3, 64, 64)).isfinite().all()


def test_tokens_without_a_grid_are_answered_at_the_line():
    nodes = {"mixed": {"op": "mhsa", "num_heads": 4, "positions": "rotary"}}
    with pytest.raises(ComposerError, match="`positions: rotary` needs tokens whose grid is known"):
        composer.graph({"input": {"shape": [15, 16], "layout": "b n c"}, "nodes": nodes})
