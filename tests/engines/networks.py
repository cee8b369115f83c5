"""The networks that engines are tried on, each with timm's of the same name as control, small enough to be quick."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest
import timm
import timm.layers
import torch
from torch import Tensor, nn

import composer


@dataclass(frozen=True)
class Network:
    """A network and timm's that computes the same to the last bit, or but for the order of its sums.

    That changes an output by no more than `rounding` standard deviations of the outputs.
    """

    name: str
    spec: dict | str
    control: Callable[[], nn.Module]
    size: int
    rounding: float = 0.0


def swin(experimental: bool) -> nn.Module:
    """timm's Swin as it comes, or with the setting of timm's for it to use torch's fused attention, as composer does.

    As it comes it adds up each window's logits itself: an output is another in its last bits, and so is every count.
    """
    before = timm.layers.use_fused_attn()
    try:
        timm.layers.set_fused_attn(before, experimental=experimental)
        return timm.create_model("swin_tiny_patch4_window7_224", img_size=112, depths=(2, 2, 2, 2))
    finally:
        timm.layers.set_fused_attn(before)


NETWORKS = [
    Network("resnet18", "resnet18", lambda: timm.create_model("resnet18"), 64),
    Network(
        "seresnet50",
        # The paper's has its strides on the 1x1 convolutions, timm's on the 3x3.
        {"backbone": "papers/se/resnet50", "vars": {"stride_in_1x1": False}},
        lambda: timm.create_model("seresnet50"),
        64,
    ),
    Network("mobilenetv3_small_100", "mobilenetv3_small_100", lambda: timm.create_model("mobilenetv3_small_100"), 64),
    Network(
        "vit_tiny_patch16_224",
        {"backbone": "vit_tiny_patch16_224", "input": [3, 64, 64]},
        lambda: timm.create_model("vit_tiny_patch16_224", img_size=64),
        64,
    ),
    Network(
        "swin_tiny_patch4_window7_224",
        {"backbone": "swin_tiny_patch4_window7_224", "input": [3, 112, 112], "vars": {"depths": [2, 2, 2, 2]}},
        lambda: swin(experimental=True),
        112,
    ),
    Network(
        "cbam_resnet18",
        {
            "backbone": "resnet18",
            "input": [3, 64, 64],
            # As CBAM's authors and timm have it.
            "attention": [{"use": "cbam", "after": "branch", "with": {"bias": False, "norm": True}}],
        },
        lambda: timm.create_model("resnet18", block_args={"attn_layer": "cbam"}),
        64,
        # CBAM's perceptron runs once on two pooled vectors here, and twice on one each in timm.
        rounding=1e-5,
    ),
]
# Parts of composer's names to timm's, where they differ.
THEIR_NAMES = {".cbam.channel.": ".se.channel.", ".cbam.spatial.": ".se.spatial.conv."}


@cache
def _ours(index: int) -> nn.Module:
    network = NETWORKS[index]
    torch.manual_seed(0)
    model = composer.build(network.spec)
    # Real statistics and weights that let every branch speak.
    with torch.no_grad():
        for one in model.modules():
            if isinstance(one, nn.BatchNorm2d):
                nn.init.uniform_(one.weight, 0.5, 1.5)
        model(torch.randn(4, 3, network.size, network.size))
    return model.eval()


@cache
def _theirs(index: int) -> nn.Module:
    model = NETWORKS[index].control()
    model.load_state_dict({their_name(name): value for name, value in _ours(index).state_dict().items()})
    return model.eval()


def their_name(name: str) -> str:
    """Of a module or a tensor of composer's, what timm calls it."""
    for part, theirs in THEIR_NAMES.items():
        name = name.replace(part, theirs)
    return name


def among(applies: Callable[[Network], bool]) -> pytest.MarkDecorator:
    """Marks a test that is of those networks alone of which this is true."""
    return pytest.mark.among(applies)


def ours(network: Network) -> nn.Module:
    """A copy of composer's network, in eval mode."""
    return copy.deepcopy(_ours(NETWORKS.index(network)))


def theirs(network: Network) -> nn.Module:
    """A copy of timm's, with the same weights."""
    return copy.deepcopy(_theirs(NETWORKS.index(network)))


def assert_same(network: Network, found: Tensor, wanted: Tensor) -> None:
    """Of what composer's network gives and what timm's gives."""
    torch.testing.assert_close(found, wanted, rtol=0, atol=network.rounding * wanted.std().item())


def images(network: Network, count: int = 2) -> Tensor:
    """Images of the network's size."""
    return torch.randn(count, 3, network.size, network.size, generator=torch.Generator().manual_seed(count))
