import math

import numpy as np
import pytest
import torch
from timm.layers import Attention

from composer.mechanisms.token.mhsa import MultiHeadSelfAttention


@pytest.mark.parametrize(
    "options", [{"num_heads": 2}, {"num_heads": 4, "head_dim": 3}, {"num_heads": 1, "bias": False}]
)
def test_equals_the_equation(options, slow, randomise, image):
    module, w = randomise(MultiHeadSelfAttention(6, **options))
    heads, p = module.num_heads, module.head_dim
    x = image(2, 5, 6)
    expected, maps = np.empty(x.shape), np.empty((2, heads, 5, 5))
    for n, tokens in enumerate(x.numpy()):
        # Rows of the weight: all queries, all keys, all values; head by head within each.
        rows = [slow.linear(w["qkv.weight"], w.get("qkv.bias"), token) for token in tokens]
        for i in range(5):
            mixed = np.empty(heads * p)
            for h in range(heads):
                part = slice(h * p, (h + 1) * p)
                query = rows[i][: heads * p][part]
                keys = [row[heads * p : 2 * heads * p][part] for row in rows]
                values = [row[2 * heads * p :][part] for row in rows]
                maps[n, h, i] = slow.softmax([sum(query * key) / math.sqrt(p) for key in keys])
                mixed[part] = sum(a * value for a, value in zip(maps[n, h, i], values, strict=True))
            expected[n, i] = slow.linear(w["proj.weight"], w.get("proj.bias"), mixed)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(module.attention(x).detach().numpy(), maps, rtol=0, atol=1e-9)


def test_by_hand():
    """Tokens 0 and 1, query ln3 x: the first looks at both alike (1/2), the second as 1:3 (3/4)."""
    module = MultiHeadSelfAttention(1, num_heads=1, bias=False).double()
    with torch.no_grad():
        module.qkv.weight.copy_(torch.tensor([[math.log(3)], [1.0], [1.0]], dtype=torch.float64))
        module.proj.weight.fill_(1)
    y = module(torch.tensor([[[0.0], [1.0]]], dtype=torch.float64))
    torch.testing.assert_close(y, torch.tensor([[[0.5], [0.75]]], dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("head_dim", [None, 16])
@pytest.mark.parametrize("bias", [True, False])
def test_equals_timm_bit_for_bit(bias, head_dim):
    ours = MultiHeadSelfAttention(64, num_heads=4, head_dim=head_dim, bias=bias).eval()
    theirs = Attention(64, num_heads=4, attn_head_dim=head_dim, qkv_bias=bias, proj_bias=bias).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 17, 64)
    assert torch.equal(ours(x), theirs(x))


def test_weights_start_with_the_deviation_that_is_set():
    module = MultiHeadSelfAttention(128, std=0.01)
    for layer in (module.qkv, module.proj):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.03)
        assert not layer.bias.any()


def test_follows_a_permutation_of_the_tokens(randomise, image):
    module, _ = randomise(MultiHeadSelfAttention(8, num_heads=2))
    x, order = image(1, 6, 8), [3, 1, 5, 0, 2, 4]
    torch.testing.assert_close(module(x[:, order]), module(x)[:, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 4 * 64**2 + 4 * 64),
        ({"bias": False}, 4 * 64**2),
        ({"num_heads": 3, "head_dim": 10}, 4 * 64 * 30 + 3 * 30 + 64),
    ],
)
def test_parameters(options, count):
    assert sum(p.numel() for p in MultiHeadSelfAttention(64, **options).parameters()) == count


def test_refuses_heads_that_do_not_divide():
    with pytest.raises(ValueError, match="mhsa: 100 channels do not divide into 8 heads; set num_heads to 5 or 10, or"):
        MultiHeadSelfAttention(100)
