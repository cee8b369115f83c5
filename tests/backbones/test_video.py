"""Networks on videos beside torchvision's."""

from __future__ import annotations

import pytest
import torch
from backbones.peers import check_outputs, randomised
from torchvision.models.video import r3d_18

import composer

CLIP = {"backbone": "video/r3d_18", "input": [3, 4, 32, 32]}


@pytest.mark.parametrize("training", [False, True])
def test_r3d_18_is_torchvisions(training):
    theirs, ours = randomised(r3d_18(num_classes=7)).train(training), composer.build(CLIP, vars={"num_classes": 7})
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }
    ours.train(training).load_state_dict(theirs.state_dict())
    clips = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(2))
    check_outputs(ours, theirs, clips)
    for model in (ours, theirs):
        model(clips).square().mean().backward()
    gradients = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        assert torch.equal(gradients[name].grad, parameter.grad), name


def test_counts_and_sites():
    graph = composer.graph("video/r3d_18")
    assert graph.num_parameters == 33_371_472
    # torchvision states 40.697 G.
    assert graph.num_macs / 1e9 == pytest.approx(40.697, rel=1e-4)
    wanted = {"stem": 1, "stage": 4, "block": 8, "branch": 8, "shortcut": 8, "spatial_conv": 16, "head": 1}
    assert graph.places.sites.items() >= wanted.items()


def test_gates_go_into_it():
    model = composer.build({**CLIP, "backbone": "video/se_r3d_18"}, vars={"num_classes": 4})
    assert list(model.graph.mechanisms[0])[:2] == ["layer1.0.se", "layer1.1.se"]
    assert model.get_parameter("layer1.0.se.fc1.weight").shape == (4, 64, 1, 1, 1)
    clips = torch.randn(2, 3, 4, 32, 32)
    model(clips).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    plain = dict(composer.build(CLIP, vars={"num_classes": 4}).named_parameters())
    assert all(torch.equal(value, plain[name]) for name, value in model.named_parameters() if ".se." not in name)
