"""bot against the paper's equation, written with loops, and timm."""

import math

import numpy as np
import pytest
import torch
from timm.layers.bottleneck_attn import BottleneckAttn

import composer
from composer.mechanisms.kernel.bot import BottleneckSelfAttention


@pytest.mark.parametrize("stride", [1, 2])
def test_bot(stride, slow, randomise, image):
    height, width, heads, p = 4, 6, 2, 3
    module, w = randomise(BottleneckSelfAttention(5, 6, height, width, stride, num_heads=heads))
    x = image(2, 5, height, width)
    positions = [(i, j) for i in range(height) for j in range(width)]
    expected = []
    for sample in x.numpy():
        q, k, v = np.split(slow.project(w, "qkv", sample), 3, axis=1)
        y = np.empty((6, height, width))
        for head in range(heads):
            own = slice(head * p, (head + 1) * p)
            for a, (i, j) in enumerate(positions):
                scores = []
                for b, (r, s) in enumerate(positions):
                    offset = w["row"][r - i + height - 1] + w["column"][s - j + width - 1]
                    scores.append(q[a, own] @ (k[b, own] + offset) / math.sqrt(p))
                y[own, i, j] = slow.softmax(scores) @ v[:, own]
        expected.append(slow.average(y, stride))
    np.testing.assert_allclose(module(x).detach().numpy(), np.stack(expected), rtol=0, atol=1e-9)


def test_it_equals_timm(randomise):
    theirs, _ = randomise(BottleneckAttn(16, feat_size=(4, 6), num_heads=4, qk_ratio=1.0, scale_pos_embed=True))
    ours = BottleneckSelfAttention(16, 16, 4, 6).double().eval()
    names = {"qkv.weight": "qkv.weight", "pos_embed.height_rel": "row", "pos_embed.width_rel": "column"}
    ours.load_state_dict({names[name]: tensor for name, tensor in theirs.state_dict().items()})
    x = torch.randn(2, 16, 4, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)


def test_by_hand():
    """Tokens 0 and 2, q = 0: each takes the mean, 1. A logit of ln 3 for its own row: the second takes 3/4 of 2."""
    module = BottleneckSelfAttention(1, 1, 2, 1, num_heads=1).double()
    with torch.no_grad():
        module.qkv.weight.copy_(torch.tensor([0.0, 0.0, 1.0]).reshape(3, 1, 1, 1))
        module.column.zero_()
    x = torch.tensor([0.0, 2.0], dtype=torch.float64).reshape(1, 1, 2, 1)
    torch.testing.assert_close(module(x), torch.ones_like(x))
    with torch.no_grad():
        module.qkv.weight[0] = 1
        module.row.copy_(torch.tensor([[0.0], [math.log(3) / 2], [0.0]]))
    # The query of the token 2 is 2: its own row scores ln 3, the other 0.
    assert module(x)[0, 0, 1, 0].item() == pytest.approx(1.5, abs=1e-6)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: BottleneckSelfAttention(64, 30, 7, 7),
            r"bot: 30 channels do not divide into 4 heads; set num_heads to 3 or 5$",
        ),
        (lambda: BottleneckSelfAttention(8, 8, 7, 7)(torch.zeros(1, 8, 7, 8)), "built for maps of 7×7, found 7×8"),
    ],
)
def test_refusals(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_inside_resnet50():
    rule = {"use": "bot", "replace": "spatial_conv", "where": "stage == 4"}
    assert composer.graph({"backbone": "resnet50", "attention": [rule]}).inserted


def test_it_holds_nothing_that_its_state_dict_lacks():
    module, x = BottleneckSelfAttention(8, 8, 5, 4), torch.randn(2, 8, 5, 4)
    with torch.device("meta"):
        other = BottleneckSelfAttention(8, 8, 5, 4)
    other.to_empty(device="cpu").load_state_dict(module.state_dict())
    assert not list(other.buffers())
    assert torch.equal(other(x), module(x))
