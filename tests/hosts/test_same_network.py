"""A network of the zoo and timm's of the same name are the same network with the same rule in both.

Some pairs in every run, all with `-m slow`; `python -m tests.hosts.same_network` prints what it finds.
"""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest

from tests.hosts.agreement import shared_names
from tests.hosts.same_network import RULES, same

QUICK = {
    ("resnet18", "bam_spatial after stage"),
    ("mobilenetv3_small_100", "condconv for spatial_conv"),
    ("vit_tiny_patch16_224", "se after block"),
    ("convnext_tiny", "se after mlp"),
    ("mixer_s32_224", "eca after mixer"),
    ("regnetx_002", "bam_spatial after stage"),
    ("eva02_tiny_patch14_224", "eca after mixer"),
}
# Networks and rules for which the two are not the same, and how.
OTHERWISE = {
    # The zoo's last two blocks take the class token and the patches as one tensor, timm's as two.
    ("cait_*", "* block"): "outputs",
    # Tokens that its unrolling reorders have a grid in the zoo, and none that a recording tells.
    ("hiera_*", "cbam after branch"): "one alone refuses",
    # The zoo's dense layer gives all maps so far, timm's its own new ones, which the next one concatenates.
    ("densenet*", "* block"): "shapes",
    # The zoo's window attention holds the partition of the map, timm's is given each window as an image of its own.
    ("swin_*", "* after mixer"): "outputs",
    # Here timm's attention of local groups holds the partition, and the zoo's is given each window.
    ("twins_svt_*", "* after mixer"): "outputs",
    # The zoo's convolution holds the pooling that timm has behind it; in 50d_1s4x24d and 50d_4s2x40d it comes first.
    ("resnest??d", "* after spatial_conv"): "outputs",
    ("resnest???e", "* after spatial_conv"): "outputs",
    # Not a difference: in 66 and 89 blocks the random gates before each close, and no number of the images is left.
    ("resnest200e", "eca before block"): "drown",
    ("resnest269e", "eca before block"): "drown",
    # A mixer is one node in the zoo, and in timm a module with depthwise convolutions, which have names of their own.
    ("focalnet_*", "* spatial_conv"): "one alone refuses",
    ("focalnet_*", "cbam after branch"): "keys",
    ("focalnet_*", "eca after mixer"): "keys",
    # timm's convolution over positions has one axis more.
    ("lambda_resnet*", "eca after mixer"): "keys",
    ("lambda_resnet*", "*"): "shapes",
    # Rounding grows: by 3e-8 of the largest number.
    ("halonet*", "mhsa after block"): "outputs",
}


def pairs() -> list[Any]:
    every = [(name, title) for name in shared_names() for title in RULES]
    return [pytest.param(*one, marks=() if one in QUICK else pytest.mark.slow) for one in every]


@pytest.mark.parametrize(("name", "title"), pairs())
def test_the_two_are_the_same(name: str, title: str) -> None:
    found = same(name, RULES[title])
    known = [how for (names, rule), how in OTHERWISE.items() if fnmatch.fnmatch(f"{name} {title}", f"{names} {rule}")]
    otherwise = next(iter(known), None)
    if otherwise is not None:
        assert otherwise in found.differs
        return
    assert not found.differs
    assert bool(found.places) != bool(found.refusal)
    assert found.places or (name, title) not in QUICK
