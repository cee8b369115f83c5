"""How the zoo's networks are born: every parameter by the law of the network whose names it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import timm
import torch
import torchvision
from backbones.births import differences
from backbones.test_resnest import ablation
from backbones.test_tiered import TIERED, tiered
from backbones.test_vgg import create_narrow
from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn

import composer
from composer.spec import zoo
from composer.weights.keys import read_key_map

# Vars that make a network small, with the options that do so to timm's.
SHALLOW: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cait": ({"depth": 1}, {"depth": 1}),
    "convnext": ({"depths": [1, 1, 1, 1]}, {"depths": (1, 1, 1, 1)}),
    "deit": ({"depth": 1}, {"depth": 1}),
    "dm_nfnet": ({"depths": [1, 1, 1, 1]}, {"depths": (1, 1, 1, 1)}),
    "eva02": ({"depth": 2}, {"depth": 2}),
    "nfnet": ({"depths": [1, 1, 1, 1]}, {"depths": (1, 1, 1, 1)}),
    "pvt_v2": ({"depths": [1, 1, 1, 1]}, {"depths": (1, 1, 1, 1)}),
    "resnet50d": ({"depths": [1, 1, 1, 1]}, {"layers": (1, 1, 1, 1)}),
    "skresnext50": ({"depths": [1, 1, 1, 1]}, {"layers": (1, 1, 1, 1)}),
    "swin": ({"depths": [1, 1, 1, 1]}, {"depths": (1, 1, 1, 1)}),
    "vgg": ({"hidden": 64}, {}),
    "vit": ({"depth": 1}, {"depth": 1}),
    "xcit": ({"depth": 1}, {"depth": 1}),
}
# One or two small networks of each family; all others take longer.
QUICK = {
    "cait_xxs24_224",
    "convnext_tiny",
    "deit_tiny_distilled_patch16_224",
    "densenet121",
    "dm_nfnet_f0",
    "efficientnet_b0",
    "efficientnetv2_s",
    "eva02_tiny_patch14_224",
    "focalnet_tiny_srf",
    "googlenet",
    "hiera_tiny_224",
    "hrnet_w18_small",
    "inception_v3",
    "mixer_s32_224",
    "mnasnet_100",
    "mobilenetv1_100",
    "mobilenetv2_100",
    "mobilenetv3_small_100",
    "mobilevit_xxs",
    "pvt_v2_b0",
    "regnety_002",
    "resnest14d",
    "resnet18",
    "resnet26_tiered",
    "shufflenet_v2_x0_5",
    "skresnext50_32x4d",
    "swin_tiny_patch4_window7_224",
    "twins_svt_small",
    "vgg11_bn",
    "vit_small_patch14_reg4_dinov2",
    "vit_tiny_patch16_224",
    "xcit_nano_12_p16_224",
}
# Key maps of those whose names timm writes otherwise.
KEYS = {"twins": "timm_twins", "halonet": "timm_halonet", "lambda_resnet": "timm_lambda_resnet"}
# Networks that neither timm nor torchvision has: their own laws are looked at below.
HOSTED = {"botnet_s1_50", "nlnet50", "sasa_resnet50", "sknet101", "sknet50"}
FAMILIES_OF_NOBODY = ("biformer_*", "lsknet_*", "mobilenext_*", "rednet*", "van_*")
NOBODYS = {
    *HOSTED,
    *("botnet50", "shufflenet_v1_x1_0_g3"),
    *(name for pattern in FAMILIES_OF_NOBODY for name in zoo.backbones(pattern)),
}
FAMILIES = {name for name in zoo.backbones() if len(composer.load(name).files) == 1} - {"skresnext50_32x4d"}
NAMES = sorted({*zoo.backbones()} - FAMILIES - NOBODYS | {"googlenet", "inception_v3"})


def peer(name: str, **options: Any) -> nn.Module:
    """The network whose names ours has, as its library makes it."""
    if name == "googlenet":
        return torchvision.models.googlenet(aux_logits=False, init_weights=True)
    if name.startswith("shufflenet_v2"):
        return torchvision.models.get_model(name)
    if name == "resnet10":
        return ResNet(BasicBlock, (1, 1, 1, 1))
    if name.endswith("_tiered"):
        return tiered(**TIERED[name])
    if name.startswith("vgg"):
        # Its hidden layers hold nine tenths of the parameters.
        narrow = create_narrow(name)
        narrow._initialize_weights()
        return narrow
    if name == "resnest50d_0s1x64d":
        return timm.create_model("resnet50d")
    if name.startswith("resnest50d_") and not timm.is_model(name):
        return ablation(*map(int, name.removeprefix("resnest50d_").rstrip("d").replace("s", "x").split("x")))
    if timm.get_pretrained_cfg(name).num_classes == 0:
        # timm has no weights for the classifier of this one, and leaves it out unless it is asked for.
        options["num_classes"] = 1000
    return timm.create_model(name, **options)


def born(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    vars, options = next((found for start, found in SHALLOW.items() if name.startswith(start)), ({}, {}))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = peer(name, **options)
    keys = next((keys for start, keys in KEYS.items() if name.startswith(start)), None)
    rename = read_key_map(keys).rename if keys else lambda key: key
    ours = dict(composer.build(name, vars=vars).named_parameters())
    # timm's lambda layers have an axis of length 1 more.
    wanted = {key: tensor.reshape(ours[key].shape) for key, tensor in renamed(theirs, rename)}
    return ours, wanted


def renamed(model: nn.Module, rename: Callable[[str], str | None]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in model.named_parameters():
        key = rename(name)
        assert key is not None
        yield key, tensor


@pytest.mark.parametrize("name", [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in NAMES])
def test_every_parameter_is_born_as_the_peers(name: str) -> None:
    assert differences(*born(name)) == []


@pytest.mark.parametrize("name", ["botnet50", *(pytest.param(one, marks=pytest.mark.slow) for one in sorted(HOSTED))])
def test_a_network_with_attention_is_born_as_the_one_without(name: str) -> None:
    """Bit for bit: a parameter follows from its path and the seed."""
    graph = composer.graph(name)
    inserted = tuple(f"{path}." for path in graph.inserted)
    # In the spec, the rules come after the backbone.
    host = composer.build(graph.plain.spec).state_dict()
    ours = composer.build(name).named_parameters()
    kept = {key: tensor for key, tensor in ours if not key.startswith(inserted)}
    assert len(kept) > 90
    assert all(torch.equal(tensor, host[key]) for key, tensor in kept.items())


def test_shufflenet_v1_is_born_by_hes_law() -> None:
    """The paper says nothing of it, and no library has it."""
    found = composer.build("shufflenet_v1_x1_0_g3").named_parameters()
    for name, tensor in found:
        if tensor.ndim == 4:
            outputs, _, height, width = tensor.shape
            wanted = (2 / (height * width * outputs)) ** 0.5
            assert tensor.std().item() == pytest.approx(wanted, rel=6 * (2 * tensor.numel()) ** -0.5), name
        elif not name.startswith("fc"):
            assert (tensor == (1 if name.endswith("weight") else 0)).all(), name


def test_rows_of_papers_are_born_as_their_authors_networks() -> None:
    """SENet's, GENet's and SKNet's prototxts, and the code of BAM, CBAM and ECA start every norm's scale at 1.

    The TPU network that CondConv stands on starts the last of a branch at 0. Rows of the others, whose authors do not
    say, keep what the backbone has.
    """
    ones = {"bam", "cbam", "eca", "ge", "se", "sk"}
    article = {*ones, "condconv", "dynconv", "mhsa", "resnest"}
    found = {name: composer.load(name).vars for name in zoo.papers() if name.split("/")[1] in article}
    starts = {name: vars["zero_init_last"] for name, vars in found.items() if "zero_init_last" in vars}
    assert len(starts) > 80
    assert starts == {name: name.split("/")[1] not in ones for name in starts}


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("resnet18", "bn2"),
        ("resnet50", "bn3"),
        ("resnest14d", "bn3"),
        ("resnet50d", "bn3"),
        ("regnety_002", "conv3.bn"),
    ],
)
@pytest.mark.parametrize("zero", [True, False])
def test_zero_init_last(name: str, last: str, zero: bool) -> None:
    """The scale of the last norm of each branch, and no other, starts at 0, as timm's option of that name says."""
    scales = {
        key: tensor
        for key, tensor in composer.build(name, vars={"zero_init_last": zero}).named_parameters()
        if key.endswith("weight") and tensor.ndim == 1
    }
    last_of_branches = {key for key in scales if key.endswith(f".{last}.weight")}
    assert {key for key, tensor in scales.items() if not tensor.any()} == (last_of_branches if zero else set())
    assert len(last_of_branches) == len(composer.graph(name).places.select("block"))


