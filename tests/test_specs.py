"""Every spec that travels with composer composes, has its sites, and the parameters its paper states."""

from __future__ import annotations

import pytest
import torch

import composer
from composer.spec import zoo

# Channels at the end of the residual branches of ResNet-50, and how often.
BRANCHES = {256: 3, 512: 4, 1024: 6, 2048: 3}


def over_branches(cost) -> int:
    return sum(count * cost(channels) for channels, count in BRANCHES.items())


def bam(c: int) -> int:
    d = c // 16
    return 3 * c * d + 18 * d * d + c + 13 * d + 1


def sk(o: int, c: int) -> int:
    d = max(o // 16, 32)
    return 2 * (9 * o * c // 32 + 2 * o) + o * d + 2 * d + 2 * o * d


SK_WIDTHS = {128: 3, 256: 4, 512: 6, 1024: 3}
PAPERS = {
    "papers/se/resnet50": 28_088_024,
    "papers/eca/resnet50": 25_557_032 + over_branches(lambda c: 5 if c < 2048 else 7),
    "papers/cbam/resnet50": 25_557_032 + over_branches(lambda c: 2 * c * (c // 16) + c + c // 16 + 2 * 49 + 1),
    "papers/bam/resnet50": 25_557_032 + sum(map(bam, (256, 512, 1024))),
    # Each 3×3 convolution gives way with its norm.
    "papers/sk/resnext50_32x4d": 25_028_904
    + sum(count * (sk(o, o) - 9 * o * o // 32 - 2 * o) for o, count in SK_WIDTHS.items()),
    # Queries, keys, values and output of width 512 instead of a 3×3 convolution.
    "papers/mhsa/resnet50": 25_557_032 + 3 * (4 * 512**2 + 4 * 512 - 9 * 512**2),
}


@pytest.mark.parametrize("name", zoo.backbones())
def test_composes_with_sites_of_the_standard_vocabulary(name):
    graph = composer.graph(name)
    assert graph.num_parameters > 0
    assert next(iter(graph.outputs.values())).channels == 1000
    found = graph.places.sites
    wanted = {"stem", "block", "branch", "head"}
    assert wanted <= set(found)
    transformer = {"mixer", "mlp"} <= set(found)
    assert transformer or {"stage", "spatial_conv"} <= set(found)
    # The block of a transformer has two residual branches, XCiT's has three; some networks have blocks of both kinds.
    if transformer:
        assert found["branch"] >= (1 if "spatial_conv" in found else 2) * found["block"]
    else:
        assert found["branch"] == found["block"]
    assert graph.levels


@pytest.mark.parametrize(("name", "published"), PAPERS.items())
def test_parameters_are_those_published(name, published):
    assert composer.graph(name).num_parameters == published


@pytest.mark.parametrize("name", [*PAPERS, "papers/cbam/mobilenetv2_100"])
def test_the_papers_networks_train_a_step(name):
    model = composer.build(name, vars={"num_classes": 4})
    model(torch.randn(2, 3, 224, 224)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_every_rule_says_how_many_places_it_means():
    for name in zoo.papers():
        assert all(rule.expect is not None for rule, _ in composer.load(name).rules), name
