"""A scan without training: every place by itself, what it costs, and what the budget holds."""

from __future__ import annotations

import json

import pytest

import composer
from composer.errors import GraphError, InputError, SpecError

BLOCKS = ["stages.0.units.0", "stages.0.units.1", "stages.1.units.0", "stages.1.units.1"]
RANKED = [*BLOCKS[:2], *BLOCKS[:1:-1]]


def se(channels, reduction=2):
    """Parameters of a squeeze and excitation."""
    hidden = channels // reduction
    return 2 * channels * hidden + hidden + channels


def test_each_place_costs_what_composing_it_alone_costs(network):
    found = composer.scan(network, {"use": "se", "with": {"reduction": 2}})
    # Of equal ones in parameters and MACs, the last keeps less for a training step.
    assert [site.path for site in found.rows] == RANKED
    plain = composer.compose(network)
    for site in found.rows:
        rule = {"use": "se", "after": site.path, "with": {"reduction": 2}}
        alone = composer.compose({**composer.load_spec(network).to_mapping(), "attention": [rule]})
        values = found.values(site)
        assert (
            values["parameters"] == alone.num_parameters - plain.num_parameters == se(16 if "1.u" in site.path else 8)
        )
        assert values["macs"] == alone.num_macs - plain.num_macs
        assert values["memory_percent"] > 0
    assert found.whole.parameters == plain.num_parameters + 2 * se(8) + 2 * se(16)
    assert found.rule == {"use": "se", "with": {"reduction": 2}, "after": "block"}


def test_the_budget_holds_what_adds_least(network):
    plain = composer.compose(network).num_parameters
    most = plain + 2 * se(8) + se(16) + 5
    found = composer.scan(network, {"use": "se", "with": {"reduction": 2}}, budget={"parameters": most})
    assert [site.path for site in found.chosen] == RANKED[:3]
    assert found.rule["after"] == RANKED[:3]
    assert found.whole.parameters == most - 5
    assert [found.number(site) for site in found.rows] == [1, 2, 3, None]
    text = "\n".join(found.sentences())
    assert "together within the budget, what adds least first: 3 places" in text
    # What it gives is a rule of a spec.
    spec = {**composer.load_spec(network).to_mapping(), "attention": [found.rule]}
    assert composer.compose(spec).num_parameters == found.whole.parameters


def test_a_place_over_the_budget_and_one_that_does_not_fit_are_rows_with_the_reason(network):
    plain = composer.compose(network).num_parameters
    rule = {"use": "se", "with": {"reduction": 2}}
    found = composer.scan(network, rule, budget={"parameters": plain + se(8)})
    assert [(site.path, site.runs) for site in found.rows] == [(one, "0.u" in one) for one in BLOCKS]
    assert "is allowed" in found.rows[-1].reason
    # A group of 16 channels cannot be made of 8.
    found = composer.scan(network, {"use": "sge", "after": "block", "with": {"groups": 16}})
    assert [site.path for site in found.rows] == [*RANKED[2:], *BLOCKS[:2]]
    assert found.rows[-1].reason
    assert found.values(found.rows[-1])["fits"] is False
    assert json.loads(json.dumps(found.to_json()))["together"]["places"] == RANKED[2:]


def test_conditions_choose_places(network):
    found = composer.scan(network, {"use": "eca", "after": "branch", "where": "stage == 2"})
    assert {site.path for site in found.rows} == {f"{one}.bn" for one in BLOCKS[2:]}
    third = composer.scan(network, {"use": "eca", "after": "block", "every": 3})
    assert [site.path for site in third.rows] == [BLOCKS[2]]


def test_a_node_that_is_called_like_a_site_is_one_place(tmp_path, network):
    path = tmp_path / "named.yaml"
    path.write_text(network.read_text().replace("  stages:", "  branch: identity\n  stages:"))
    found = composer.scan(path, {"use": "eca", "after": "branch*"})
    assert [site.path for site in found.rows] == ["branch"]
    assert found.whole.fitted == found.rows[0].row.fitted == 1


def test_a_rule_of_the_network_that_is_there_already_is_said_with_its_line(network):
    network.write_text(f"{network.read_text()}attention:\n  - {{use: eca, after: block, where: stage == 1}}\n")
    found = composer.scan(network, {"use": "eca"})
    assert [site.path for site in found.rows] == [*RANKED[2:], *BLOCKS[:2]]
    line = len(network.read_text().splitlines())
    assert found.rows[-1].reason == f"`eca` is there already, by the rule at {network}:{line}:5"
    with pytest.raises(InputError, match="`eca` is at all of 2 places already"):
        composer.scan(network, {"use": "eca", "after": "block", "where": "stage == 1"})


def test_what_stands_in_for_a_layer_goes_there(network):
    found = composer.scan(network, {"use": "involution"})
    assert {site.path for site in found.rows} == {f"{one}.conv" for one in BLOCKS}


@pytest.mark.parametrize(
    ("rule", "options", "words"),
    [
        ({"use": "ecaa"}, {}, "unknown mechanism `ecaa`"),
        ({"use": "se", "with": {"reducton": 2}}, {}, "`se` has no option `reducton`"),
        ({"use": "se", "after": "blok"}, {}, "no place is called `blok`"),
        ({"use": "se", "where": "stage == 7"}, {}, "`where` leaves none"),
        ({"use": "se", "after": "block", "before": "block"}, {}, "after"),
        ({"use": ["se"]}, {}, "use"),
        ({"after": "block"}, {}, "use"),
        ({"use": "se"}, {"budget": {"parameters": "5%"}}, "`parameters` is the string"),
        ({"use": "se"}, {"budget": {"params": 5}}, "unknown key `params`"),
        ({"use": "se"}, {"budget": {"parameters": 5}}, "`se` is over the budget at each of 4 places"),
        ({"use": "sge", "with": {"groups": 64}}, {}, "`sge` fits at none of 4 places"),
        ({"use": "se"}, {"sets": ["attention.0=1"]}, "a scan cannot set `attention.0`"),
        ({"use": "se"}, {"cost": "latency"}, "`latency` is no cost"),
        ("se", {}, "the rule is of type `str`"),
    ],
)
def test_mistakes_are_said(network, rule, options, words):
    with pytest.raises((SpecError, GraphError, InputError)) as error:
        composer.scan(network, rule, **options)
    assert words in str(error.value)


def test_a_network_that_is_not_there_is_said():
    with pytest.raises(SpecError, match="no spec is called `resnt18`"):
        composer.scan("resnt18", {"use": "se"})
