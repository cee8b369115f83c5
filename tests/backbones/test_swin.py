"""Swin transformers beside timm's."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_count, check_input, check_outputs, check_parity

import composer

# Parameters; Liu et al. (2021, table 1) state 29, 50 and 88 M, and 4.5, 8.7 and 15.4 G multiply-adds.
SIZES = {
    "swin_tiny_patch4_window7_224": (28_288_354, 4.5),
    "swin_small_patch4_window7_224": (49_606_258, 8.7),
    "swin_base_patch4_window7_224": (87_768_224, 15.4),
}
TINY = "swin_tiny_patch4_window7_224"


def resized(**vars):
    return {"backbone": TINY, "input": [3, 80, 80], "vars": vars}


def peer(**options):
    return lambda: timm.create_model(TINY, img_size=80, **options)


def test_parity():
    """Maps of 20, 10, 5 and 3: padded and shifted, and smaller than a window."""
    check_parity(resized(drop_path=0.0), peer(drop_path_rate=0.0), size=80, exact=False)


@pytest.mark.slow
def test_parity_at_its_own_size():
    check_parity(TINY, lambda: timm.create_model(TINY), size=224, exact=False, train=False)


@pytest.mark.parametrize(("name", "parameters", "giga_macs"), [(name, *size) for name, size in SIZES.items()])
def test_counts_sites_and_input(name, parameters, giga_macs):
    graph = check_count(name, lambda: timm.create_model(name))
    assert graph.num_parameters == parameters
    assert graph.num_macs / 1e9 == pytest.approx(giga_macs, rel=0.02)
    found = graph.places.sites
    assert found["mixer"] == found["mlp"] == found["block"] == sum(graph.spec.vars["depths"])
    assert found["branch"] == 2 * found["block"]
    assert (found["stem"], found["stage"], found["features"], found["head"]) == (1, 4, 1, 1)
    check_input(name, name)


def test_rates_of_stochastic_depth_are_timms():
    ours = composer.build(resized(num_classes=0))
    theirs = [module.drop_prob for module in peer()().modules() if type(module).__name__ == "DropPath"]
    found = [module.p for module in ours.modules() if type(module).__name__ == "DropPath"]
    assert found == pytest.approx(theirs)
    assert len(found) == 22


def test_grey():
    graph = composer.graph({"backbone": TINY, "input": [1, 224, 224]})
    assert graph.num_parameters == SIZES[TINY][0] - 2 * 96 * 4 * 4


def test_mixers_give_way_and_channel_gates_go_in():
    spec = {
        "backbone": TINY,
        "input": [3, 64, 64],
        "attention": [
            {"use": "mhsa", "replace": "mixer", "where": "stage == 4", "expect": 2},
            {"use": "se", "after": "stage", "start": "identity", "expect": 4},
        ],
    }
    model = composer.build(spec).eval()
    plain = composer.build({**spec, "attention": spec["attention"][:1]}).eval()
    check_outputs(model, plain, torch.randn(2, 3, 64, 64))


@pytest.mark.slow
def test_it_compiles_and_exports():
    model = composer.build(resized(num_classes=4)).eval()
    images = torch.randn(2, 3, 80, 80)
    wanted = model(images)
    assert torch.allclose(torch.export.export(model, (images,)).module()(images), wanted, atol=1e-5)
    assert torch.allclose(torch.compile(model, fullgraph=True, backend="aot_eager")(images), wanted, atol=1e-5)
