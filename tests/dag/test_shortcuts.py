"""What composer says of an operation's result without running it is what PyTorch gives."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.dag import shortcuts
from composer.dag.shortcuts import Shortcuts

SAME = [operation for operation, rule in shortcuts._RULES.items() if rule is shortcuts._same]
ELEMENTWISE = [
    operation for operation, rule in shortcuts._RULES.items() if rule in (shortcuts._elementwise, shortcuts._divided)
]


def named(operation):
    """A name without an address in it: processes that share tests know them by name."""
    return f"{getattr(operation, '__objclass__', torch).__name__}.{operation.__name__}"


@pytest.mark.parametrize("operation", sorted(SAME, key=lambda one: one.__name__), ids=lambda one: one.__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_they_give_is_like_the_first_tensor(operation, dtype):
    real, x = (torch.rand(2, 3, 5, dtype=dtype, device=device) for device in ("cpu", "meta"))
    arguments = (1,) if operation.__name__ == "roll" else ()
    computed = operation(real, *arguments)
    assert (x.shape, x.dtype) == (computed.shape, computed.dtype)
    with Shortcuts():
        assert operation(x, *arguments) is x


def tensor(shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype, device="meta")


def outcome(operation, *arguments, **options):
    """The shape and type of a result, or the kind of error."""
    try:
        found = operation(*arguments, **options)
    except Exception as error:
        return type(error), str(error)
    return tuple(found.shape), found.dtype


OTHERS = [tensor((2, 3, 4)), tensor((4,)), tensor((3, 1)), tensor((5,)), tensor((1, 2, 3, 4)), tensor(())]
OTHERS += [tensor((4,), torch.float64), tensor((2, 3, 4), torch.int64), 2, 0.5, 1j, True]


@pytest.mark.parametrize("operation", ELEMENTWISE, ids=named)
@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_sums_and_products(operation, other):
    for x in (tensor((2, 3, 4)), tensor((2, 3, 4), torch.int64)):
        expected = outcome(operation, x, other)
        with Shortcuts():
            assert outcome(operation, x, other) == expected


@pytest.mark.parametrize(
    "operation", [torch.mean, Tensor.mean, torch.sum, Tensor.sum, torch.amax, Tensor.amax], ids=named
)
@pytest.mark.parametrize(
    "arguments", [(), (1,), (-1, True), ((2, 3), True), ((1, -1),), ((),), ((1, 1),), (4,), ((0, 1, 2, 3),)], ids=str
)
def test_means_sums_and_maxima(operation, arguments):
    x = tensor((2, 3, 4, 5))
    expected = outcome(operation, x, *arguments)
    with Shortcuts():
        assert outcome(operation, x, *arguments) == expected


def test_no_maximum_of_nothing():
    with Shortcuts(), pytest.raises((RuntimeError, IndexError)):
        tensor((2, 0)).amax(1)


LISTS = [
    [(2, 3), (2, 4)],
    [(2, 3), (2, 3)],
    [(2, 3), (4, 3)],
    [(2, 3, 1), (2, 3)],
    [(0,), (2, 3)],
    [(2, 3)],
]


@pytest.mark.parametrize("operation", [torch.cat, torch.concat, torch.stack], ids=named)
@pytest.mark.parametrize("dim", [0, 1, -1, 2, 3, -4])
@pytest.mark.parametrize("shapes", LISTS, ids=str)
def test_concatenated_and_stacked(operation, dim, shapes):
    tensors = [tensor(shape) for shape in shapes]
    for given in (tensors, [*tensors, tensor(shapes[0], torch.float64)]):
        expected = outcome(operation, given, dim)
        with Shortcuts():
            assert outcome(operation, given, dim) == expected


WINDOWS = [
    {},
    {"stride": 2},
    {"stride": (1, 3)},
    {"padding": 1},
    {"padding": (0, 1)},
    {"padding": 2},
    {"dilation": 2},
    {"dilation": 9},
    {"padding": -1},
    {"stride": 0},
    {"stride": 10**50},
    {"stride": (2, 2, 2)},
]


@pytest.mark.parametrize("options", [*WINDOWS, {"groups": 2}, {"groups": 3}, {"padding": "valid"}], ids=str)
@pytest.mark.parametrize("x", [(2, 4, 9, 8), (2, 3, 9, 8), (4, 9, 8), (2, 4, 0, 8), (2, 4, 9)], ids=str)
@pytest.mark.parametrize("bias", [None, (6,), (4,)], ids=str)
def test_convolutions(x, bias, options):
    channels = 4 // options.get("groups", 1)
    arguments = tensor(x), tensor((6, channels, 3, 2)), bias and tensor(bias)
    expected = outcome(F.conv2d, *arguments, **options)
    with Shortcuts():
        assert outcome(F.conv2d, *arguments, **options) == expected


@pytest.mark.parametrize("axes", [1, 3])
def test_convolutions_of_sequences_and_videos(axes):
    operation = {1: F.conv1d, 3: F.conv3d}[axes]
    arguments = tensor((2, 4, *(7,) * axes)), tensor((6, 4, *(3,) * axes)), tensor((6,)), 2, 1
    expected = outcome(operation, *arguments)
    with Shortcuts():
        assert outcome(operation, *arguments) == expected


@pytest.mark.parametrize("options", [*WINDOWS, {"ceil_mode": True}, {"stride": 2, "ceil_mode": True}], ids=str)
@pytest.mark.parametrize("size", [3, (2, 3), 9], ids=str)
@pytest.mark.parametrize("x", [(2, 4, 9, 8), (4, 9, 8), (2, 4, 0, 8)], ids=str)
def test_pools(x, size, options):
    for operation in (F.max_pool2d, F.avg_pool2d):
        if operation is F.avg_pool2d and "dilation" in options:
            continue
        expected = outcome(operation, tensor(x), size, **options)
        with Shortcuts():
            assert outcome(operation, tensor(x), size, **options) == expected


@pytest.mark.parametrize("operation", [torch.softmax, Tensor.softmax], ids=named)
@pytest.mark.parametrize("dim", [0, -1, 2, -4])
def test_softmax(operation, dim):
    for x in (tensor((2, 3)), tensor((2, 3), torch.int64)):
        expected = outcome(operation, x, dim)
        with Shortcuts():
            assert outcome(operation, x, dim) == expected


@pytest.mark.parametrize("mask", [None, (5, 7), (2, 1, 5, 7), (7,), (5, 6), (3, 2, 4, 5, 7)], ids=str)
@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 4, 5, 8), (2, 4, 7, 8), (2, 4, 7, 9)],
        [(2, 5, 8), (2, 7, 8), (2, 7, 8)],
        [(2, 4, 5, 8), (2, 4, 7, 6), (2, 4, 7, 8)],
        [(2, 4, 5, 8), (2, 4, 7, 8), (2, 4, 6, 8)],
    ],
    ids=str,
)
def test_attention(shapes, mask):
    tensors = [tensor(shape) for shape in shapes]
    expected = outcome(F.scaled_dot_product_attention, *tensors, mask and tensor(mask))
    with Shortcuts():
        assert outcome(F.scaled_dot_product_attention, *tensors, mask and tensor(mask)) == expected


@pytest.mark.parametrize("x", [(2, 3), (2, 7, 3), (3,), (2, 4), (0, 3)], ids=str)
@pytest.mark.parametrize("bias", [None, (5,), (4,)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear(x, bias, dtype):
    arguments = tensor(x), tensor((5, 3), dtype), bias and tensor(bias, dtype)
    expected = outcome(F.linear, *arguments)
    with Shortcuts():
        assert outcome(F.linear, *arguments) == expected


@pytest.mark.parametrize("shape", [(4,), (3, 4), (5,), ()], ids=str)
@pytest.mark.parametrize("weight", [None, (4,), (3, 4)], ids=str)
def test_layer_norm(shape, weight):
    arguments = tensor((2, 3, 4)), shape, weight and tensor(weight)
    expected = outcome(F.layer_norm, *arguments)
    with Shortcuts():
        assert outcome(F.layer_norm, *arguments) == expected


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_keeps_the_shape(training):
    with torch.device("meta"), Shortcuts():
        x = torch.rand(2, 3, 4, 5)
        assert nn.BatchNorm2d(3).train(training)(x) is x


@pytest.mark.parametrize("x", [(2, 4, 5, 5), (1, 3, 1, 1)])
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_batch_norm_still_refuses_what_does_not_fit(x, device):
    with Shortcuts(), torch.device(device), pytest.raises((RuntimeError, ValueError)):
        nn.BatchNorm2d(3)(torch.rand(x))


def test_real_tensors_and_whole_numbers_are_computed():
    with Shortcuts():
        assert F.relu(torch.tensor([-1.0, 2.0])).tolist() == [0.0, 2.0]
        assert Tensor.sigmoid(torch.ones(2, dtype=torch.int64, device="meta")).dtype == torch.float32
        assert not torch.equal(torch.zeros(9).normal_(), torch.zeros(9))


def test_a_convolutional_network_is_composed_without_the_compiler():
    """Importing torch._dynamo takes as long as torch itself."""
    code = "import sys, composer; composer.graph('papers/se/resnet50'); assert 'torch._dynamo' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
