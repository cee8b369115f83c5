"""Class attention beside timm's CaiT and XCiT."""

from __future__ import annotations

import pytest
import torch
from timm.models.cait import ClassAttn, LayerScaleBlockClassAttn
from timm.models.xcit import ClassAttentionBlock
from torch import nn

import composer
from composer.errors import ComposerError
from composer.mechanisms.token.class_attention import ClassAttention
from tests.mechanisms.oracle import SIZES, agree

# A block as they are in ViT, after which the patches of CaiT and XCiT differ.
BLOCK = {
    "input": {"shape": [10, 8], "layout": "b n c", "grid": [3, 3]},
    "nodes": {
        "gamma": {"op": "parameter", "shape": [8]},
        "norm": {"op": "layer_norm", "from": "input", "eps": 1e-5},
        "attn": {"op": "class_attention", "num_heads": 2, "qkv_bias": False},
        "scale": {"op": "mul", "from": ["attn", "gamma"]},
        "add": {"op": "add", "from": ["input", "scale"]},
    },
}


class Plain(ClassAttn):
    """timm's, with the patches."""

    def __init__(self, *args, keep, **options):
        super().__init__(*args, **options)
        self.keep = keep

    def forward(self, x):
        return torch.cat((super().forward(x), x[:, 1:] * self.keep), 1)


class Talking(Plain):
    """The weights of all heads, mixed before and after the softmax, one by one."""

    def __init__(self, dim, num_heads, **options):
        super().__init__(dim, num_heads, keep=1, **options)
        self.proj_l, self.proj_w = nn.Linear(num_heads, num_heads), nn.Linear(num_heads, num_heads)

    def forward(self, x):
        q, k, v = self.q(x[:, :1]), self.k(x), self.v(x)
        p = x.shape[2] // self.num_heads
        heads = [slice(p * i, p * i + p) for i in range(self.num_heads)]
        logits = [q[..., i] @ k[..., i].transpose(1, 2) / p**0.5 for i in heads]
        soft = [self._mixture(self.proj_l, i, logits).softmax(2) for i in range(self.num_heads)]
        y = [self._mixture(self.proj_w, i, soft) @ v[..., one] for i, one in enumerate(heads)]
        return torch.cat((self.proj(torch.cat(y, 2)), x[:, 1:]), 1)

    def _mixture(self, linear, row, maps):
        return sum(linear.weight[row, i] * one for i, one in enumerate(maps)) + linear.bias[row]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("height", "width"), [*SIZES, (1, 1)])
def test_equals_timms(height, width, bias):
    x = torch.randn(2, height * width, 8)
    for others in ("keep", "zero"):
        ours = ClassAttention(8, 1, num_heads=2, qkv_bias=bias, others=others)
        agree(ours, Plain(8, num_heads=2, qkv_bias=bias, keep=others == "keep"), x)


def test_talking_heads_in_plain_steps():
    ours = ClassAttention(12, 1, num_heads=3, talking_heads=True)
    agree(ours, Talking(12, 3, qkv_bias=True), torch.randn(2, 17, 12))


@pytest.mark.parametrize("block", [LayerScaleBlockClassAttn, ClassAttentionBlock])
def test_a_block_around_it_is_caits_or_xcits(block):
    """What comes before the perceptron, whose factor is 0 here."""
    others = "zero" if block is LayerScaleBlockClassAttn else "keep"
    options = {"tokens_norm": True} if others == "keep" else {}
    theirs = block(8, 2, norm_layer=nn.LayerNorm, **options).double()
    attn = {**BLOCK["nodes"]["attn"], "others": others}
    ours = composer.build({**BLOCK, "nodes": {**BLOCK["nodes"], "attn": attn}}).double()
    with torch.no_grad():
        for parameter in theirs.parameters():
            nn.init.normal_(parameter)
        gammas = [one for name, one in theirs.named_parameters() if "gamma" in name]
        gammas[1].zero_()
        state = {name: one for name, one in theirs.state_dict().items() if name.startswith(("norm1", "attn"))}
        ours.load_state_dict(
            {**{name.replace("norm1", "norm"): one for name, one in state.items()}, "gamma": gammas[0]}
        )
        x = torch.randn(3, 10, 8, dtype=torch.float64)
        y = ours(x)
        if others == "zero":
            assert torch.equal(y[:, 1:], x[:, 1:])
            torch.testing.assert_close(y[:, :1], theirs(x[:, 1:], x[:, :1]))
        else:
            # Its second shortcut adds the normed patches to themselves.
            normed = theirs.norm2(y)
            torch.testing.assert_close(torch.cat((normed[:, :1], 2 * normed[:, 1:]), 1), theirs(x))


def test_parameters():
    assert sum(p.numel() for p in ClassAttention(64, 1).parameters()) == 16_640


def test_refusals():
    with pytest.raises(ValueError, match="class_attention: 60 channels do not divide into 8 heads; set num_heads to 6"):
        ClassAttention(60, 1)
    rule = {"use": "class_attention", "after": "block", "where": "last"}
    for backbone in ("resnet18", "swin_tiny_patch4_window7_224"):
        with pytest.raises(ComposerError, match="these tokens are not known to have a class token in front"):
            composer.graph({"backbone": backbone, "attention": [rule]})


def test_in_networks_with_a_class_token():
    for backbone in ("vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"):
        rule = {"use": "class_attention", "replace": "mixer", "where": "last", "with": {"num_heads": 3}}
        model = composer.build({"backbone": backbone, "input": [3, 64, 64], "attention": [rule]})
        assert sum(isinstance(one, ClassAttention) for one in model.modules()) == 1
        model(torch.randn(2, 3, 64, 64)).sum().backward()
        assert all(p.grad is not None for p in model.parameters())
