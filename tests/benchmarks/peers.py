"""Modules of timm, torchvision and smp that compute what a mechanism computes, and the options with which it does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from segmentation_models_pytorch.base.modules import SCSEModule
from timm.layers import CondConv2d, ConvNormAct, SelectiveKernel, create_attn
from timm.layers.bottleneck_attn import BottleneckAttn
from timm.layers.coord_attn import CoordAttn
from timm.layers.halo_attn import HaloAttn
from timm.layers.lambda_layer import LambdaLayer
from timm.layers.non_local_attn import NonLocalAttn
from timm.layers.split_attn import SplitAttn
from timm.models.byobnet import LayerFn
from timm.models.efficientvit_mit import LiteMLA
from timm.models.mobilevit import MobileVitBlock, MobileVitV2Block
from timm.models.swin_transformer import SwinTransformerBlock
from torch import nn
from torchvision.models.swin_transformer import ShiftedWindowAttention
from torchvision.ops import SqueezeExcitation


class Routed(nn.Module):
    """timm's CondConv2d with the gates that timm's networks compute outside it."""

    def __init__(self, channels: int):
        super().__init__()
        self.router = nn.Linear(channels, 8)
        self.conv = CondConv2d(channels, channels, 3, padding=1, num_experts=8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x, self.router(x.mean((2, 3))).sigmoid())


class Windowed(nn.Module):
    """What timm's Swin block does around its attention and within it, on maps."""

    def __init__(self, channels: int, height: int, width: int):
        super().__init__()
        self.block = SwinTransformerBlock(channels, (height, width), num_heads=channels // 32, shift_size=3)
        self.block.norm1 = self.block.norm2 = self.block.mlp = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block._attn(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class OfTorchvision(nn.Module):
    """torchvision's attention of a Swin block, on maps."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attn = ShiftedWindowAttention(channels, [7, 7], [3, 3], channels // 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attn(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def mobilevit(block: type[nn.Module], channels: int, dim: int) -> nn.Module:
    """timm's block, as its networks make it."""
    layers = LayerFn(conv_norm_act=functools.partial(ConvNormAct, act_layer=nn.SiLU), act=nn.SiLU)
    return block(channels, transformer_dim=dim, transformer_depth=2, patch_size=2, layers=layers)


Make = Callable[[int, int, int], nn.Module]


@dataclass(frozen=True)
class Peers:
    """Who computes the same.

    options  those of the mechanism
    by       library -> its module for c channels on h × w positions
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    by: Mapping[str, Make] = field(default_factory=dict)


def of_timm(make: Make, **options: Any) -> Peers:
    return Peers(options, {"timm": make})


PEERS: Mapping[str, Peers] = {
    "se": Peers(
        {},
        {
            "timm": lambda c, h, w: create_attn("se", c, rd_ratio=1 / 16, rd_divisor=1),
            "torchvision": lambda c, h, w: SqueezeExcitation(c, c // 16),
        },
    ),
    "ese": of_timm(lambda c, h, w: create_attn("ese", c), gate="hard_sigmoid"),
    "eca": of_timm(lambda c, h, w: create_attn("eca", c)),
    "cbam": of_timm(lambda c, h, w: create_attn("cbam", c, rd_divisor=1), bias=False, norm=True),
    "sk": of_timm(
        lambda c, h, w: SelectiveKernel(c, c, groups=32, rd_channels=max(c // 16, 32), split_input=False),
        groups=32,
        init="he",
    ),
    "splat": of_timm(lambda c, h, w: SplitAttn(c, norm_layer=nn.BatchNorm2d)),
    "condconv": of_timm(lambda c, h, w: Routed(c)),
    "nl": of_timm(lambda c, h, w: NonLocalAttn(c, use_scale=False), reduction=8),
    "coord": of_timm(lambda c, h, w: CoordAttn(c), reduction=24, round_to=8, bias=False),
    "halo": of_timm(lambda c, h, w: HaloAttn(c, block_size=7), block_size=7),
    "lambda": of_timm(lambda c, h, w: LambdaLayer(c, r=23)),
    "gc": of_timm(lambda c, h, w: create_attn("gc", c, rd_ratio=1 / 16, rd_divisor=1), fuse="mul"),
    "gca": of_timm(lambda c, h, w: create_attn("gca", c)),
    "scse": Peers({"fuse": "add", "reduction": 16}, {"smp": lambda c, h, w: SCSEModule(c)}),
    "relu_linear": of_timm(lambda c, h, w: LiteMLA(c, c)),
    "window": Peers({"shift": 3}, {"timm": Windowed, "torchvision": lambda c, h, w: OfTorchvision(c)}),
    "mobilevit_block": of_timm(lambda c, h, w: mobilevit(MobileVitBlock, c, c * 3 // 2), depth=2),
    "mobilevit_v2_block": of_timm(lambda c, h, w: mobilevit(MobileVitV2Block, c, c // 2), depth=2),
    "bot": of_timm(lambda c, h, w: BottleneckAttn(c, feat_size=(h, w), scale_pos_embed=True)),
}
