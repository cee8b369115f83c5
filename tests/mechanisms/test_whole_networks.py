"""Whole networks have the size that their papers print."""

from __future__ import annotations

import pytest

import composer

LAST = "stage == 4"


@pytest.mark.parametrize(
    ("rule", "millions", "source"),
    [
        ({"use": "se", "after": "branch"}, 28.09, "SENet, table 2: 28.1 M"),
        ({"use": "se_var1", "after": "branch"}, 25.56, "ECA-Net, table 2: no more than the backbone"),
        ({"use": "ge_minus", "after": "branch"}, 25.56, "Gather-Excite, table 3: 25.6 M"),
        (
            {"use": "ge", "after": "branch"},
            31.11,
            "Gather-Excite, table 3: 31.2 M, with the running statistics of batch norm",
        ),
        (
            {"use": "ge_plus", "after": "branch"},
            33.64,
            "Gather-Excite, table 3: 33.7 M, with the running statistics of batch norm",
        ),
        ({"use": "cbam", "after": "branch"}, 28.09, "CBAM, table 4: 28.09 M"),
        ({"use": "bam", "after": "stage", "where": "not last"}, 25.92, "BAM, table 4: 25.92 M"),
        ({"use": "bot", "replace": "spatial_conv", "where": LAST}, 20.85, "BoTNet, table 1: 20.8 M"),
        ({"use": "sasa", "replace": "spatial_conv"}, 18.04, "SASA, table 1: 18.0 M"),
    ],
    ids=lambda value: value.get("use") if isinstance(value, dict) else None,
)
def test_resnet50(rule, millions, source):
    found = composer.graph({"backbone": "resnet50", "attention": [rule]}).num_parameters / 1e6
    assert found == pytest.approx(millions, abs=0.005), source
