import math

import numpy as np
import pytest
import torch
from timm.layers import SEModule

from composer.mechanisms.channel.se import SqueezeExcitation

ACTS = {
    "relu": lambda v: max(v, 0.0),
    "silu": lambda v: v / (1 + math.exp(-v)),
    "gelu": lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2,
    "hard_swish": lambda v: v * min(max(v + 3, 0), 6) / 6,
}
GATES = {
    "sigmoid": lambda v: 1 / (1 + math.exp(-v)),
    "hard_sigmoid": lambda v: min(max(v + 3, 0), 6) / 6,
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("act", ACTS)
def test_equals_the_equation(act, gate, bias, slow, randomise, image):
    module, w = randomise(SqueezeExcitation(6, hidden=4, act=act, gate=gate, bias=bias))
    x = image(2, 6, 3, 5)
    expected = np.empty(x.shape)
    for n, sample in enumerate(x.numpy()):
        z = np.array([sum(v for row in channel for v in row) / 15 for channel in sample])
        hidden = np.array([ACTS[act](v) for v in slow.linear(w["fc1.weight"], w.get("fc1.bias"), z)])
        logits = slow.linear(w["fc2.weight"], w.get("fc2.bias"), hidden)
        for c in range(6):
            expected[n, c] = sample[c] * GATES[gate](logits[c])
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-9)


def test_by_hand():
    """Means 2 and 1; hidden relu(2 - 1) = 1; logits 0 and ln 3; gates 1/2 and 3/4."""
    module = SqueezeExcitation(2, reduction=2, bias=False).double()
    with torch.no_grad():
        module.fc1.weight.copy_(torch.tensor([1.0, -1.0]).reshape(1, 2, 1, 1))
        module.fc2.weight.copy_(torch.tensor([0.0, math.log(3)], dtype=torch.float64).reshape(2, 1, 1, 1))
    x = torch.tensor([[[[1.0, 3.0]], [[0.0, 2.0]]]], dtype=torch.float64)
    expected = torch.tensor([[[[0.5, 1.5]], [[0.0, 1.5]]]], dtype=torch.float64)
    torch.testing.assert_close(module(x), expected, rtol=0, atol=1e-12)


def test_equals_timm():
    ours, theirs = SqueezeExcitation(64).eval(), SEModule(64, rd_channels=4).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 64, 7, 9)
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("channels", "options", "hidden"),
    [
        (64, {}, 4),
        (8, {}, 1),
        (100, {}, 6),
        (8, {"hidden": 5}, 5),
        (64, {"round_to": 8}, 8),
        (144, {"round_to": 8}, 16),
        (256, {"round_to": 8}, 16),
        (100, {"reduction": 4, "round_to": 8}, 24),
    ],
)
def test_hidden_width(channels, options, hidden):
    assert SqueezeExcitation(channels, **options).fc1.out_channels == hidden


@pytest.mark.parametrize(("bias", "count"), [(True, 2 * 64 * 4 + 64 + 4), (False, 2 * 64 * 4)])
def test_parameters(bias, count):
    assert sum(p.numel() for p in SqueezeExcitation(64, bias=bias).parameters()) == count


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"act": "tanh"}, r"se: unknown act 'tanh'; use one of relu, silu, gelu, hard_swish"),
        ({"gate": "softmax"}, r"se: unknown gate 'softmax'; use one of sigmoid, hard_sigmoid"),
        ({"hidden": 4, "round_to": 8}, r"se: hidden=4 is already exact; remove round_to=8"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        SqueezeExcitation(64, **options)
