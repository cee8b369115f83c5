"""Every option of every mechanism, through what costs little: tracing, memory formats, derived buffers, copies."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

import pytest
import torch

import composer
from composer import contract, registry
from composer.contract import Subject

# Numbers of each option, besides its default, that reach another line of code; words and flags are all tried.
NUMBERS = {
    "bam": {"reduction": [4], "dilation": [2]},
    "bam_channel": {"reduction": [4]},
    "bam_spatial": {"reduction": [4], "dilation": [2]},
    "bot": {"num_heads": [8]},
    "cbam": {"reduction": [4], "kernel_size": [3]},
    "cbam_channel": {"reduction": [4]},
    "cbam_spatial": {"kernel_size": [3]},
    "condconv": {"num_experts": [3]},
    "dynconv": {"num_experts": [2], "reduction": [8], "temperature": [1.0], "annealing_epochs": [0]},
    "eca": {"kernel_size": [9], "gamma": [1.0], "beta": [3.0]},
    "ge": {"extent": [2, 4]},
    "ge_minus": {"extent": [2, 5]},
    "ge_plus": {"extent": [2], "reduction": [4]},
    "mhsa": {"num_heads": [4], "head_dim": [10], "std": [0.01]},
    "nl": {"reduction": [4]},
    "sa": {"head_dim": [10]},
    "sasa": {"window": [5], "num_heads": [4]},
    "se": {"reduction": [999], "hidden": [5], "round_to": [8]},
    "sk": {"branches": [1, 3], "reduction": [4], "floor": [8]},
    "splat": {"radix": [0, 1, 4], "cardinality": [2], "reduction": [8], "floor": [64]},
}
# Takes a second input, which the battery does not give.
APART = {("condconv", "router", "given")}
# Facts of a replaced convolution, beside those that every mechanism is built with.
PLACES = [
    {"stride": 2},
    {"kernel_size": 1, "padding": 0},
    {"dilation": 2, "padding": 2},
    {"groups": 16},
    {"bias": True},
]
CHECKS = ("symbolic_trace", "memory formats", "derived buffers", "copies")
OURS = [entry for entry in registry.entries("mechanism") if entry.plugin.name == "composer"]


def words(field):
    """What an option that is a word or a flag may be besides its default; none for a number."""
    every = (False, True) if field.annotation is bool else get_args(field.annotation)
    return [one for one in every if isinstance(one, (str, bool)) and one != field.default]


def test_no_number_is_left_out():
    fields = {entry.name: entry.options.model_fields for entry in OURS}
    numbers = {name: {key for key, field in own.items() if not words(field)} for name, own in fields.items()}
    assert {name: set(values) for name, values in NUMBERS.items()} == {
        name: own for name, own in numbers.items() if own
    }


def cases():
    for entry in OURS:
        known = {option: words(field) for option, field in entry.options.model_fields.items()}
        known |= NUMBERS.get(entry.name, {})
        for options in ({}, *({option: value} for option, several in known.items() for value in several)):
            if not any((entry.name, option, value) in APART for option, value in options.items()):
                yield pytest.param(entry.name, options, id=f"{entry.name} {options or ''}")


@pytest.mark.parametrize(("name", "options"), list(cases()))
def test_option(name, options):
    for check in CHECKS:
        found = contract.verdict(Subject(registry.get(name), options), check, contract.CHECKS[check])
        assert found.status == "ok", f"{check}: {found.detail}"


@dataclass(frozen=True)
class Elsewhere(Subject):
    """A subject in place of another convolution than the usual one."""

    place: Mapping[str, object] = field(default_factory=dict)

    def build(self, height=7, width=7):
        usual = {"kernel_size": 3, "stride": 1, "padding": 1, "dilation": 1, "groups": 1, "bias": False}
        return self.build_at(height, width, {**usual, **self.place})


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("entry", [entry for entry in OURS if entry.replaces], ids=lambda entry: entry.name)
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


@pytest.mark.parametrize("entry", OURS, ids=lambda entry: entry.name)
def test_a_network_with_it_is_traced(entry):
    rule = {"use": entry.name, **({"replace": "conv2"} if entry.replaces else {"after": "bn2"})}
    spec = {"input": [3, 8, 8], "nodes": NODES, "attention": [rule]}
    for training in (False, True):
        model = composer.build(spec).train(training)
        x = torch.randn(2, 3, 8, 8)
        expected = copy.deepcopy(model)(x)
        traced = torch.fx.symbolic_trace(copy.deepcopy(model))
        assert torch.equal(copy.deepcopy(traced)(x), expected)
        assert torch.equal(pickle.loads(pickle.dumps(traced))(x), expected)
