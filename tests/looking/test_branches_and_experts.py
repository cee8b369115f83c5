"""Branches and experts whose shares are known by hand."""

from __future__ import annotations

import math

import pytest
import torch

from composer.looking.branches import branches_section, shares
from composer.looking.forms import Branches, Routing
from composer.looking.routing import at_temperatures, entropy, routing_section, temperature_of


@pytest.mark.parametrize("name", ["sk", "splat"])
def test_shares_of_branches_sum_to_one(network, seen, name):
    (found,) = seen(network(name)).of(Branches)
    mean, spread = shares(found)
    assert mean.sum() == pytest.approx(1, abs=1e-5)
    assert mean.shape == spread.shape == (2,)
    # With two branches, what one channel gives the first it takes from the second.
    assert torch.allclose(spread[0], spread[1], atol=1e-6)


def test_shares_by_hand(network, seen):
    model = network("sk")
    values = torch.tensor([0.98, 0.02]).view(1, 2, 1, 1, 1).repeat(1, 1, 32, 1, 1)
    model.conv.attention = lambda x: values.expand(len(x), -1, -1, -1, -1)
    section = branches_section(seen(model), "sk")
    assert section.table.rows[0][:4] == ("conv", "32", "0.980 ± 0.000", "0.020 ± 0.000")
    assert [one.what for one in section.findings] == ["its shares ignore its input", "branch 2 is hardly used"]


def test_one_branch_is_a_gate_and_not_called_unused(network, seen):
    section = branches_section(seen(network("sk", branches=1)), "sk")
    assert not any("hardly used" in one.what for one in section.findings)


def test_experts_by_hand(network, seen):
    model = network("condconv", num_experts=4)
    values = torch.tensor([[0.5, 0.5, 0.0, 0.0]])
    model.conv.attention = lambda x, gates=None: values.expand(len(x), -1)
    section = routing_section(seen(model), "condconv")
    assert section.table.rows[0][:4] == ("conv", "0.500  0.500  0.000  0.000", "0.500", "–")
    assert [one.what for one in section.findings] == [
        "its weights ignore its input",
        "expert 3 is hardly used",
        "expert 4 is hardly used",
    ]
    assert [plate.name for plate in section.plates] == ["condconv-experts"]


def test_entropy_by_hand():
    weights = torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    first = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)) / math.log(2)
    assert entropy(weights) == pytest.approx((first + 1) / 2)
    assert entropy(3 * weights) == pytest.approx(entropy(weights))
    assert entropy(torch.ones(2, 1)) == entropy(torch.zeros(2, 3)) == 0


def test_another_temperature_is_what_the_network_would_compute(network, seen):
    model = network("dynconv")
    with torch.no_grad():
        for layer in (model.conv.fc1, model.conv.fc2):
            layer.weight.mul_(5)
    gathered = seen(model)
    (at_thirty,) = gathered.of(Routing)
    assert temperature_of(gathered, at_thirty) == 30
    model.conv.temperature.fill_(2.0)
    (at_two,) = seen(model).of(Routing)
    assert torch.allclose(at_temperatures(at_thirty.values[1], 30, [2.0])[0], at_two.values[1], atol=1e-4)
    assert entropy(at_two.values) < entropy(at_thirty.values)
    assert "at temperature 30" in routing_section(gathered, "dynconv").findings[0].detail
