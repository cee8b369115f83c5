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
ELEMENTWISE = [operation for operation, rule in shortcuts._RULES.items() if rule is shortcuts._elementwise]


def named(operation):
    """A name without an address in it: processes that share tests know them by name."""
    return f"{getattr(operation, '__objclass__', torch).__name__}.{operation.__name__}"


@pytest.mark.parametrize("operation", sorted(SAME, key=lambda one: one.__name__), ids=lambda one: one.__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_they_give_is_like_the_first_tensor(operation, dtype):
    real, x = (torch.rand(2, 3, 5, dtype=dtype, device=device) for device in ("cpu", "meta"))
    computed = operation(real)
    assert (x.shape, x.dtype) == (computed.shape, computed.dtype)
    with Shortcuts():
        assert operation(x) is x


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


@pytest.mark.parametrize("operation", [torch.mean, Tensor.mean], ids=named)
@pytest.mark.parametrize(
    "arguments", [(), (1,), (-1, True), ((2, 3), True), ((1, -1),), ((),), ((1, 1),), (4,), ((0, 1, 2, 3),)], ids=str
)
def test_means(operation, arguments):
    x = tensor((2, 3, 4, 5))
    expected = outcome(operation, x, *arguments)
    with Shortcuts():
        assert outcome(operation, x, *arguments) == expected


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
