import math

import numpy as np
import pytest
import torch

from composer.mechanisms.both.ge_plus import GatherExcitePlus
from composer.mechanisms.spatial.ge import GatherExcite
from composer.mechanisms.spatial.ge_minus import GatherExciteMinus


def nearest(coarse, height, width):
    """c h' w' -> c h w: position i takes i h' // h."""
    rows = [i * coarse.shape[1] // height for i in range(height)]
    columns = [j * coarse.shape[2] // width for j in range(width)]
    return coarse[:, rows][:, :, columns]


def gathered(slow, w, sample, extent):
    channels = len(sample)
    z = sample
    for step in range(1, (int(math.log2(extent)) if extent else 1) + 1):
        if step > 1:
            z = np.maximum(z, 0)
        settings = {"stride": 2, "padding": 1} if extent else {}
        z = slow.conv2d(z, w[f"gather.conv{step}.weight"], groups=channels, **settings)
        if f"gather.bn{step}.weight" in w:
            z = slow.batch_norm(z, w, f"gather.bn{step}")
    return z


def check(module, x, logits, slow):
    expected = np.stack([s * nearest(slow.sigmoid(logits(s)), *s.shape[1:]) for s in x.numpy()])
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("extent", [0, 2, 3, 4])
def test_means_around_each_position(extent, slow, image):
    def means(sample):
        _, height, width = sample.shape
        if extent == 0:
            return sample.mean((1, 2), keepdims=True)
        rows, columns = (range(0, length, extent) for length in (height, width))
        near = lambda i, length: slice(max(0, i - extent + 1), min(length, i + extent))  # noqa: E731
        pooled = [[[c[near(i, height), near(j, width)].mean() for j in columns] for i in rows] for c in sample]
        return np.array(pooled)

    check(GatherExciteMinus(extent=extent), image(2, 3, 7, 9), means, slow)


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("extent", [0, 2, 4])
def test_learnt_gathering(extent, norm, slow, randomise, image):
    module, w = randomise(GatherExcite(3, 6, 7, extent=extent, norm=norm))
    check(module, image(2, 3, 6, 7), lambda sample: gathered(slow, w, sample, extent), slow)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("extent", [0, 4])
def test_with_a_perceptron_over_channels(extent, bias, slow, randomise, image):
    module, w = randomise(GatherExcitePlus(4, 6, 7, extent=extent, reduction=2, bias=bias))

    def logits(sample):
        z = np.maximum(gathered(slow, w, sample, extent), 0)
        z = np.maximum(slow.conv2d(z, w["fc1.weight"], w.get("fc1.bias")), 0)
        return slow.conv2d(z, w["fc2.weight"], w.get("fc2.bias"))

    check(module, image(2, 4, 6, 7), logits, slow)


def test_by_hand():
    """Four positions of mean ln 3 have the gate 3/4; torch's nearest spreads 4 over 14 as 4, 3, 4, 3."""
    x = torch.tensor([0.0, 2 * math.log(3)], dtype=torch.float64).reshape(1, 1, 1, 2).expand(1, 1, 2, 2)
    torch.testing.assert_close(GatherExciteMinus()(x), 0.75 * x)
    y = torch.arange(14.0).reshape(1, 1, 1, 14)
    gate = GatherExciteMinus(extent=4).attention(y)[0, 0, 0]
    assert [int((gate == value).sum()) for value in gate.unique()] == [4, 3, 4, 3]


def test_each_step_has_weights_of_its_own():
    for extent in (2, 4, 8):
        module = GatherExcite(64, 14, 14, extent=extent)
        assert sum(p.numel() for p in module.parameters()) == int(math.log2(extent)) * 11 * 64
    assert sum(p.numel() for p in GatherExcite(64, 14, 14).parameters()) == 64 * (196 + 2)
    plus = GatherExcitePlus(64, 14, 14)
    assert sum(p.numel() for p in plus.parameters()) == 64 * 198 + 2 * 64 * 4 + 64 + 4


def test_gates_may_fall_below_one_half(image):
    torch.manual_seed(0)
    module = GatherExcite(8, 12, 12, extent=4).double().eval()
    assert module.attention(image(2, 8, 12, 12)).min() < 0.5


@pytest.mark.parametrize("kind", [GatherExcite, GatherExcitePlus])
@pytest.mark.parametrize(("extent", "nearest"), [(1, "2"), (3, "2 or 4"), (12, "8 or 16")])
def test_extents_that_are_no_powers_of_two(kind, extent, nearest):
    with pytest.raises(ValueError, match=rf"extent={extent} is no power of two; use {nearest}, or 0"):
        kind(8, 7, 7, extent=extent)
    with pytest.raises(ValueError, match="ge_minus: extent=1"):
        GatherExciteMinus(extent=1)


@pytest.mark.parametrize("size", [(8, 8), (6, 6), (7, 8), (14, 14)])
def test_another_size_than_it_was_built_for(size):
    module = GatherExcite(4, 7, 7)
    with pytest.raises(ValueError, match=rf"built for maps of 7×7, found {size[0]}×{size[1]}"):
        module(torch.zeros(1, 4, *size))
    assert GatherExcite(4, 7, 7, extent=8).eval()(torch.zeros(1, 4, *size)).shape == (1, 4, *size)


@pytest.mark.parametrize("norm", ["layer", "none"])
@pytest.mark.parametrize("kind", [GatherExcite, GatherExcitePlus])
def test_other_norms_train_on_one_image(kind, norm):
    module = kind(4, 7, 7, norm=norm).train()
    assert module(torch.randn(1, 4, 7, 7)).shape == (1, 4, 7, 7)
