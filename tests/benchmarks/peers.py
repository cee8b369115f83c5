"""Modules of timm, torchvision and smp that compute what a mechanism computes, and the options with which it does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from segmentation_models_pytorch.base.modules import SCSEModule
from segmentation_models_pytorch.decoders.manet.decoder import PABBlock
from segmentation_models_pytorch.decoders.pan.decoder import FPABlock
from timm.layers import Attention, CondConv2d, ConvNormAct, SelectiveKernel, create_attn
from timm.layers.bottleneck_attn import BottleneckAttn
from timm.layers.coord_attn import CoordAttn
from timm.layers.halo_attn import HaloAttn
from timm.layers.lambda_layer import LambdaLayer
from timm.layers.non_local_attn import NonLocalAttn
from timm.layers.split_attn import SplitAttn
from timm.models.byobnet import LayerFn
from timm.models.cait import ClassAttn
from timm.models.efficientvit_mit import LiteMLA
from timm.models.efficientvit_msra import CascadedGroupAttention
from timm.models.focalnet import FocalModulation
from timm.models.mobilevit import MobileVitBlock, MobileVitV2Block
from timm.models.pvt_v2 import Attention as SpatialReduction
from timm.models.swin_transformer import SwinTransformerBlock
from timm.models.swin_transformer_v2 import SwinTransformerV2Block
from timm.models.volo import OutlookAttention
from timm.models.xcit import XCA
from torch import nn
from torchvision.models.swin_transformer import ShiftedWindowAttention, ShiftedWindowAttentionV2
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
    """What a Swin block of timm does around its attention and within it, on maps."""

    def __init__(self, block: type[nn.Module], channels: int, height: int, width: int):
        super().__init__()
        self.block = block(channels, (height, width), num_heads=channels // 32, shift_size=3, window_size=7)
        self.block.norm1 = self.block.norm2 = self.block.mlp = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block._attn(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ChannelsBehind(nn.Module):
    """A module of b h w c, on maps b c h w."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class OfTokens(nn.Module):
    """timm's attention of PVT, which takes tokens and the size of their map, on maps."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x.flatten(2).transpose(1, 2), x.shape[2:]).transpose(1, 2).unflatten(2, x.shape[2:])


class AndTheOthers(nn.Module):
    """timm's class attention, which gives the class token alone, with the tokens behind it as they are."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.inner(x), x[:, 1:]], 1)


class Cascade(CascadedGroupAttention):
    """timm's, with what its own methods lack: the module from `train`, a cache that may be emptied with gradients."""

    def train(self, mode: bool = True) -> nn.Module:
        self.attention_bias_cache: dict[str, torch.Tensor] = {}
        return nn.Module.train(self, mode)

    def get_attention_biases(self, device: torch.device) -> torch.Tensor:
        return self.attention_biases[:, self.attention_bias_idxs]


def mobilevit(block: type[nn.Module], channels: int, dim: int) -> nn.Module:
    """timm's block, as its networks make it."""
    layers = LayerFn(conv_norm_act=functools.partial(ConvNormAct, act_layer=nn.SiLU), act=nn.SiLU)
    return block(channels, transformer_dim=dim, transformer_depth=2, patch_size=2, layers=layers)


Make = Callable[[int, int, int], nn.Module]


@dataclass(frozen=True)
class Peers:
    """Who computes the same.

    options    those of the mechanism
    by         library -> its module for c channels on h × w positions
    tokens     whether it is of tokens b n c
    sides      of the smallest and the largest map that it takes or that a CPU has time for
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    by: Mapping[str, Make] = field(default_factory=dict)
    tokens: bool = False
    sides: tuple[int, int] = (1, 56)


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
    # At 2048 channels its experts take gigabytes.
    "condconv": Peers({}, {"timm": lambda c, h, w: Routed(c)}, sides=(14, 56)),
    "nl": of_timm(lambda c, h, w: NonLocalAttn(c, use_scale=False), reduction=8),
    "coord": of_timm(lambda c, h, w: CoordAttn(c), reduction=24, round_to=8, bias=False),
    "halo": of_timm(lambda c, h, w: HaloAttn(c, block_size=7), block_size=7),
    "lambda": of_timm(lambda c, h, w: LambdaLayer(c, r=23)),
    "gc": of_timm(lambda c, h, w: create_attn("gc", c, rd_ratio=1 / 16, rd_divisor=1), fuse="mul"),
    "gca": of_timm(lambda c, h, w: create_attn("gca", c)),
    "scse": Peers({"fuse": "add", "reduction": 16}, {"smp": lambda c, h, w: SCSEModule(c)}),
    "relu_linear": of_timm(lambda c, h, w: LiteMLA(c, c)),
    "window": Peers(
        {"shift": 3},
        {
            "timm": lambda c, h, w: Windowed(SwinTransformerBlock, c, h, w),
            "torchvision": lambda c, h, w: ChannelsBehind(ShiftedWindowAttention(c, [7, 7], [3, 3], c // 32)),
        },
    ),
    "window_v2": Peers(
        {"shift": 3},
        {
            "timm": lambda c, h, w: Windowed(SwinTransformerV2Block, c, h, w),
            "torchvision": lambda c, h, w: ChannelsBehind(ShiftedWindowAttentionV2(c, [7, 7], [3, 3], c // 32)),
        },
    ),
    "ge_minus": of_timm(lambda c, h, w: create_attn("ge", c, use_mlp=False)),
    "sra": of_timm(lambda c, h, w: OfTokens(SpatialReduction(c, qkv_bias=True, sr_ratio=2))),
    "cga": Peers({}, {"timm": lambda c, h, w: Cascade(c, 16, 4, c / 64, h, [5] * 4)}, sides=(1, 28)),
    "outlook": of_timm(lambda c, h, w: ChannelsBehind(OutlookAttention(c, c // 32))),
    "focal": of_timm(lambda c, h, w: FocalModulation(c, 3, 2)),
    "pab": Peers({}, {"smp": lambda c, h, w: PABBlock(c)}),
    "fpa": Peers({}, {"smp": lambda c, h, w: FPABlock(c, c)}, sides=(8, 56)),
    "mhsa": Peers({}, {"timm": lambda c, h, w: Attention(c, qkv_bias=True)}, tokens=True),
    "xca": Peers({}, {"timm": lambda c, h, w: XCA(c, qkv_bias=True)}, tokens=True),
    "class_attention": Peers({}, {"timm": lambda c, h, w: AndTheOthers(ClassAttn(c, qkv_bias=True))}, tokens=True),
    # timm's make a map of odd sides larger.
    "mobilevit_block": Peers(
        {"depth": 2}, {"timm": lambda c, h, w: mobilevit(MobileVitBlock, c, c * 3 // 2)}, sides=(14, 56)
    ),
    "mobilevit_v2_block": Peers(
        {"depth": 2}, {"timm": lambda c, h, w: mobilevit(MobileVitV2Block, c, c // 2)}, sides=(14, 56)
    ),
    "bot": Peers(
        {}, {"timm": lambda c, h, w: BottleneckAttn(c, feat_size=(h, w), scale_pos_embed=True)}, sides=(1, 14)
    ),
}
