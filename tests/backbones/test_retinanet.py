"""RetinaNet, whose one head looks at five levels, against torchvision's."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torchvision.models.detection.retinanet import retinanet_resnet50_fpn

import composer

HEADS = {"classification_head": "cls_logits", "regression_head": "bbox_reg"}


def ours(name: str) -> str:
    """Our name of one of torchvision's tensors."""
    name = re.sub(r"^backbone\.body\.|^head\.|^backbone\.fpn\.extra_blocks\.", "", name)
    for theirs, own in (("inner_blocks", "inner"), ("layer_blocks", "p")):
        name = re.sub(rf"backbone\.fpn\.{theirs}\.(\d)\.0", lambda found, own=own: f"{own}{int(found[1]) + 3}", name)
    return re.sub(r"\.(cls_logits|bbox_reg)\.", ".out.", name)


def plain() -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = retinanet_resnet50_fpn(weights=None, weights_backbone=None)
    # Otherwise all logits are nearly the same.
    for head, last in HEADS.items():
        nn.init.normal_(getattr(model.head, head).get_submodule(last).weight, std=0.1)
    return model


@pytest.mark.parametrize("training", [False, True])
def test_it_is_torchvisions(training):
    theirs, model = plain().train(training), composer.build("detection/retinanet_resnet50_fpn").train(training)
    report = composer.load_weights(model, {ours(name): one for name, one in theirs.state_dict().items()}, require="all")
    assert not report.added
    images = torch.randn(2, 3, 128, 160, generator=torch.Generator().manual_seed(0))
    wanted, found = theirs.head(list(theirs.backbone(images).values())), model(images)
    assert torch.equal(found["logits"], wanted["cls_logits"])
    assert torch.equal(found["boxes"], wanted["bbox_regression"])
    for outputs in (wanted, found):
        sum(value.square().mean() for value in outputs.values()).backward()
    gradients = dict(model.named_parameters())
    for name, parameter in theirs.named_parameters():
        assert torch.allclose(gradients[ours(name)].grad, parameter.grad, rtol=1e-4, atol=1e-7), name


def test_rules_reach_the_head_once_and_the_backbone():
    rules = [
        {"use": "se", "after": "**.conv.3", "expect": 2},
        {"use": "eca", "after": "pyramid", "expect": 5},
        {"use": "cbam", "after": "branch", "expect": 16},
    ]
    graph = composer.compose({"backbone": "detection/retinanet_resnet50_fpn", "attention": rules})
    assert graph.mechanisms[0] == tuple(f"{head}.conv.3.out_se" for head in HEADS)
    plain = composer.compose("detection/retinanet_resnet50_fpn")
    assert graph.added[0].parameters == 2 * sum(
        one.numel() for one in composer.build({"input": [256, 4, 4], "nodes": {"se": "se"}}).parameters()
    )
    assert plain.num_parameters == graph.num_parameters - sum(one.parameters for one in graph.added)
