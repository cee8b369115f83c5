"""Networks that put nodes on a backbone, against the library that has them too."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

import composer
from composer.spec import zoo


@pytest.mark.parametrize("name", zoo.others("necks"))
def test_each_composes_and_trains_a_step(name):
    model = composer.build(name)
    shape = next(iter(model.graph.root.inputs.values())).shape[1:]
    outputs = model(torch.randn(2, *shape))
    sum(value.square().mean() for value in outputs.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def ours(name: str) -> str:
    """Our name of one of torchvision's tensors."""
    name = name.removeprefix("body.")
    for theirs, own in (("inner_blocks", "inner"), ("layer_blocks", "p")):
        name = re.sub(rf"fpn\.{theirs}\.(\d)\.0", lambda found, own=own: f"{own}{int(found[1]) + 2}", name)
    return name


@pytest.mark.parametrize("training", [False, True])
def test_fpn_resnet50_is_torchvisions(training):
    theirs = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
    ).train(training)
    model = composer.build("necks/fpn_resnet50").train(training)
    report = composer.load_weights(
        model, {ours(name): value for name, value in theirs.state_dict().items()}, require="all"
    )
    assert not report.added
    images = torch.randn(2, 3, 128, 160, generator=torch.Generator().manual_seed(0))
    wanted, found = theirs(images), model(images)
    for theirs_name, own in zip(("0", "1", "2", "3", "pool"), ("p2", "p3", "p4", "p5", "p6"), strict=True):
        assert torch.equal(found[own], wanted[theirs_name])
    for outputs in (wanted, found):
        sum(value.square().mean() for value in outputs.values()).backward()
    gradients = dict(model.named_parameters())
    for name, parameter in theirs.named_parameters():
        assert torch.equal(gradients[ours(name)].grad, parameter.grad), name


def test_the_paper_s_width_is_a_var_and_rules_reach_every_node():
    rules = [{"use": "eca", "after": "pyramid", "expect": 4}, {"use": "se", "after": "branch", "expect": 16}]
    graph = composer.compose({"backbone": "necks/fpn_resnet50", "attention": rules}, vars={"width": 64})
    assert graph.outputs["p2"].channels == 64
    assert len(graph.mechanisms[0]) == 4


def test_weights_of_the_plain_backbone_fill_it(tmp_path):
    plain = composer.build("resnet50", seed=1)
    torch.save(plain.state_dict(), tmp_path / "resnet50.pth")
    model = composer.build("necks/fpn_resnet50", weights=tmp_path / "resnet50.pth")
    report = model.weights_report
    assert {name.partition(".")[0] for name in report.added} == {
        f"{kind}{level}" for kind in ("inner", "p") for level in (2, 3, 4, 5)
    }
    assert report.left_out == ("fc.weight", "fc.bias")
