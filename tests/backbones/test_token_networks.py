"""MLP-Mixer, CaiT and XCiT beside timm's."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_count, check_gradients, check_input, check_parity

import composer

# Parameters; the papers state 19, 60, 18 and 59 M (Tolstikhin et al. 2021, table 1), 12.0 and 46.9 M (Touvron et al.
# 2021, table 3) and 3, 7 and 26 M (El-Nouby et al. 2021, table 1).
SIZES = {
    "mixer_s32_224": 19_104_624,
    "mixer_b32_224": 60_293_428,
    "mixer_s16_224": 18_528_264,
    "mixer_b16_224": 59_880_472,
    "cait_xxs24_224": 11_956_264,
    "cait_s24_224": 46_916_200,
    "xcit_nano_12_p16_224": 3_053_224,
    "xcit_tiny_12_p16_224": 6_716_272,
    "xcit_small_12_p16_224": 26_253_304,
}
# Vars that make a network shallow and quick, and timm's options of the same meaning.
SHALLOW = {
    # timm's has its depth for good.
    "mixer_s32_224": ({}, {}),
    "cait_xxs24_224": ({"depth": 2}, {"depth": 2}),
    "xcit_nano_12_p16_224": ({"depth": 2}, {"depth": 2}),
    "xcit_tiny_12_p16_224": ({"depth": 2}, {"depth": 2}),
}
SIDE = 96


def small(name, **vars):
    return {"backbone": name, "input": [3, SIDE, SIDE], "vars": vars}


@pytest.mark.parametrize(("name", "vars", "options"), [(name, *both) for name, both in SHALLOW.items()])
def test_parity(name, vars, options):
    _, peer = check_parity(small(name, **vars), lambda: timm.create_model(name, img_size=SIDE, **options), size=SIDE)
    ours = composer.build(small(name, **vars)).eval()
    ours.load_state_dict(peer.state_dict())
    images = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    check_gradients(ours, peer.eval(), images)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixer_b16_224", "cait_xxs24_224", "xcit_nano_12_p16_224"])
def test_parity_at_its_own_size(name):
    check_parity(name, lambda: timm.create_model(name), size=224, train=False)


@pytest.mark.parametrize(("name", "parameters"), SIZES.items())
def test_counts_sites_and_input(name, parameters):
    graph = check_count(name, lambda: timm.create_model(name))
    assert graph.num_parameters == parameters
    found = graph.places.sites
    assert found["mixer"] == found["mlp"] == found["block"]
    assert found["stem"] == found["head"] == found["features"] == 1
    check_input(name, name)
