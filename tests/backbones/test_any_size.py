"""Networks built for one size, beside timm's and torchvision's, at images of other sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from backbones.peers import check_outputs, randomised
from backbones.test_births import QUICK, SHALLOW, peer
from torch import Tensor

import composer
from composer.spec import zoo
from composer.spec.references import family

# The peers of these have their tokens, windows or positions for one size.
FIXED = {
    "cait_xxs24_224",
    "coatnet_0_rw_224",
    "deit_tiny_distilled_patch16_224",
    "eva02_tiny_patch14_224",
    "hiera_tiny_224",
    "maxvit_tiny_rw_224",
    "mixer_s32_224",
    "swin_tiny_patch4_window7_224",
    "vit_small_patch14_reg4_dinov2",
    "vit_tiny_patch16_224",
}
# The families of which no library has a network.
ALONE = {"biformer", "mobilenext", "rednet", "shufflenet_v1", "van"}
NAMES = sorted(QUICK - FIXED)
# Height and width; no stage has a map of whole patches, windows or strides throughout.
SIZES = [(70, 70), (64, 104)]
# Those whose peers take some sizes only: HRNet whole strides of 32, Inception no map smaller than its kernels.
OTHER_SIZES = {"hrnet_w18_small": [(64, 64), (64, 96)], "inception_v3": [(75, 75), (79, 104)]}
# timm copies maps of these, and torch adds up what it computes from a copy in another order.
INEXACT = {"pvt_v2_b0", "twins_svt_small"}


def shallow(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Our vars, and the peer's options, that make a network small."""
    return next((found for start, found in SHALLOW.items() if name.startswith(start)), ({}, {}))


def images(size: tuple[int, int]) -> Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", NAMES)
def test_the_peers_outputs_at_sizes_that_it_was_not_built_for(name: str) -> None:
    vars, options = shallow(name)
    theirs, ours = randomised(peer(name, **options)).eval(), composer.build(name, vars=vars).eval()
    composer.load_weights(ours, theirs.state_dict(), require="all")
    for size in OTHER_SIZES.get(name, SIZES):
        assert ours.graph.root.inputs["input"].shape[2:] != size
        check_outputs(ours, theirs, images(size), exact=name not in INEXACT)


@pytest.mark.parametrize("name", sorted({*FIXED, *OTHER_SIZES}))
def test_the_peers_of_others_refuse_these_sizes(name: str) -> None:
    theirs = peer(name, **shallow(name)[1]).eval()
    for size in SIZES:
        with pytest.raises((AssertionError, RuntimeError)):
            theirs(images(size))


def test_every_family_is_looked_at() -> None:
    assert {family(name) for name in {*NAMES, *FIXED}} | ALONE == {family(name) for name in zoo.backbones()}
