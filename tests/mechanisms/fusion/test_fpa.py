"""FPA beside the block of segmentation_models_pytorch."""

from __future__ import annotations

import pytest
import torch
from segmentation_models_pytorch.decoders.pan.decoder import FPABlock
from torch import Tensor

import composer
from composer.errors import ComposerError
from composer.mechanisms.fusion.fpa import FeaturePyramidAttention
from tests.mechanisms.oracle import agree

NAMES = {
    "pooled.": "branch1.1.conv.",
    "pooled_bn.": "branch1.1.bn.",
    "mid.": "mid.0.",
    "down1.": "down1.1.",
    "down2.": "down2.1.",
    "down3.": "down3.1.",
    "level3.": "down3.2.",
    "level2.": "conv2.",
    "level1.": "conv1.",
}


def carry(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {NAMES[f"{name.partition('.')[0]}."] + name.partition(".")[2]: tensor for name, tensor in state.items()}


@pytest.mark.parametrize("size", [(8, 8), (13, 17), (16, 9), (14, 14), (56, 56)], ids=str)
def test_it_is_that_of_segmentation_models(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 6, *size)
    agree(FeaturePyramidAttention(6, *size), FPABlock(6, 6), x, carry=carry)
    agree(FeaturePyramidAttention(6, *size, out_channels=4), FPABlock(6, 4), x, carry=carry)


def test_a_position_worked_by_hand() -> None:
    """With weights of 0 the pyramid is what its biases say, everywhere, and the pooled map is 0."""
    module = FeaturePyramidAttention(2, 8, 8).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        for norm in (module.level1[1], module.level2[1], module.level3[1], module.mid[1]):
            norm.weight.fill_(1)
        for level, bias in ((module.level1, 1.0), (module.level2, 10.0), (module.level3, 100.0), (module.mid, 2.0)):
            level[1].bias.fill_(bias)
    torch.testing.assert_close(module(torch.randn(1, 2, 8, 8)), torch.full((1, 2, 8, 8), 222.0))


def test_refusals() -> None:
    text = "fpa: a map of 7×9 cannot be halved three times; put it where the map has 8 rows and columns or more"
    with pytest.raises(ValueError, match=text):
        FeaturePyramidAttention(6, 7, 9)
    rule = {"use": "fpa", "after": "stage", "where": "last"}
    with pytest.raises(ComposerError, match="a map of 7×7 cannot be halved three times"):
        composer.graph({"backbone": "resnet50", "attention": [rule]})
    # PAN's encoder keeps a sixteenth of the side.
    composer.graph({"backbone": "resnet50", "vars": {"output_stride": 16}, "attention": [rule]})


def test_one_image() -> None:
    x = torch.randn(1, 6, 16, 16)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        FeaturePyramidAttention(6, 16, 16)(x)
    for norm in ("layer", "none"):
        assert FeaturePyramidAttention(6, 16, 16, norm=norm)(x).isfinite().all()


def test_parameters() -> None:
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(FeaturePyramidAttention(64, 16, 16)) == count(FPABlock(64, 64)) == 11_847
    assert count(FeaturePyramidAttention(64, 16, 16, out_channels=32)) == count(FPABlock(64, 32))


def test_after_the_last_stage_of_a_resnet() -> None:
    model = composer.build(
        {
            "backbone": "resnet18",
            "input": [3, 64, 64],
            "vars": {"output_stride": 8},
            "attention": [{"use": "fpa", "after": "stage", "where": "last"}],
        }
    )
    assert len(model.graph.added[0].places) == 1
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if "fpa" in name)
