"""Where a mechanism goes when nobody says where."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

import composer
from composer import registry
from composer.dag.rules.default_place import default_place

CONVOLUTIONS = {"stem", "stage", "block", "branch", "spatial_conv", "head"}
TOKENS = {"stem", "block", "branch", "mixer", "mlp", "head"}
BOTH = CONVOLUTIONS | TOKENS


@pytest.mark.parametrize(
    ("name", "sites", "place"),
    [
        ("se", CONVOLUTIONS, {"after": "branch"}),
        ("cbam", TOKENS, {"after": "branch"}),
        ("bam", CONVOLUTIONS, {"after": "stage", "where": "not last"}),
        ("sk", CONVOLUTIONS, {"replace": "spatial_conv"}),
        ("condconv", TOKENS, {"replace": "spatial_conv"}),
        ("bot", CONVOLUTIONS, {"replace": "spatial_conv", "where": "stage == num_stages"}),
        ("sasa", BOTH, {"replace": "mixer"}),
        ("mhsa", CONVOLUTIONS, {"after": "stage", "where": "last"}),
        ("mhsa", TOKENS, {"replace": "mixer"}),
        ("nl", BOTH, {"after": "stage", "where": "last"}),
        # What the network lacks is named by the refusal.
        ("mhsa", set(), {"after": "stage", "where": "last"}),
    ],
)
def test_by_kind_and_by_what_the_network_has(name, sites, place) -> None:
    entry = registry.get(name)
    assert entry is not None
    assert default_place(entry, sites) == place


def test_a_plugin_says_it_itself() -> None:
    @composer.mechanism("gate_in_test", kind="spatial", place=[{"after": "gate"}, {"before": "head"}])
    class Gate(nn.Module):
        """Does nothing."""

        def forward(self, x: Tensor) -> Tensor:
            return x

    entry = registry.get("gate_in_test")
    assert entry is not None
    assert default_place(entry, {"gate", "head"}) == {"after": "gate"}
    assert default_place(entry, CONVOLUTIONS) == {"before": "head"}
