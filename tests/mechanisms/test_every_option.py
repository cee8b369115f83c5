"""Every option of every mechanism besides the defaults: tracing, memory formats, derived buffers, copies."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
import torch

import composer
from composer import contract, registry
from composer.contract import Subject
from tests.mechanisms.case import in_words, others
from tests.mechanisms.cases import ENTRIES, SAMPLED, case_of, marks

# Facts of a replaced convolution, beside those that every mechanism is built with.
PLACES = [
    {"stride": 2},
    {"groups": 16},
    pytest.param({"kernel_size": 1, "padding": 0}, marks=pytest.mark.slow),
    pytest.param({"dilation": 2, "padding": 2}, marks=pytest.mark.slow),
    pytest.param({"bias": True}, marks=pytest.mark.slow),
]
CHECKS = ("symbolic_trace", "memory formats", "derived buffers", "copies")


def choices():
    for entry in ENTRIES:
        case = case_of(entry.name)
        known = {option: others(field) for option, field in entry.options.model_fields.items()} | dict(case.numbers)
        for options in ({option: value} for option, several in known.items() for value in several):
            if (in_words(options), "*") not in case.left_out:
                yield pytest.param(entry.name, options, id=f"{entry.name} {options}", marks=marks(entry.name))


@pytest.mark.parametrize(("name", "options"), list(choices()))
def test_option(name, options):
    for check in CHECKS:
        found = contract.verdict(Subject(registry.get(name), options), check, contract.CHECKS[check])
        assert found.status == "ok", f"{check}: {found.detail}"


@dataclass(frozen=True)
class Elsewhere(Subject):
    """A subject in place of another convolution than the usual one."""

    place: Mapping[str, object] = field(default_factory=dict)

    def build(self, height=None, width=None):
        usual = {"kernel_size": 3, "stride": 1, "padding": 1, "dilation": 1, "groups": 1, "bias": False}
        return self.build_at(height or 7, width or 7, {**usual, **self.place})


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("entry", [one for one in SAMPLED if one.values[0].replaces])
def test_in_place_of_another_convolution(entry, place):
    for check in CHECKS:
        found = contract.verdict(Elsewhere(entry, place=place), check, contract.CHECKS[check])
        assert found.status == "ok", f"{check}: {found.detail}"


# A block of a convolution, its norm and a sum, so that every mechanism has a place, and a classifier.
NODES = {
    "conv1": {"op": "conv2d", "out_channels": 16, "kernel_size": 3},
    "conv2": {"op": "conv2d", "out_channels": 16, "kernel_size": 3},
    "bn2": "batch_norm",
    "act2": "relu",
    "add": {"op": "add", "from": ["act2", "conv1"]},
    "pool": "global_avg_pool",
    "fc": {"op": "linear", "out_features": 3},
}

CLASS_TOKEN = {
    "conv1": NODES["conv1"],
    "cls_token": {"op": "parameter", "shape": [1, 1, 16]},
    "patches": {"op": "map_to_tokens", "from": "conv1"},
    "tokens": {"op": "prepend_token", "from": ["cls_token", "patches"]},
    "pool": "take_token",
    "fc": NODES["fc"],
}


@pytest.mark.parametrize("entry", SAMPLED)
def test_a_network_with_it_is_traced(entry):
    nodes, where = (CLASS_TOKEN, "tokens") if case_of(entry.name).class_token else (NODES, "bn2")
    rule = {"use": entry.name, **({"replace": "conv2"} if entry.replaces else {"after": where})}
    if entry.inputs[0] > 1:
        rule["from"] = dict.fromkeys(entry.tensors[1:], "./conv1")
    spec = {"input": [3, 8, 8], "nodes": nodes, "attention": [rule]}
    for training in (False, True):
        model = composer.build(spec).train(training)
        x = torch.randn(2, 3, 8, 8)
        expected = copy.deepcopy(model)(x)
        traced = torch.fx.symbolic_trace(copy.deepcopy(model))
        assert torch.equal(copy.deepcopy(traced)(x), expected)
        assert torch.equal(pickle.loads(pickle.dumps(traced))(x), expected)