def normal(count: int, deviation: float = 1.0) -> Tensor:
    return deviation * torch.randn(count, generator=torch.Generator().manual_seed(count))


def cut_off(count: int) -> Tensor:
    """A normal law without what lies beyond two deviations; its deviation is 1."""
    return nn.init.trunc_normal_(torch.empty(count), std=1 / 0.8796, a=-2 / 0.8796, b=2 / 0.8796)


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (torch.zeros(8), torch.ones(8), "all 0, not all 1"),
        (torch.zeros(64), normal(64), "all 0, not drawn with a deviation of"),
        (normal(9_999), normal(10_000, 1.1), "the deviation is 0.9"),
        (normal(9_999) + 0.1, normal(10_000), "the mean is 0.1"),
        (normal(999), 2 * 3**0.5 * (torch.rand(1_000) - 0.5), "one law is bounded"),
        (normal(99_999), cut_off(100_000), "the distributions are 0.0"),
    ],
)
def test_other_laws_are_told_apart(ours: Tensor, theirs: Tensor, said: str) -> None:
    found = differences({"weight": ours}, {"weight": theirs[: len(ours)]})
    assert any(said in text for text in found), found


@pytest.mark.parametrize("make", [torch.randn, torch.rand, torch.zeros, cut_off])
def test_equal_laws_are_not(make: Callable[[int], Tensor]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours, theirs = ({f"{block}.weight": make(50) for block in range(200)} for _ in range(2))
    assert differences(ours, theirs) == []
