"""The lambda layer beside timm's, and beside the paper's equations, position by position."""

from __future__ import annotations

import pytest
import torch
from timm.layers.lambda_layer import LambdaLayer as TimmsLayer
from torch import nn

import composer
from composer import registry
from composer.errors import ComposerError
from tests.mechanisms.oracle import SIZES, SMALL, agree

# Its file has a word of Python for a name.
LambdaLayer = registry.get("lambda").factory


def as_timms(state):
    return {name: one.unsqueeze(-1) if name == "conv_lambda.weight" else one for name, one in state.items()}


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_equals_timms(height, width):
    ours = LambdaLayer(8, 8, height, width, context=9, head_dim=4, num_heads=2)
    agree(ours, TimmsLayer(8, 8, r=9, dim_head=4, num_heads=2), torch.randn(2, 8, height, width), carry=as_timms)


@pytest.mark.parametrize(("height", "width"), SMALL)
def test_a_global_context_equals_timms(height, width):
    ours = LambdaLayer(8, 8, height, width, context="global", head_dim=4, num_heads=2)
    theirs = TimmsLayer(8, 8, feat_size=(height, width), r=None, dim_head=4, num_heads=2)
    agree(ours, theirs, torch.randn(2, 8, height, width))


class Equations(nn.Module):
    """The equations at each position alone, with intra-depth: u keys and values at each position."""

    def __init__(self, inputs, outputs, context, heads, dim, depth):
        super().__init__()
        self.heads, self.dim, self.depth, self.values = heads, dim, depth, outputs // heads
        self.lengths = (heads * dim, dim * depth, self.values * depth)
        self.qkv = nn.Conv2d(inputs, sum(self.lengths), 1, bias=False)
        self.norm_q, self.norm_v = nn.BatchNorm2d(self.lengths[0]), nn.BatchNorm2d(self.lengths[2])
        self.conv_lambda = nn.Conv2d(depth, dim, context, bias=False)

    def forward(self, x):
        height, width = x.shape[2:]
        q, k, v = self.qkv(x).split(self.lengths, 1)
        q = self.norm_q(q).unflatten(1, (self.heads, self.dim))
        k = k.flatten(2).softmax(2).unflatten(2, (height, width)).unflatten(1, (self.dim, self.depth))
        v = self.norm_v(v).unflatten(1, (self.values, self.depth))
        table, reach = self.conv_lambda.weight, self.conv_lambda.weight.shape[2] // 2
        positions = [(i, j) for i in range(height) for j in range(width)]
        content = sum(torch.einsum("bdu,bpu->bdp", k[..., i, j], v[..., i, j]) for i, j in positions)
        outputs = []
        for i, j in positions:
            own = content
            for a, b in positions:
                if abs(a - i) <= reach and abs(b - j) <= reach:
                    own = own + torch.einsum("du,bpu->bdp", table[:, :, a - i + reach, b - j + reach], v[..., a, b])
            outputs.append(torch.einsum("bhd,bdp->bhp", q[..., i, j], own).flatten(1))
        return torch.stack(outputs, 2).unflatten(2, (height, width))


@pytest.mark.parametrize(("height", "width", "depth"), [(1, 1, 1), (5, 3, 2), (7, 7, 1)])
def test_equals_the_equations(height, width, depth):
    ours = LambdaLayer(3, 4, height, width, context=5, num_heads=2, head_dim=3, depth=depth, bias=False)
    agree(ours, Equations(3, 4, 5, 2, 3, depth), torch.randn(2, 3, height, width), steps=1)


@pytest.mark.parametrize("context", [3, "global"])
@pytest.mark.parametrize("depth", [1, 2])
def test_attention_takes_the_values(context, depth):
    module = LambdaLayer(4, 6, 4, 5, context=context, num_heads=2, head_dim=3, depth=depth, bias=False).double().eval()
    x = torch.randn(2, 4, 4, 5, dtype=torch.float64)
    weights = module.attention(x).unflatten(1, (2, depth))
    values = module._parts(x)[2].flatten(3)
    y = torch.einsum("bhunm,bpum->bhpn", weights, values).flatten(1, 2).unflatten(2, (4, 5))
    torch.testing.assert_close(y, module(x), rtol=0, atol=1e-12)


def test_a_wide_surrounding_is_a_global_context():
    wide = LambdaLayer(4, 4, 3, 4, context=9, num_heads=2, bias=False).eval()
    whole = LambdaLayer(4, 4, 3, 4, context="global", num_heads=2).eval()
    state = {name: one for name, one in wide.state_dict().items() if not name.startswith("conv_lambda")}
    kernel = wide.conv_lambda.weight[:, 0, 2:7, 1:8]
    whole.load_state_dict({**state, "pos_emb": kernel.permute(1, 2, 0)})
    x = torch.randn(2, 4, 3, 4)
    torch.testing.assert_close(wide(x), whole(x))


def test_parameters():
    assert sum(p.numel() for p in LambdaLayer(64, 64, 7, 7, context=9).parameters()) == 7_616
    assert sum(p.numel() for p in TimmsLayer(64).parameters()) == 7_616
    assert sum(p.numel() for p in LambdaLayer(64, 64, 7, 7).parameters()) == 14_784


def test_refusals():
    with pytest.raises(ValueError, match="lambda: 66 channels do not divide into 4 heads; set num_heads to 3 or 6"):
        LambdaLayer(64, 66, 7, 7)
    with pytest.raises(ValueError, match="lambda: a global context was built for maps of 14×14, found 7×7"):
        LambdaLayer(8, 8, 14, 14, context="global")(torch.randn(1, 8, 7, 7))


def test_in_place_of_convolutions():
    rule = {"use": "lambda", "replace": "spatial_conv", "where": "stage >= 3"}
    model = composer.build({"backbone": "resnet18", "input": [3, 64, 64], "attention": [rule]})
    model(torch.randn(2, 3, 64, 64)).sum().backward()
    assert sum(isinstance(one, LambdaLayer) for one in model.modules()) == 8
    with pytest.raises(ComposerError, match="`context` of `lambda`: expected an odd number"):
        composer.graph({"backbone": "resnet18", "attention": [{**rule, "with": {"context": 8}}]})


def test_a_node_is_not_named_by_a_word_of_python():
    nodes = {
        "body": {"block": "body", "site": "block"},
    }
    blocks = {
        "body": {
            "nodes": {
                "conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3, "site": "branch"},
                "sum": {"op": "add", "from": ["input", "conv"]},
            }
        }
    }
    rule = {"use": "lambda", "beside": "branch", "with": {"context": 3}}
    model = composer.build({"input": [8, 9, 9], "blocks": blocks, "nodes": nodes, "attention": [rule]})
    assert isinstance(model.body.lambda_, LambdaLayer)
    assert model(torch.randn(2, 8, 9, 9)).shape == (2, 8, 9, 9)
