"""Time and peak memory beside those of timm or smp, with the same weights: python -m tests.benchmarks.mechanisms"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from segmentation_models_pytorch.base.modules import SCSEModule
from timm.layers import CondConv2d, ConvNormAct, create_attn
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
from torch.profiler import ProfilerActivity, profile

from composer import registry

SIZES = ((16, 256, 56, 56), (16, 1024, 14, 14))


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


def mobilevit(block: type[nn.Module], channels: int, dim: int) -> nn.Module:
    """timm's block, as its networks make it."""
    layers = LayerFn(conv_norm_act=functools.partial(ConvNormAct, act_layer=nn.SiLU), act=nn.SiLU)
    return block(channels, transformer_dim=dim, transformer_depth=2, patch_size=2, layers=layers)


# name -> (options of ours, timm's module for c channels on h × w positions)
PEERS: dict[str, tuple[dict[str, Any], Callable[[int, int, int], nn.Module]]] = {
    "se": ({}, lambda c, h, w: create_attn("se", c, rd_ratio=1 / 16, rd_divisor=1)),
    "ese": ({"gate": "hard_sigmoid"}, lambda c, h, w: create_attn("ese", c)),
    "eca": ({}, lambda c, h, w: create_attn("eca", c)),
    "cbam": ({"bias": False, "norm": True}, lambda c, h, w: create_attn("cbam", c, rd_divisor=1)),
    "splat": ({}, lambda c, h, w: SplitAttn(c, norm_layer=nn.BatchNorm2d)),
    "condconv": ({}, lambda c, h, w: Routed(c)),
    "nl": ({"reduction": 8}, lambda c, h, w: NonLocalAttn(c, use_scale=False)),
    "coord": ({"reduction": 24, "round_to": 8, "bias": False}, lambda c, h, w: CoordAttn(c)),
    "halo": ({"block_size": 7}, lambda c, h, w: HaloAttn(c, block_size=7)),
    "lambda": ({}, lambda c, h, w: LambdaLayer(c, r=23)),
    "gca": ({}, lambda c, h, w: create_attn("gca", c)),
    "scse": ({"fuse": "add", "reduction": 16}, lambda c, h, w: SCSEModule(c)),
    "relu_linear": ({}, lambda c, h, w: LiteMLA(c, c)),
    "window": ({"shift": 3}, Windowed),
    "mobilevit_block": ({"depth": 2}, lambda c, h, w: mobilevit(MobileVitBlock, c, c * 3 // 2)),
    "mobilevit_v2_block": ({"depth": 2}, lambda c, h, w: mobilevit(MobileVitV2Block, c, c // 2)),
    "bot": ({}, lambda c, h, w: BottleneckAttn(c, feat_size=(h, w), scale_pos_embed=True)),
}


def ours(name: str, options: dict[str, Any], channels: int, height: int, width: int) -> nn.Module:
    entry = registry.get(name)
    assert entry is not None
    place = {"channels": channels, "height": height, "width": width, "in_channels": channels, "out_channels": channels}
    return entry.factory(**{fact: place[fact] for fact in entry.facts if fact in place}, **options)


def transplant(mine: nn.Module, theirs: nn.Module) -> None:
    """The peer's weights, in order; shapes agree up to how a vector is written."""
    for own, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        own.data.copy_(other.data.reshape(own.shape) if own.numel() == other.numel() else own.data)


def run(module: nn.Module, x: torch.Tensor, train: bool) -> None:
    if train:
        module(x).sum().backward()
        module.zero_grad()
        x.grad = None
    else:
        with torch.no_grad():
            module(x)
    if x.is_cuda:
        torch.cuda.synchronize()


def seconds(module: nn.Module, x: torch.Tensor, train: bool) -> float:
    start = time.perf_counter()
    run(module, x, train)
    return time.perf_counter() - start


def peak(module: nn.Module, x: torch.Tensor, train: bool) -> int:
    """Bytes that a run holds at most, over what was there before it."""
    if x.is_cuda:
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run(module, x, train)
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run(module, x, train)
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(itertools.accumulate(event.nbytes() for event in events))


def ratio(mine: nn.Module, theirs: nn.Module, x: torch.Tensor, train: bool, runs: int) -> float:
    """Median of the ratios of neighbouring runs, which take turns in going first."""
    found = []
    for index in range(runs + 2):
        order = (mine, theirs) if index % 2 else (theirs, mine)
        taken = {module: seconds(module, x, train) for module in order}
        found.append(taken[mine] / taken[theirs])
    return statistics.median(found[2:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, help="a smaller batch, for a machine with little time")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("names", nargs="*", help=f"among {', '.join(PEERS)}")
    given = parser.parse_args()
    print(f"{'ours / peer, ' + given.device:<30}{'forward':>10}{'memory':>10}{'training step':>15}{'memory':>10}")
    for name in given.names or PEERS:
        options, peer = PEERS[name]
        for batch, channels, height, width in SIZES:
            if name == "bot" and height > 14:
                continue
            # The kernel of timm's lambda layer has five axes, and cannot be channels_last.
            layouts = (torch.contiguous_format, torch.channels_last)[: 1 if name == "lambda" else 2]
            for layout in layouts:
                mine, theirs = ours(name, options, channels, height, width), peer(channels, height, width)
                if [p.numel() for p in mine.parameters()] == [p.numel() for p in theirs.parameters()]:
                    transplant(mine, theirs)
                pair = [module.to(given.device, memory_format=layout) for module in (mine, theirs)]
                x = torch.randn(given.batch or batch, channels, height, width, device=given.device)
                x = x.to(memory_format=layout).requires_grad_()
                forward, step = (ratio(*pair, x, train, given.runs) for train in (False, True))
                kept, held = (peak(pair[0], x, train) / peak(pair[1], x, train) for train in (False, True))
                label = f"{name} {channels}×{height}² {'last' if layout == torch.channels_last else 'first'}"
                print(f"{label:<30}{forward:>10.2f}{kept:>10.2f}{step:>15.2f}{held:>10.2f}", flush=True)


if __name__ == "__main__":
    main()
