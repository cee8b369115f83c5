"""ShuffleNet: V2 beside torchvision's; V1, which has no peer, beside the paper and a rewrite of it here."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchvision
from backbones.peers import (
    assert_close,
    check_count,
    check_features,
    check_grey,
    check_num_classes,
    check_parity,
    check_published,
    randomised,
)

import composer

# Parameters, and the millions of parameters and MACs that Ma et al. 2018 state in table 5.
SIZES = {
    "shufflenet_v2_x0_5": (1_366_792, 1.4, 41),
    "shufflenet_v2_x1_0": (2_278_604, 2.3, 146),
    "shufflenet_v2_x1_5": (3_503_624, 3.5, 299),
    "shufflenet_v2_x2_0": (7_393_996, 7.4, 591),
}
LARGE = ["shufflenet_v2_x1_5", "shufflenet_v2_x2_0"]
SMALL = [name for name in SIZES if name not in LARGE]
V1 = "shufflenet_v1_x1_0_g3"


def create(name):
    return getattr(torchvision.models, name)


@pytest.mark.parametrize("name", SMALL)
def test_v2_parity(name):
    graph, peer = check_parity(name, create(name))
    check_features(graph, peer.fc.in_features)
    parameters, *published = SIZES[name]
    assert graph.num_parameters == parameters
    check_published(graph, *published)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_v2_parity_of_the_larger(name):
    check_parity(name, create(name))


@pytest.mark.parametrize("name", LARGE)
def test_v2_sizes_of_the_larger(name):
    graph = check_count(name, create(name))
    parameters, *published = SIZES[name]
    assert graph.num_parameters == parameters
    check_published(graph, *published)


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", V1])
def test_grey_images(name):
    check_grey(name)


def test_v1_parameters_worked_by_hand():
    stem = 3 * 24 * 9 + 48
    # Three convolutions, each with its norm: c/g × c', 9 c' and c'/g × c''.
    stage2 = (24 * 60 + 120) + (540 + 120) + (20 * 216 + 432) + 3 * ((80 * 60 + 120) + (540 + 120) + (20 * 240 + 480))
    stage3 = (80 * 120 + 240) + (1080 + 240) + (40 * 240 + 480)
    stage3 += 7 * ((160 * 120 + 240) + (1080 + 240) + (40 * 480 + 960))
    stage4 = (160 * 240 + 480) + (2160 + 480) + (80 * 480 + 960)
    stage4 += 3 * ((320 * 240 + 480) + (2160 + 480) + (80 * 960 + 1920))
    classifier = 960 * 1000 + 1000
    assert (stem, stage2, stage3, stage4) == (696, 39_552, 307_680, 556_800)
    graph = composer.graph(V1)
    assert graph.num_parameters == stem + stage2 + stage3 + stage4 + classifier == 1_865_728
    check_features(graph, 960)
    check_num_classes(V1, graph)


# Zhang et al. 2018, table 1, and for half the width table 2.
@pytest.mark.parametrize(
    ("groups", "width", "stem", "million_macs"),
    [(1, 144, 24, 143), (2, 200, 24, 140), (3, 240, 24, 137), (4, 272, 24, 133), (8, 384, 24, 137), (3, 120, 12, 38)],
)
def test_v1_macs_are_the_papers(groups, width, stem, million_macs):
    vars = {"groups": groups, "widths": [width, 2 * width, 4 * width], "stem": stem}
    assert composer.graph(V1, vars=vars).num_macs / 1e6 == pytest.approx(million_macs, rel=0.015)


@pytest.mark.parametrize("training", [False, True])
def test_v1_computes_what_the_paper_says(training):
    model = randomised(composer.build(V1)).train(training)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    weights = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with torch.no_grad():
        found, wanted = model(images), shufflenet_v1(weights, images, training)
    assert (wanted[0] - wanted[1]).abs().max() > 1e-2 * wanted.abs().max()
    assert_close(found, wanted, "output", exact=False)
    for key, tensor in model.named_buffers():
        if "running" in key:
            assert_close(weights[key], tensor, key, exact=False)


def shufflenet_v1(weights, x, training):
    """ShuffleNet 1x, g = 3 (Zhang et al. 2018, table 1 and figure 2), written anew."""

    def norm(x, name):
        names = (f"{name}.{key}" for key in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *(weights[key] for key in names), training)

    def conv(x, name, stride=1, groups=1):
        kernel = weights[f"{name}.weight"]
        return F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2, groups=groups)

    x = F.max_pool2d(norm(conv(x, "conv1", 2), "bn1").relu(), 3, 2, 1)
    for stage, depth in ((2, 4), (3, 8), (4, 4)):
        for unit in range(depth):
            name, stride = f"stage{stage}.{unit}", 2 if unit == 0 else 1
            y = norm(conv(x, f"{name}.conv1", groups=1 if (stage, unit) == (2, 0) else 3), f"{name}.bn1").relu()
            # The channel at place i of group g goes to place g of the i-th triple.
            third = y.shape[1] // 3
            y = y[:, [group * third + place for place in range(third) for group in range(3)]]
            y = norm(conv(y, f"{name}.conv2", stride, groups=y.shape[1]), f"{name}.bn2")
            y = norm(conv(y, f"{name}.conv3", groups=3), f"{name}.bn3")
            x = (x + y if stride == 1 else torch.cat([F.avg_pool2d(x, 3, 2, 1), y], 1)).relu()
    return x.mean((2, 3)) @ weights["fc.weight"].T + weights["fc.bias"]
