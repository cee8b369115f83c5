"""What is no source of a network is refused by every function that takes one, with what to give instead."""

from __future__ import annotations

from functools import partial
from itertools import product

import pytest
import torch
from torch import nn

import composer

SMALL = {"input": [3, 8, 8], "nodes": {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 3, "site": "stage"}}}


@pytest.fixture(scope="module")
def model():
    return composer.build(SMALL)


FUNCTIONS = {
    "load": composer.load,
    "graph": composer.graph,
    "build": composer.build,
    "features": composer.features,
    "look": partial(composer.look, images=torch.zeros(1, 3, 8, 8)),
    "diff": partial(composer.diff, after=SMALL),
    "diff, after": partial(composer.diff, SMALL),
    "load_weights": partial(composer.load_weights, source="weights.pt"),
}
GIVEN = {
    "a number": (lambda model: 5, "an object of type `int`", "`composer list backbones`"),
    "nothing": (lambda model: None, "None", "`composer list backbones`"),
    "several": (lambda model: ["resnet18", "resnet34"], "an object of type `list`", "one at a time"),
    "another's": (lambda model: nn.Linear(3, 4), "an object of type `Linear`", "composer.load_weights(model, other"),
    "in parallel": (nn.DataParallel, "an object of type `DataParallel`", "`.module`"),
    "compiled": (torch.compile, "an object of type `OptimizedModule`", "`._orig_mod`"),
    "a class": (type, "the class `network`", "`composer list backbones`"),
}


# Weights load into any module.
ALLOWED = {("load_weights", "another's")}
ASKED = [pair for pair in product(FUNCTIONS, GIVEN) if pair not in ALLOWED]


@pytest.mark.parametrize(("function", "given"), ASKED)
def test_what_is_no_source(model, function, given):
    make, found, help = GIVEN[given]
    with pytest.raises((composer.SpecError, composer.WeightsError)) as caught:
        FUNCTIONS[function](make(model))
    (problem,) = caught.value.diagnostics
    assert found in problem.message
    assert problem.label
    assert help in problem.help[0]


@pytest.mark.parametrize("function", ["load", "graph", "build", "diff"])
def test_what_is_composed_already_says_where_its_spec_is(model, function):
    with pytest.raises(composer.SpecError, match=r"its spec is `model.spec`, its graph `model.graph`"):
        FUNCTIONS[function](model)
    if function != "diff":
        with pytest.raises(composer.SpecError, match=r"its spec is `graph.spec`"):
            FUNCTIONS[function](model.graph)


def test_what_wrappers_hold_is_taken(model):
    for wrapped in (nn.DataParallel(model).module, torch.compile(model)._orig_mod):
        assert list(composer.features(wrapped, ["conv"]).graph.outputs) == ["conv"]
