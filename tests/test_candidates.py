"""What mechanisms would cost in a network is what they cost when they are in it."""

from __future__ import annotations

import pytest

import composer
from composer import registry
from composer.candidates import Candidates
from composer.summary.memory import activation_memory


@pytest.mark.parametrize(
    ("place", "name", "places"),
    [
        ({"after": "block"}, "cbam", 8),
        ({"after": "block", "where": "stage == 4"}, "se", 2),
        ({"replace": "spatial_conv", "where": "stride == 1"}, "condconv", 13),
        ({}, "nl", 1),
    ],
)
def test_costs_are_those_of_the_network_with_it(place: dict[str, str], name: str, places: int) -> None:
    entry = registry.get_mechanism(name)
    assert entry is not None
    (found,) = Candidates("resnet18", place).of([entry])
    rule = {"use": name, **(place or {"after": "stage", "where": "last"})}
    plain, grown = composer.graph("resnet18"), composer.graph({"backbone": "resnet18", "attention": [rule]})
    assert (found.asked, found.fitted, found.reason) == (places, places, "")
    assert found.parameters == grown.num_parameters - plain.num_parameters
    assert grown.num_macs is not None
    assert plain.num_macs is not None
    assert found.macs == grown.num_macs - plain.num_macs
    kept, before = (sum(activation_memory(one.root).values()) for one in (grown, plain))
    assert found.memory == kept - before


def test_places_that_do_not_fit_are_left_out_and_the_reason_is_said() -> None:
    entry = registry.get_mechanism("sasa")
    assert entry is not None
    (found,) = Candidates("mobilenetv3_small_100", {"replace": "spatial_conv"}).of([entry])
    assert (found.fitted, found.asked) == (8, 11)
    assert found.reason.startswith("blocks.1.0.conv_dw: `sasa` does not fit b×72×56×56: heads of 9 channels")
    assert found.parameters
    (found,) = Candidates("vit_tiny_patch16_224", {"replace": "spatial_conv"}).of([entry])
    assert (found.fitted, found.asked, found.reason) == (0, 0, "no place is called `spatial_conv`")


def test_a_place_that_is_none_is_one_error(run) -> None:
    found = run("list", "mechanisms", "--on", "resnet18", "--after", "brunch")
    assert (found.code, found.out) == (1, "")
    assert found.err.count("no place is called `brunch`") == 1
    assert "did you mean `branch`?" in found.err


def test_a_block_of_a_plugin_is_a_candidate_too(run) -> None:
    words = ("list", "mechanisms", "large_kernel", "--plugin", "examples/large_kernel.yaml", "--on", "resnet18")
    (row,) = run(*words, "--format", "json").json
    assert (row["place"], row["asked"], row["fitted"], row["reason"]) == ({"after": "branch"}, 8, 8, "")
    # 2c² + 77c in each block: 1×1 with bias, depthwise 5×5 and 7×7 with theirs.
    assert row["parameters"] == sum(2 * (c * c + 77 * c) for c in (64, 128, 256, 512))


@pytest.mark.slow
def test_every_mechanism_fits_or_says_why(run) -> None:
    rows = run("list", "mechanisms", "--on", "resnet18", "--after", "block", "--sort", "macs", "--format", "json").json
    assert {row["name"] for row in rows} == {one.name for one in registry.mechanisms()}
    for row in rows:
        assert (row["fitted"] == row["asked"] > 0) != bool(row["reason"]), row
    known = [row["macs"] for row in rows if row["macs"] is not None]
    assert known == sorted(known)
    (se,) = (row for row in rows if row["name"] == "se")
    plain = composer.graph("resnet18").num_parameters
    assert se["parameters_percent"] == 100 * se["parameters"] / plain
