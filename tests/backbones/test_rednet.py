"""RedNet beside a ResNet whose 3x3 convolutions a rule replaces by involutions."""

from __future__ import annotations

import pytest
import torch

import composer

# Parameters that the authors' README prints, in millions, and blocks.
SIZES = {"rednet26": (9.23, 8), "rednet38": (12.39, 12), "rednet50": (15.54, 16), "rednet101": (25.65, 33)}
SMALL = {"widths": [16, 32, 32, 48], "depths": [1, 2, 1, 1], "num_classes": 5}


@pytest.mark.parametrize("name", SIZES)
def test_counts_and_sites(name):
    million, blocks = SIZES[name]
    graph = composer.graph(name)
    assert round(graph.num_parameters / 1e6, 2) == million
    found = graph.places.sites
    assert found["block"] == found["branch"] == found["spatial_conv"] == blocks
    assert [level.reduction for level in graph.levels] == [2, 4, 8, 16, 32]


def test_its_stages_are_those_of_a_resnet_with_involutions():
    ours = composer.build({"backbone": "rednet50", "vars": SMALL}).double().train()
    rule = {"use": "involution", "replace": "spatial_conv", "expect": 5}
    theirs = composer.build({"backbone": "resnet50", "vars": SMALL, "attention": [rule]}).double().train()
    stages = {key: value for key, value in ours.state_dict().items() if key.startswith(("layer", "fc"))}
    # A norm whose scale is 0 would hide its block.
    stages = {key: torch.rand_like(value) if key.endswith("bn3.weight") else value for key, value in stages.items()}
    ours.load_state_dict(stages, strict=False)
    missing = theirs.load_state_dict(stages, strict=False)
    assert not missing.unexpected_keys
    assert all(key.startswith(("conv1.", "bn1.")) for key in missing.missing_keys)
    images = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    x = ours.maxpool(ours.stem(images))
    for name in ("layer1", "layer2", "layer3", "layer4", "global_pool", "fc"):
        x = getattr(theirs, name)(x)
    torch.testing.assert_close(ours(images), x)


def test_every_weight_learns():
    model = composer.build({"backbone": "rednet26", "vars": {**SMALL, "depths": [1, 1, 1, 1]}})
    model.load_state_dict(
        {key: torch.ones_like(value) for key, value in model.state_dict().items() if key.endswith("bn3.weight")},
        strict=False,
    )
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
