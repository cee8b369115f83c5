"""Backbones with attention by a rule against the networks that timm has of them."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import randomised

import composer


@pytest.mark.parametrize(
    ("spec", "peer"), [("papers/se/resnet50", "seresnet50"), ("papers/eca/resnet50", "ecaresnet50")]
)
def test_composed_count_equals_a_hand_written_peer(spec: str, peer: str) -> None:
    theirs = {"seresnet50": 28_088_024, "ecaresnet50": 25_557_118}[peer]
    assert composer.graph(spec).num_parameters == theirs


def test_se_resnet50_equals_timms_bit_for_bit() -> None:
    peer = randomised(timm.create_model("seresnet50")).eval()
    ours = composer.build("papers/se/resnet50", vars={"stride_in_1x1": False}).eval()
    assert set(ours.state_dict()) == set(peer.state_dict())
    ours.load_state_dict(peer.state_dict())
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(ours(x), peer(x))
