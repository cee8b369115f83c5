"""sa against the paper's equation, written with loops, and what it shares with mhsa."""

import numpy as np
import pytest
import torch

import composer
from composer.mechanisms.token.mhsa import MultiHeadSelfAttention
from composer.mechanisms.token.sa import SelfAttention


@pytest.mark.parametrize("mode", ["soft", "hard"])
@pytest.mark.parametrize("bias", [True, False])
def test_sa(mode, bias, slow, randomise):
    module, w = randomise(SelfAttention(6, head_dim=4, bias=bias, mode=mode))
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    expected = np.empty(x.shape)
    for n, tokens in enumerate(x.numpy()):
        qkv = np.array([slow.linear(w["qkv.weight"], w.get("qkv.bias"), token) for token in tokens])
        q, k, v = qkv[:, :4], qkv[:, 4:8], qkv[:, 8:]
        for i in range(5):
            scores = [q[i] @ k[j] / 2 for j in range(5)]
            shares = slow.softmax(scores) if mode == "soft" else np.eye(5)[int(np.argmax(scores))]
            mixture = sum(share * value for share, value in zip(shares, v, strict=True))
            expected[n, i] = slow.linear(w["proj.weight"], w.get("proj.bias"), mixture)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-9)


def test_hard_attention_has_the_gradient_of_the_soft(randomise):
    soft, _ = randomise(MultiHeadSelfAttention(8, num_heads=2))
    hard, _ = randomise(MultiHeadSelfAttention(8, num_heads=2, mode="hard"))
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    weights = torch.randn(2, 2, 5, 5, dtype=torch.float64)
    for module in (soft, hard):
        (module.attention(x) * weights).sum().backward()
    torch.testing.assert_close(hard.qkv.weight.grad, soft.qkv.weight.grad)
    map_ = hard.attention(x)
    assert set(map_.detach().round(decimals=9).unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(map_.argmax(-1), soft.attention(x).argmax(-1))


def test_heads_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match="do not divide into 8 heads; set num_heads to 5 or 10"):
        MultiHeadSelfAttention(100, num_heads=8)


def test_inside_resnet50():
    rule = {"use": "mhsa", "after": "spatial_conv", "where": "stage == 4"}
    assert composer.graph({"backbone": "resnet50", "attention": [rule]}).inserted


def test_another_mixer_in_vit():
    graph = composer.graph({"backbone": "vit_base_patch16_224", "attention": [{"use": "sa", "replace": "mixer"}]})
    assert len(graph.inserted) == 12
