"""What composer says of an operation's result without running it is what PyTorch gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.dag import shortcuts
from composer.dag.shortcuts import Shortcuts


@pytest.mark.parametrize("operation", sorted(shortcuts._SAME_SHAPE, key=lambda one: one.__name__))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_they_give_is_like_the_first_tensor(operation, dtype):
    real, x = (torch.rand(2, 3, 5, dtype=dtype, device=device) for device in ("cpu", "meta"))
    computed = operation(real)
    assert (x.shape, x.dtype) == (computed.shape, computed.dtype)
    with Shortcuts():
        assert operation(x) is x


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
