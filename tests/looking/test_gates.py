"""Gates that are known by hand: saturated, deaf, or the same for all channels."""

from __future__ import annotations

import math

import pytest
import torch
from looking.conftest import small

import composer
from composer.looking.gates import facts, gates_section
from composer.looking.variation import variation


def facts_of(gathered):
    (one,) = [one for one in gathered.seen if one.everything is not None]
    return facts(one)


def constant(model, logits):
    """SE whose gate is the sigmoid of these logits, whatever arrives."""
    with torch.no_grad():
        for name, parameter in model.get_submodule("se").named_parameters():
            parameter.zero_()
            if name.endswith("bias") and len(parameter) == 32:
                parameter.copy_(torch.tensor(logits).expand(32))
    return model


def test_a_constant_gate_ignores_its_input(network, seen):
    found = facts_of(seen(constant(network("se"), 0.5)))
    assert found.verdict == "ignores its input"
    assert found.change == 0
    assert found.fed > 0.01
    assert found.mean == pytest.approx(1 / (1 + math.exp(-0.5)), abs=1e-6)
    assert found.low == found.high
    assert found.closed == found.open == 0


def test_a_random_gate_that_listens_is_not_said_to_be_deaf(network, seen):
    model = network("se")
    with torch.no_grad():
        for parameter in model.get_submodule("se").parameters():
            parameter.mul_(10)
    found = facts_of(seen(model))
    assert found.verdict == "listens"
    assert found.change > 0.01


def test_a_gate_whose_input_is_always_the_same_is_not_said_to_be_deaf(network, seen):
    model = network("se")
    with torch.no_grad():
        model.bn.weight.zero_()
        model.bn.bias.fill_(0.3)
    found = facts_of(seen(model))
    assert (found.change, found.fed) == (0, 0)
    assert found.verdict == "its input is still"


def test_shares_of_saturated_gates(network, seen):
    # A quarter closed, a half open, a quarter neither; and exactly none at 0.06 and 0.94.
    logits = [-4.0] * 8 + [4.0] * 16 + [math.log(0.06 / 0.94)] * 4 + [math.log(0.94 / 0.06)] * 4
    found = facts_of(seen(constant(network("se"), logits)))
    assert (found.closed, found.open, found.saturated) == (0.25, 0.5, 0.75)


def test_findings_name_what_was_seen_with_its_numbers(network, seen):
    section = gates_section(seen(constant(network("se"), 4.0)), "se")
    assert [(one.where, one.what, one.detail) for one in section.findings] == [
        ("se", "this gate ignores its input", f"it changes by 0.0 %, its input by {section.table.rows[0][8]}"),
        ("se", "most of its gates are saturated", "100.0 %"),
        ("se", "it treats all channels alike", "its gates differ by 0.0 % between them"),
    ]
    assert section.table.rows[0][:7] == ("se", "32", "0.982", "0.982", "0.982", "0.0 %", "100.0 %")


def test_a_factor_of_one_and_more_is_saturated_by_what_is_added(images):
    model = composer.build(small("bam_channel")).eval()
    with torch.no_grad():
        for parameter in model.get_submodule("bam_channel").parameters():
            parameter.zero_()
        model.get_submodule("bam_channel").fc2.bias.fill_(-5.0)
    from composer.looking.gather import gather

    found = facts_of(gather(model, images))
    assert found.closed == 1
    assert found.mean == pytest.approx(1 + 1 / (1 + math.exp(5)), abs=1e-5)


def test_gates_that_are_no_gates_have_no_saturation(network, seen):
    model = network("se_var1")
    model.se_var1.attention = lambda x: 5 * x.mean((2, 3), keepdim=True)
    found = facts_of(seen(model))
    assert found.closed is None
    assert gates_section(seen(model), "se_var1").table.rows[0][5:7] == ("–", "–")


def test_variation_by_hand():
    # Deviations 1 and 3 around means 2 and 4: sqrt((1 + 9) / 2) / sqrt((4 + 16) / 2).
    values = torch.tensor([[1.0, 1.0], [3.0, 7.0]])
    assert variation(values) == pytest.approx(math.sqrt(5) / math.sqrt(10))
    assert variation(torch.zeros(3, 4)) == 0
    assert variation(torch.tensor([[0.5], [0.5 + 1e-9]])) < 1e-6


@pytest.mark.parametrize("name", ["se", "cbam", "bam"])
def test_attention_to_which_only_zeros_come_is_said_to_be_and_nothing_else(network, images, name):
    model = network(name)
    torch.nn.init.zeros_(model.bn.weight)
    told = [one for one in composer.look(model, images).findings if one.where == name]
    assert [one.what for one in told] == ["only zeros arrive at it"]
