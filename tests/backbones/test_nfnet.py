"""NFNet-F0 beside timm's two: DeepMind's own, and the one with even padding and without the gain of the branch."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_count, check_input, check_parity

import composer


@pytest.mark.parametrize("name", ["dm_nfnet_f0", pytest.param("nfnet_f0", marks=pytest.mark.slow)])
def test_parity(name):
    check_parity(name, lambda: timm.create_model(name))


@pytest.mark.parametrize("name", ["dm_nfnet_f0", "nfnet_f0"])
def test_count_and_input(name):
    check_count(name, lambda: timm.create_model(name))
    check_input(name, lambda: timm.create_model(name))


def test_published_parameters():
    """Brock et al. 2021, table 3."""
    assert round(composer.graph("dm_nfnet_f0").num_parameters / 1e6, 1) == 71.5


@pytest.mark.parametrize("name", ["dm_nfnet_f0", "nfnet_f0"])
def test_branches_start_at_zero(name):
    """In the second block of a stage, which has no projection, a fresh network gives on what it takes."""
    block = composer.build(name, vars={"num_classes": 0}).get_submodule("stages.1.1")
    x = torch.randn(1, 512, 4, 4)
    assert torch.equal(block(x), x)
