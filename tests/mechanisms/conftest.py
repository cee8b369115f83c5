"""Slow, obvious arithmetic for the oracles: NumPy, float64, loops."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _softmax(z):
    powers = np.exp(np.asarray(z))
    return powers / powers.sum()


def _linear(weight, bias, z):
    """The affine map of a vector; the weight may be that of a 1x1 convolution."""
    weight = weight.reshape(weight.shape[0], weight.shape[1])
    return np.array(
        [
            sum(weight[o, i] * z[i] for i in range(len(z))) + (0.0 if bias is None else bias[o])
            for o in range(len(weight))
        ]
    )


def _conv2d(x, weight, bias=None, *, stride=1, padding=0, dilation=1, groups=1):
    """One image c h w, convolved tap by tap with zeros around it."""
    channels, height, width = x.shape
    outputs, per_group, k, side = weight.shape
    rows = (height + 2 * padding - dilation * (k - 1) - 1) // stride + 1
    columns = (width + 2 * padding - dilation * (side - 1) - 1) // stride + 1
    y = np.zeros((outputs, rows, columns))
    for o in range(outputs):
        first = o // (outputs // groups) * (channels // groups)
        for i in range(rows):
            for j in range(columns):
                total = 0.0 if bias is None else bias[o]
                for c in range(per_group):
                    for di in range(k):
                        for dj in range(side):
                            r, s = i * stride - padding + di * dilation, j * stride - padding + dj * dilation
                            if 0 <= r < height and 0 <= s < width:
                                total += weight[o, c, di, dj] * x[first + c, r, s]
                y[o, i, j] = total
    return y


def _batch_norm(x, state, name):
    """Inference with running statistics; channels come first."""
    y = np.empty_like(x)
    for c in range(len(x)):
        mean, variance = state[f"{name}.running_mean"][c], state[f"{name}.running_var"][c]
        y[c] = state[f"{name}.weight"][c] * (x[c] - mean) / np.sqrt(variance + 1e-5) + state[f"{name}.bias"][c]
    return y


def _project(w, name, sample):
    """A 1×1 convolution of c h w, as positions × channels."""
    weight = w[f"{name}.weight"][:, :, 0, 0]
    flat = np.array([weight @ sample[:, i, j] for i in range(sample.shape[1]) for j in range(sample.shape[2])])
    return flat + w[f"{name}.bias"] if f"{name}.bias" in w else flat


def _average(y, stride):
    """The mean of each block of stride × stride positions of c h w."""
    _, height, width = y.shape
    blocks = [
        [y[:, i : i + stride, j : j + stride].mean((1, 2)) for j in range(0, width, stride)]
        for i in range(0, height, stride)
    ]
    return np.array(blocks).transpose(2, 0, 1)


@pytest.fixture
def slow():
    return SimpleNamespace(
        sigmoid=_sigmoid,
        softmax=_softmax,
        linear=_linear,
        conv2d=_conv2d,
        batch_norm=_batch_norm,
        project=_project,
        average=_average,
    )


@pytest.fixture
def randomise():
    """Fill weights and running statistics at random; return (module in float64 eval, its state as NumPy arrays)."""

    def apply(module, seed=0):
        generator = torch.Generator().manual_seed(seed)
        module.double().eval()
        with torch.no_grad():
            for name, tensor in module.state_dict().items():
                if tensor.is_floating_point():
                    tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * 0.7)
                    if name.endswith("running_var"):
                        tensor.abs_().add_(0.3)
        return module, {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}

    return apply


@pytest.fixture
def image():
    """Random b c h w in float64."""
    return lambda *shape: torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def double():
    """What is built has float64 from the start, and so have tables that are computed then."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
