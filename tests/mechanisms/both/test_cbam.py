import math

import numpy as np
import pytest
import torch
from timm.layers import create_attn

from composer.mechanisms.both.cbam import CBAM
from composer.mechanisms.channel.cbam_channel import ChannelAttention
from composer.mechanisms.spatial.cbam_spatial import SpatialAttention


def channel_gate(slow, w, sample, prefix=""):
    def perceptron(z):
        hidden = np.maximum(slow.linear(w[f"{prefix}fc1.weight"], w.get(f"{prefix}fc1.bias"), z), 0)
        return slow.linear(w[f"{prefix}fc2.weight"], w.get(f"{prefix}fc2.bias"), hidden)

    values = [[v for row in channel for v in row] for channel in sample]
    mean = np.array([sum(v) / len(v) for v in values])
    peak = np.array([max(v) for v in values])
    return slow.sigmoid(perceptron(mean) + perceptron(peak))


def spatial_gate(slow, w, sample, k, prefix=""):
    channels, height, width = sample.shape
    pooled = np.empty((2, height, width))
    for i in range(height):
        for j in range(width):
            column = [sample[c, i, j] for c in range(channels)]
            pooled[:, i, j] = sum(column) / channels, max(column)
    logits = slow.conv2d(pooled, w[f"{prefix}conv.weight"], w.get(f"{prefix}conv.bias"), padding=k // 2)
    if f"{prefix}bn.weight" in w:
        logits = slow.batch_norm(logits, w, f"{prefix}bn")
    return slow.sigmoid(logits[0])


@pytest.mark.parametrize("options", [{}, {"norm": True}, {"bias": False}, {"kernel_size": 3}])
def test_equals_the_equations(options, slow, randomise, image):
    module, w = randomise(CBAM(8, reduction=4, **options))
    x = image(2, 8, 4, 5)
    expected, gates = np.empty(x.shape), np.empty(x.shape)
    for n, sample in enumerate(x.numpy()):
        channel = channel_gate(slow, w, sample, "channel.")
        refined = np.stack([sample[c] * channel[c] for c in range(8)])
        spatial = spatial_gate(slow, w, refined, options.get("kernel_size", 7), "spatial.")
        for c in range(8):
            expected[n, c] = refined[c] * spatial
            gates[n, c] = channel[c] * spatial
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(module.attention(x).detach().numpy(), gates, rtol=0, atol=1e-9)


def test_halves_stand_alone(slow, randomise, image):
    x = image(1, 8, 4, 5)
    channel, w = randomise(ChannelAttention(8, reduction=4))
    expected = x.numpy()[0] * channel_gate(slow, w, x.numpy()[0])[:, None, None]
    np.testing.assert_allclose(channel(x)[0].detach().numpy(), expected, rtol=0, atol=1e-9)
    spatial, w = randomise(SpatialAttention(kernel_size=5))
    expected = x.numpy()[0] * spatial_gate(slow, w, x.numpy()[0], 5)
    np.testing.assert_allclose(spatial(x)[0].detach().numpy(), expected, rtol=0, atol=1e-9)


def test_by_hand():
    """Mean 2 and maximum 4: 6 ln3/6, gate 3/4 (two means would give 4 ln3/6). Then 3 ln3/3, gate 3/4 again."""
    module = CBAM(1, kernel_size=1, bias=False).double()
    with torch.no_grad():
        module.channel.fc1.weight.fill_(1)
        module.channel.fc2.weight.fill_(math.log(3) / 6)
        module.spatial.conv.weight.copy_(torch.tensor([0, math.log(3) / 3]).reshape(1, 2, 1, 1))
    y = module(torch.tensor([[[[0.0, 4.0]]]], dtype=torch.float64))
    torch.testing.assert_close(y, torch.tensor([[[[0.0, 2.25]]]], dtype=torch.float64), rtol=0, atol=1e-7)


def test_equals_timm(randomise):
    """timm's has no bias and a batch norm; its keys differ by the name of a wrapper."""
    ours, theirs = CBAM(64, bias=False, norm=True).double().eval(), create_attn("cbam", 64, rd_divisor=1)
    theirs, _ = randomise(theirs)
    ours.load_state_dict(
        {name.replace("conv.conv", "conv").replace("conv.bn", "bn"): v for name, v in theirs.state_dict().items()}
    )
    x = torch.randn(2, 64, 7, 9, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 2 * 64 * 4 + 64 + 4 + 2 * 49 + 1),
        ({"bias": False}, 2 * 64 * 4 + 2 * 49),
        ({"norm": True}, 2 * 64 * 4 + 64 + 4 + 2 * 49 + 2),
        ({"reduction": 100, "kernel_size": 3}, 2 * 64 + 64 + 1 + 2 * 9 + 1),
    ],
)
def test_parameters(options, count):
    assert sum(p.numel() for p in CBAM(64, **options).parameters()) == count


def test_keys():
    assert {"channel.fc1.weight", "channel.fc2.bias", "spatial.conv.weight", "spatial.bn.running_mean"} <= set(
        CBAM(64, norm=True).state_dict()
    )


def test_refuses_an_even_kernel():
    with pytest.raises(ValueError, match="cbam_spatial: kernel_size=6 is even; use an odd number"):
        CBAM(64, kernel_size=6)
