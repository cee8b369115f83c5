"""GAU and MFAB beside the blocks of segmentation_models_pytorch, and in networks."""

from __future__ import annotations

import pytest
import torch
from segmentation_models_pytorch.decoders.manet.decoder import MFABBlock
from segmentation_models_pytorch.decoders.pan.decoder import GAUBlock
from torch import Tensor

import composer
from composer.mechanisms.fusion.gau import GlobalAttentionUpsample
from composer.mechanisms.fusion.mfab import MultiScaleFusionAttention
from tests.mechanisms.oracle import SIZES, agree

GAU = {"pooled": "conv1.1.conv", "pooled_bn": "conv1.1.bn", "conv": "conv2.conv", "bn": "conv2.bn"}
LAYERS = {"conv": "0", "bn": "1", "fc1": "1", "fc2": "3"}
BLOCKS = {"high1": "hl_conv.0", "high2": "hl_conv.1", "se_high": "SE_hl", "se_skip": "SE_ll"}


def gau(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{GAU[name.split('.')[0]]}.{name.split('.')[1]}": tensor for name, tensor in state.items()}


def mfab(state: dict[str, Tensor]) -> dict[str, Tensor]:
    parts = {name: name.split(".") for name in state}
    return {
        f"{BLOCKS.get(block, block)}.{LAYERS[layer]}.{rest}": state[name]
        for name, (block, layer, rest) in parts.items()
    }


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gau_is_that_of_segmentation_models(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    for coarse in (size, ((size[0] + 1) // 2, (size[1] + 1) // 2), (1, 1)):
        inputs = (torch.randn(2, 6, *size), torch.randn(2, 10, *coarse))
        agree(GlobalAttentionUpsample(6, 10), GAUBlock(6, 10), *inputs, carry=gau)


class SkipFirst(MFABBlock):
    """Theirs takes the coarse map first."""

    def forward(self, x: Tensor, high: Tensor) -> Tensor:
        y: Tensor = super().forward(high, x)
        return y


class OfAnySize(MFABBlock):
    """The same with a coarse map of any size: each position takes the value at its place there, rounded down."""

    def forward(self, x: Tensor, high: Tensor) -> Tensor:
        up = self.hl_conv(high)
        for axis in (2, 3):
            places = [place * up.shape[axis] // x.shape[axis] for place in range(x.shape[axis])]
            up = up.index_select(axis, torch.tensor(places))
        gate = self.SE_hl(up) + self.SE_ll(x)
        y: Tensor = self.conv2(self.conv1(torch.cat([up * gate, x], 1)))
        return y


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_mfab_is_that_of_segmentation_models(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    ours = MultiScaleFusionAttention(6, 10, out_channels=5, reduction=2)
    # Theirs doubles the coarse map.
    doubled = (torch.randn(2, 6, 2 * size[0], 2 * size[1]), torch.randn(2, 10, *size))
    agree(ours, SkipFirst(10, 6, 5, reduction=2), *doubled, carry=mfab)
    inputs = (torch.randn(2, 6, *size), torch.randn(2, 10, (size[0] + 1) // 2, (size[1] + 1) // 2))
    agree(ours, OfAnySize(10, 6, 5, reduction=2), *inputs, carry=mfab)


def test_sizes_and_batches_that_break_others() -> None:
    x, high = torch.randn(1, 8, 13, 17), torch.randn(1, 4, 5, 6)
    assert MultiScaleFusionAttention(8, 4)(x, high).isfinite().all()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        GlobalAttentionUpsample(8, 4)(x, high)
    for norm in ("layer", "none"):
        assert GlobalAttentionUpsample(8, 4, norm=norm)(x, high).shape == (1, 4, 13, 17)


def test_parameters() -> None:
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(GlobalAttentionUpsample(64, 32)) == count(GAUBlock(64, 32)) == 19_648
    assert count(MultiScaleFusionAttention(64, 96, out_channels=32)) == count(MFABBlock(96, 64, 32))


def test_in_networks() -> None:
    """As operations of a decoder, and on the skip connections of the U-Net of the zoo."""
    nodes = {
        "fine": {"op": "conv2d", "out_channels": 6, "kernel_size": 3, "from": "input"},
        "coarse": {"op": "conv2d", "out_channels": 10, "kernel_size": 3, "stride": 2, "from": "input"},
        "gau": {"op": "gau", "from": ["fine", "coarse"]},
        "mfab": {"op": "mfab", "out_channels": 7, "from": ["fine", "coarse"]},
    }
    model = composer.build({"input": [3, 16, 16], "nodes": nodes, "outputs": {"gau": "gau", "mfab": "mfab"}})
    y = model(torch.randn(2, 3, 16, 16))
    assert {name: tuple(one.shape) for name, one in y.items()} == {"gau": (2, 10, 16, 16), "mfab": (2, 7, 16, 16)}

    unet = {"backbone": "segmentation/unet", "input": [3, 32, 32], "vars": {"widths": [4, 8, 16, 32, 64]}}
    rule = {"use": "mfab", "before": "up*.concat", "input": "skip", "from": {"high": "input"}, "expect": 4}
    assert composer.build({**unet, "attention": [rule]}).eval()(torch.randn(1, 3, 32, 32)).isfinite().all()
