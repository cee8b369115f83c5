"""Distances of weights, worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from composer.values.distance import distances


def pair():
    own = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.BatchNorm1d(2)})
    other = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.BatchNorm1d(2)})
    for module, weight, bias in ((own, [3.0, 4.0], 1.0), (other, [3.0, 0.0], 4.0)):
        module["a"].weight.data, module["a"].bias.data = torch.tensor([weight]), torch.tensor([bias])
    own["b"].running_mean += 7
    return own, other


def test_norms_are_over_all_parameters_of_a_node():
    own, other = pair()
    # a: differences 0, 4 and -3 of 3, 0 and 4; b: none, of ones and zeros.
    assert distances(own, other, {"a", "b"}).numbers == pytest.approx({"a": 5 / 5, "b": 0})


def test_only_what_is_known_is_compared():
    own, other = pair()
    assert distances(own, other, {"a", "b"}, {"a.weight"}).numbers == pytest.approx({"a": 4 / 3})


def test_nothing_is_far_from_nothing():
    own, other = pair()
    other["b"].weight.data.zero_()
    assert distances(own, other, {"b"}).numbers == {"b": None}
