"""Twins beside timm's, whose weights come in by a key map."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_count, check_exact_gradients, check_input, check_outputs, randomised

import composer

# Blocks, and parameters and multiply-adds as the paper's table 2 states them.
SIZES = {"twins_pcpvt_small": (16, 24.1, 3.8), "twins_svt_small": (18, 24.0, 2.9)}


@pytest.mark.parametrize("name", SIZES)
# Maps that divide into windows of 7, and maps that are padded.
@pytest.mark.parametrize("side", [64, pytest.param(224, marks=pytest.mark.slow)])
def test_parity_and_gradients(name, side):
    peer = randomised(timm.create_model(name, num_classes=7))
    ours = composer.build({"backbone": name, "input": [3, side, side], "vars": {"num_classes": 7}})
    report = composer.load_weights(ours, peer.state_dict(), require="all")
    assert "timm_twins" in str(report)
    assert not report.added
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))
    for training in (False, True):
        check_outputs(ours.train(training), peer.train(training), images, exact=False)
    check_exact_gradients(ours, peer, images)


@pytest.mark.parametrize("name", SIZES)
def test_counts_sites_and_input(name):
    blocks, million, giga = SIZES[name]
    graph = check_count(name, lambda: timm.create_model(name))
    assert graph.num_parameters / 1e6 == pytest.approx(million, abs=0.1)
    assert graph.num_macs / 1e9 == pytest.approx(giga, abs=0.1)
    found = graph.places.sites
    assert found["mixer"] == found["mlp"] == found["block"] == found["branch"] / 2 == blocks
    assert (found["stem"], found["stage"], found["features"], found["head"]) == (1, 4, 1, 1)
    check_input(name, name)


def test_mixers_give_way_and_channel_gates_go_in():
    rules = [
        {"use": "se", "after": "stage", "expect": 4},
        {"use": "nl", "after": "mlp", "where": "stage == 4"},
    ]
    spec = {"backbone": "twins_svt_small", "input": [3, 64, 64], "vars": {"num_classes": 5}, "attention": rules}
    assert composer.build(spec)(torch.randn(2, 3, 64, 64)).shape == (2, 5)
