"""Distributions of weights on a page."""

from __future__ import annotations

import base64
import json

import torch
from torch import nn

from composer.page.histograms import BINS, histograms


def made(numbers):
    module = nn.Module()
    module.weight = nn.Parameter(torch.tensor(numbers))
    return histograms(module)["weight"]


def test_bins_hold_what_they_hold():
    # 0 is in the first of 64 bins up to 64, 64 in the last, 10.5 in the eleventh, four times as often.
    found = made([0.0, 64.0, *[10.5] * 4, 20.0])
    heights = list(base64.b64decode(found["bars"]))
    assert len(heights) == BINS
    assert {place: height for place, height in enumerate(heights) if height} == {0: 64, 10: 255, 20: 64, 63: 64}
    assert (found["least"], found["most"], found["lost"]) == (0, 64, 0)
    assert abs(found["mean"] - 18) < 0.01


def test_a_single_one_among_many_is_seen():
    assert base64.b64decode(made([0.0] * 100_000 + [1.0])["bars"])[-1] == 1


def test_numbers_that_are_all_equal_or_not_finite():
    assert made([2.0, 2.0]) == {"bars": "", "least": 2, "most": 2, "mean": 2, "std": 0, "lost": 0}
    assert made([1.0, float("nan"), float("inf")])["lost"] == 2
    assert made([float("nan")])["bars"] == ""


def test_a_tensor_takes_at_most_a_kilobyte():
    found = histograms(nn.Linear(500, 500))
    assert all(len(json.dumps(one)) < 300 for one in found.values())


def test_what_has_no_numbers_has_none():
    assert histograms(nn.Linear(2, 2, device="meta")) == {}
    assert histograms(nn.ParameterList([torch.empty(0)])) == {}
