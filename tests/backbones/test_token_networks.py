"""MLP-Mixer, CaiT, XCiT, PVTv2 and EVA-02 beside timm's."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_count, check_gradients, check_input, check_parity

import composer

# Parameters; the papers state 19, 60, 18 and 59 M (Tolstikhin et al. 2021, table 1), 12.0 and 46.9 M (Touvron et al.
# 2021, table 3), 3, 7 and 26 M (El-Nouby et al. 2021, table 1), and 3.4, 13.1, 25.4 and 22.6 M (Wang et al. 2022, table
# 2); EVA-02's tiny and small have 6 and 22 M (Fang et al. 2023, table 2).
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
    "pvt_v2_b0": 3_666_760,
    "pvt_v2_b1": 14_009_000,
    "pvt_v2_b2": 25_362_856,
    "pvt_v2_b2_li": 22_553_512,
    "eva02_tiny_patch14_224": 5_695_144,
    "eva02_small_patch14_224": 22_006_120,
}
# Vars that make a network shallow and quick, and timm's options of the same meaning.
SHALLOW = {
    # timm's has its depth for good.
    "mixer_s32_224": ({}, {}),
    "cait_xxs24_224": ({"depth": 2}, {"depth": 2}),
    "xcit_nano_12_p16_224": ({"depth": 2}, {"depth": 2}),
    "xcit_tiny_12_p16_224": ({"depth": 2}, {"depth": 2}),
    "pvt_v2_b0": ({"depths": [1, 1, 1, 2]}, {"depths": (1, 1, 1, 2)}),
    "pvt_v2_b2_li": ({"depths": [1, 1, 1, 1]}, {"depths": (1, 1, 1, 1)}),
    "eva02_tiny_patch14_224": ({"depth": 2}, {"depth": 2}),
}
SIDE = 96


def small(name, **vars):
    return {"backbone": name, "input": [3, SIDE, SIDE], "vars": vars}


def create(name, **options):
    return timm.create_model(name, num_classes=1000, **options)


@pytest.mark.parametrize(("name", "vars", "options"), [(name, *both) for name, both in SHALLOW.items()])
def test_parity(name, vars, options):
    if not name.startswith("pvt"):
        # timm's pyramid takes images of any size.
        options = {"img_size": SIDE, **options}
    # timm copies a pyramid's maps between stages, and torch adds up a convolution of a copy in another order.
    exact = not name.startswith("pvt")
    _, peer = check_parity(small(name, **vars), lambda: create(name, **options), size=SIDE, exact=exact)
    ours = composer.build(small(name, **vars)).eval()
    ours.load_state_dict(peer.state_dict())
    images = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    check_gradients(ours, peer.eval(), images)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mixer_b16_224", "cait_xxs24_224", "xcit_nano_12_p16_224", "pvt_v2_b0", "eva02_tiny_patch14_224"]
)
def test_parity_at_its_own_size(name):
    check_parity(name, lambda: create(name), size=224, exact=not name.startswith("pvt"), train=False)


@pytest.mark.parametrize(("name", "parameters"), SIZES.items())
def test_counts_sites_and_input(name, parameters):
    graph = check_count(name, lambda: create(name))
    assert graph.num_parameters == parameters
    found = graph.places.sites
    assert found["mixer"] == found["mlp"] == found["block"]
    assert found["stem"] == found["head"] == 1
    assert found.get("stage", 0) + 4 * found.get("features", 0) == 4
    check_input(name, name)


@pytest.mark.parametrize(("name", "vars"), [(name, vars) for name, (vars, _) in SHALLOW.items()])
def test_they_are_traced_and_read_as_written_by_hand(name, vars):
    model = composer.build(small(name, num_classes=4, **vars)).eval()
    images = torch.randn(2, 3, SIDE, SIDE)
    assert torch.equal(torch.fx.symbolic_trace(model)(images), model(images))
    assert "self.head(" in model.code


@pytest.mark.slow
@pytest.mark.parametrize(("name", "vars"), [(name, vars) for name, (vars, _) in SHALLOW.items()])
def test_they_compile_and_are_exported(name, vars):
    model = composer.build(small(name, num_classes=4, **vars)).eval()
    images = torch.randn(2, 3, SIDE, SIDE)
    wanted = model(images)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(model, (images,), dynamic_shapes={"x": {0: batch}}).module()
    larger = torch.cat([images, images, images])
    assert torch.allclose(exported(larger), model(larger), atol=1e-5)
    assert torch.allclose(torch.compile(model, fullgraph=True, backend="aot_eager")(images), wanted, atol=1e-5)
