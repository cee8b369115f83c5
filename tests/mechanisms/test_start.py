"""The weights that a mechanism starts with follow the law that its docstring states, which is that of its source."""

from __future__ import annotations

import math

import pytest
import timm
import torch

import composer
from composer import registry
from composer.contract import Subject
from composer.layers.router import CondConvRouter

ZERO, ONE = ("constant", 0.0), ("constant", 1.0)


def normal(deviation):
    return ("normal", deviation)


def he(count):
    return normal(math.sqrt(2 / count))


def uniform(fan):
    """PyTorch's own, by the inputs of an output."""
    return ("uniform", 1 / math.sqrt(fan))


NORM = {"weight": ONE, "bias": ZERO}
# 512 channels in and out on 7 × 7, reduction 2, so that each weight has enough numbers to judge.
C, D = 512, 256
# (mechanism, options, groups) -> parameter -> law. Authors' files: github.com/Jongchan/attention-module (model_resnet),
# implus/SKNet and hujie-frank/GENet (prototxt), facebookresearch/video-nonlocal-net, tensorflow/tpu (efficientnet).
LAWS = [
    ("se", {"reduction": 2}, 1, {"fc1.weight": he(D), "fc1.bias": ZERO, "fc2.weight": he(C), "fc2.bias": ZERO}),
    ("se_var1", {}, 1, {}),
    ("se_var2", {}, 1, {"fc.weight": uniform(1), "fc.bias": uniform(1)}),
    ("ese", {}, 1, {"fc.weight": he(C), "fc.bias": uniform(C)}),
    ("se_var3", {}, 1, {"fc.weight": he(C), "fc.bias": uniform(C)}),
    ("eca", {"kernel_size": 255}, 1, {"conv.weight": uniform(255)}),
    (
        "cbam",
        {"reduction": 2, "kernel_size": 31},
        1,
        {
            "channel.fc1.weight": uniform(C),
            "channel.fc1.bias": ZERO,
            "channel.fc2.weight": uniform(D),
            "channel.fc2.bias": ZERO,
            "spatial.conv.weight": he(31**2),
            "spatial.conv.bias": ZERO,
        },
    ),
    (
        "cbam_channel",
        {"reduction": 2},
        1,
        {"fc1.weight": uniform(C), "fc1.bias": ZERO, "fc2.weight": uniform(D), "fc2.bias": ZERO},
    ),
    (
        "cbam_spatial",
        {"norm": True, "kernel_size": 31},
        1,
        {"conv.weight": he(31**2), "bn.weight": ZERO, "bn.bias": ZERO},
    ),
    (
        "bam_channel",
        {"reduction": 2},
        1,
        {"fc1.weight": uniform(C), "fc2.weight": uniform(D), "fc1.bias": ZERO, "fc2.bias": ZERO, "bn": NORM},
    ),
    (
        "bam",
        {"reduction": 2},
        1,
        {
            "channel.fc1.weight": uniform(C),
            "channel.fc2.weight": uniform(D),
            "channel.fc1.bias": ZERO,
            "channel.fc2.bias": ZERO,
            "channel.bn": NORM,
            "spatial.conv1.weight": he(D),
            "spatial.conv2.weight": he(9 * D),
            "spatial.conv3.weight": he(9 * D),
            "spatial.conv4.weight": he(1),
            **{f"spatial.conv{layer}.bias": ZERO for layer in (1, 2, 3, 4)},
            **{f"spatial.bn{layer}": NORM for layer in (1, 2, 3)},
        },
    ),
    (
        "bam_spatial",
        {"reduction": 2, "norm_at": "last"},
        1,
        {
            "conv1.weight": he(D),
            "conv2.weight": he(9 * D),
            "conv3.weight": he(9 * D),
            "conv4.weight": he(1),
            **{f"conv{layer}.bias": ZERO for layer in (1, 2, 3, 4)},
            "bn4": NORM,
        },
    ),
    ("ge_minus", {}, 1, {}),
    ("ge", {}, 1, {"gather.conv1.weight": he(49), "gather.bn1": NORM}),
    (
        "ge",
        {"extent": 4},
        1,
        {f"gather.{name}{step}": law for step in (1, 2) for name, law in (("conv", {"weight": he(9)}), ("bn", NORM))},
    ),
    (
        "ge_plus",
        {"reduction": 2},
        1,
        {
            "gather.conv1.weight": he(49),
            "gather.bn1": NORM,
            "fc1.weight": normal(0.01),
            "fc2.weight": normal(0.01),
            "fc1.bias": ZERO,
            "fc2.bias": ZERO,
        },
    ),
    *[
        (
            "sk",
            {"init": init},
            32,
            {
                **{f"paths.{branch}.conv.weight": he(9 * fan) for branch in (0, 1)},
                **{f"paths.{branch}.bn": NORM for branch in (0, 1)},
                "attn.fc_reduce.weight": normal(0.01) if init == "authors" else he(32),
                "attn.bn": NORM,
                "attn.fc_select.weight": normal(0.01) if init == "authors" else he(2 * C),
            },
        )
        for init, fan in (("authors", C // 32), ("he", C))
    ],
    (
        "splat",
        {},
        1,
        {
            "conv.weight": he(9 * 2 * C),
            "bn0": NORM,
            "fc1.weight": he(D),
            "fc1.bias": uniform(C),
            "bn1": NORM,
            "fc2.weight": he(2 * C),
            "fc2.bias": uniform(D),
        },
    ),
    *[
        (
            "condconv",
            {},
            groups,
            {
                "weight": he(9 * C / groups),
                "router.weight": ("uniform", math.sqrt(6 / (C + 8))),
                "router.bias": ZERO,
            },
        )
        for groups in (1, 32, C)
    ],
    *[
        (
            "dynconv",
            {"reduction": 2},
            groups,
            {
                "weight": he(9 * C / groups),
                "fc1.weight": uniform(C),
                "fc1.bias": uniform(C),
                "fc2.weight": uniform(D),
                "fc2.bias": None,
            },
        )
        for groups in (1, C)
    ],
    *[
        (
            name,
            {},
            1,
            {"qkv.weight": normal(0.02), "qkv.bias": ZERO, "proj.weight": normal(0.02), "proj.bias": ZERO},
        )
        for name in ("mhsa", "sa")
    ],
    (
        "nl",
        {},
        1,
        {
            **{f"{name}.weight": normal(0.01) for name in ("theta", "phi", "g", "proj")},
            **{f"{name}.bias": ZERO for name in ("theta", "phi", "g", "proj")},
            "bn": {"weight": ZERO, "bias": ZERO},
        },
    ),
    ("bot", {}, 1, {"qkv.weight": normal(0.01), "row": normal(128**-0.5), "column": normal(128**-0.5)}),
    ("sasa", {}, 1, {"qkv.weight": he(3 * C), "row": normal(1.0), "column": normal(1.0)}),
]


def follows(values, law, what):
    """Mean, deviation, ends and the share of zeros, within four standard errors."""
    values, (kind, number) = values.detach().flatten().double(), law
    if kind == "constant":
        assert values.eq(number).all(), what
        return
    deviation = number if kind == "normal" else number / math.sqrt(3)
    # The deviation of a sample's deviation, by the fourth moment of the law: 3 of a normal one, 9/5 of a uniform one.
    spread = math.sqrt(((3 if kind == "normal" else 1.8) - 1) / 4)
    error = deviation / math.sqrt(len(values))
    assert abs(values.mean()) < 4 * error, f"{what}: mean {values.mean():.2e}"
    found = values.square().mean().sqrt()
    assert abs(found - deviation) < 4 * spread * error, f"{what}: deviation {found:.4g}, not {deviation:.4g}"
    assert not values.eq(0).any(), f"{what}: zeros"
    if kind == "uniform":
        assert values.abs().max() <= number, f"{what}: beyond {number:.4g}"
    elif len(values) > 1000:
        assert values.abs().max() > 3 * deviation, f"{what}: cut off"


@pytest.mark.parametrize(("name", "options", "groups", "laws"), LAWS, ids=lambda value: str(value)[:40])
def test_start(name, options, groups, laws):
    module = Subject(registry.get(name), options, groups, channels=C).build()
    flat = {}
    for key, law in laws.items():
        flat |= {f"{key}.{part}": one for part, one in law.items()} if isinstance(law, dict) else {key: law}
    parameters = dict(module.named_parameters())
    assert parameters.keys() == flat.keys()
    for key, law in flat.items():
        if law is not None:
            follows(parameters[key], law, f"{name}.{key}")


def test_every_mechanism_has_a_law():
    assert {name for name, *_ in LAWS} == {
        entry.name for entry in registry.entries("mechanism") if entry.plugin.name == "composer"
    }


def test_a_router_for_a_block_starts_as_one_of_its_own():
    router = CondConvRouter(C, num_experts=8)
    follows(router.weight, ("uniform", math.sqrt(6 / (C + 8))), "weight")
    follows(router.bias, ZERO, "bias")


def test_momentum_of_the_norm_of_cbam_is_the_authors():
    module = Subject(registry.get("cbam"), {"norm": True}).build()
    assert module.spatial.bn.momentum == 0.01
    x = torch.randn(2, 64, 5, 5)
    assert torch.equal(module.spatial.attention(x), torch.full((2, 1, 5, 5), 0.5))


@pytest.mark.parametrize(
    ("network", "path", "name", "options", "channels"),
    [
        ("resnest14d", "layer3.0.conv2", "splat", {"cardinality": 1}, 256),
        ("skresnet18", "layer3.1.conv1", "sk", {"init": "he"}, 256),
    ],
)
def test_what_networks_with_timms_names_use_starts_as_timms(network, path, name, options, channels):
    peer = timm.create_model(network).get_submodule(path)
    ours = dict(Subject(registry.get(name), options, channels=channels).build().named_parameters())
    compared = 0
    for key, value in peer.named_parameters():
        if key in ours and ours[key].shape == value.shape:
            expected, found = value.detach().square().mean().sqrt().item(), ours[key].detach().square().mean().sqrt()
            assert found == pytest.approx(expected, rel=0.15), key
            compared += 1
    assert compared > 6


def test_skresnext_asks_for_timms_start():
    node = composer.graph("skresnext50_32x4d").networkx().nodes["layer3.1.conv2"]
    assert node["options"]["init"] == "he"
