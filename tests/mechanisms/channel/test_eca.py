import math

import numpy as np
import pytest
import torch
from timm.layers import EcaModule

from composer.mechanisms.channel.eca import ECA, adaptive_kernel_size


@pytest.mark.parametrize("k", [1, 3, 5, 9])
def test_equals_the_equation(k, slow, randomise, image):
    module, w = randomise(ECA(6, kernel_size=k))
    taps = w["conv.weight"][0, 0]
    x = image(2, 6, 3, 5)
    expected = np.empty(x.shape)
    for n, sample in enumerate(x.numpy()):
        z = [sum(v for row in channel for v in row) / 15 for channel in sample]
        for c in range(6):
            neighbours = [(t, c + t - k // 2) for t in range(k)]
            expected[n, c] = sample[c] * slow.sigmoid(sum(taps[t] * z[i] for t, i in neighbours if 0 <= i < 6))
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-9)


def test_by_hand():
    """Means 1 2 3 under the taps (1, 0, -1) ln3/2: -ln 3, -ln 3, +ln 3; gates 1/4, 1/4, 3/4."""
    module = ECA(3, kernel_size=3).double()
    with torch.no_grad():
        module.conv.weight.copy_(torch.tensor([[[1.0, 0.0, -1.0]]]).double() * math.log(3) / 2)
    x = torch.tensor([[[[0.0, 2.0]], [[2.0, 2.0]], [[1.0, 5.0]]]], dtype=torch.float64)
    expected = torch.tensor([[[[0.0, 0.5]], [[0.5, 0.5]], [[0.75, 3.75]]]], dtype=torch.float64)
    torch.testing.assert_close(module(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("channels", [16, 64, 256, 2048])
def test_equals_timm(channels):
    ours, theirs = ECA(channels).eval(), EcaModule(channels).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, channels, 7, 9)
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("channels", "k"),
    [(1, 1), (7, 1), (8, 3), (127, 3), (128, 5), (2047, 5), (2048, 7), (32767, 7)],
)
def test_kernel_size(channels, k):
    assert adaptive_kernel_size(channels) == k
    assert ECA(channels).conv.weight.shape == (1, 1, k)


def test_gamma_and_beta():
    assert adaptive_kernel_size(256, gamma=1.0, beta=1.0) == 9
    assert adaptive_kernel_size(256, gamma=2.0, beta=6.0) == 7


def test_parameters():
    assert sum(p.numel() for p in ECA(64, kernel_size=9).parameters()) == 9


def test_refuses_an_even_kernel():
    with pytest.raises(ValueError, match="eca: kernel_size=4 is even; use an odd number"):
        ECA(64, kernel_size=4)


@pytest.mark.parametrize(("gamma", "beta"), [(1e-300, 1.0), (1e-5, 1.0), (2.0, 1e300), (1e-308, 1e308)])
def test_refuses_more_neighbours_than_there_are(gamma, beta):
    with pytest.raises(ValueError, match="neighbours among 64 channels; use a larger gamma or a smaller beta"):
        ECA(64, gamma=gamma, beta=beta)


def test_no_channel_number_is_refused_with_the_papers_rule():
    assert all(adaptive_kernel_size(channels) < 2 * channels for channels in range(1, 5000))
