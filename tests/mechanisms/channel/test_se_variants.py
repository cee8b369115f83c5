import math

import numpy as np
import pytest
import torch
from timm.layers import EffectiveSEModule

from composer import registry
from composer.mechanisms.channel.ese import EffectiveSE
from composer.mechanisms.channel.se_var1 import SEVar1
from composer.mechanisms.channel.se_var2 import SEVar2


def means(sample):
    return np.array([sum(v for row in channel for v in row) / channel.size for channel in sample])


def check(module, x, gate):
    """`gate` maps a sample c h w to its c gates."""
    expected = np.stack([sample * gate(sample)[:, None, None] for sample in x.numpy()])
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-9)


def test_without_parameters(slow, image):
    check(SEVar1(), image(2, 6, 3, 5), lambda sample: slow.sigmoid(means(sample)))


@pytest.mark.parametrize("bias", [True, False])
def test_a_weight_for_each_channel(bias, slow, randomise, image):
    module, w = randomise(SEVar2(6, bias=bias))
    shift = w["fc.bias"] if bias else 0
    check(module, image(2, 6, 3, 5), lambda sample: slow.sigmoid(w["fc.weight"][:, 0, 0, 0] * means(sample) + shift))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid"])
def test_a_full_matrix(bias, gate, slow, randomise, image):
    module, w = randomise(EffectiveSE(6, bias=bias, gate=gate))
    squash = slow.sigmoid if gate == "sigmoid" else lambda z: np.minimum(np.maximum(z + 3, 0), 6) / 6
    check(module, image(2, 6, 3, 5), lambda s: squash(slow.linear(w["fc.weight"], w.get("fc.bias"), means(s))))


def test_by_hand():
    """A mean of ln 3 has the gate 3/4."""
    x = torch.tensor([0.0, 2 * math.log(3)], dtype=torch.float64).reshape(1, 1, 1, 2)
    torch.testing.assert_close(SEVar1()(x), 0.75 * x)


def test_equals_timm(randomise):
    theirs, _ = randomise(EffectiveSEModule(16))
    ours = EffectiveSE(16, gate="hard_sigmoid").double()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 16, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-12)


def test_ese_and_se_var3_are_one():
    assert registry.get("ese").factory is registry.get("se_var3").factory is EffectiveSE


@pytest.mark.parametrize(
    ("module", "count"),
    [
        (SEVar1(), 0),
        (SEVar2(64), 128),
        (SEVar2(64, bias=False), 64),
        (EffectiveSE(64), 4160),
        (EffectiveSE(8, bias=False), 64),
    ],
)
def test_parameters(module, count):
    assert sum(p.numel() for p in module.parameters()) == count


def test_refuses_an_unknown_gate():
    with pytest.raises(ValueError, match="ese: unknown gate 'relu'; use one of sigmoid, hard_sigmoid"):
        EffectiveSE(8, gate="relu")
