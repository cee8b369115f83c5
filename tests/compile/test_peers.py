"""Same weights in, same outputs out, against timm; with every state_dict key the same."""

from __future__ import annotations

import pytest
import timm
import torch

import composer

NAMES = [
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x4d",
    "mobilenetv2_100",
    "vit_base_patch16_224",
]


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Weights and running statistics that are nobody's default, so that a swapped pair shows."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(noise + 0.5 if "running_var" in name else (noise - 0.5) * 0.1)
    return model.eval()


@pytest.mark.parametrize("name", NAMES)
def test_keys_and_outputs_equal_timms(name: str) -> None:
    peer = randomised(timm.create_model(name))
    ours = composer.build(name).eval()
    assert set(ours.state_dict()) == set(peer.state_dict())
    ours.load_state_dict(peer.state_dict())
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(ours(x), peer(x))


@pytest.mark.parametrize(
    ("spec", "peer"), [("papers/se/resnet50", "seresnet50"), ("papers/eca/resnet50", "ecaresnet50")]
)
def test_composed_count_equals_a_hand_written_peer(spec: str, peer: str) -> None:
    theirs = {"seresnet50": 28_088_024, "ecaresnet50": 25_557_118}[peer]
    assert composer.graph(spec).num_parameters == theirs


def test_se_resnet50_equals_timms_bit_for_bit() -> None:
    peer = randomised(timm.create_model("seresnet50"))
    ours = composer.build("papers/se/resnet50").eval()
    assert set(ours.state_dict()) == set(peer.state_dict())
    ours.load_state_dict(peer.state_dict())
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(ours(x), peer(x))
