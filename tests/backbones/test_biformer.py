"""BiFormer beside the authors' network, written again in plain steps; no library that is installed has it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from backbones.peers import check_num_classes, check_outputs, randomised
from torch import Tensor, nn

import composer

# Parameters of ours, billions of multiply-accumulates and blocks; the authors print 13.1, 25.5 and 56.8 M.
SIZES = {
    "biformer_tiny": (13_142_760, 2.2, 14),
    "biformer_small": (25_536_232, 4.5, 30),
    "biformer_base": (56_804_968, 9.8, 30),
}
SMALL = {"widths": [32, 64, 96, 64], "depths": [1, 2, 1, 1], "num_classes": 7}
TOPKS = [1, 4, 16]


def attended(q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float, seen: Tensor | None = None) -> Tensor:
    """Softmax attention over all positions, b n c, or over those that are seen, b n n."""
    q, k, v = (one.unflatten(2, (heads, -1)).transpose(1, 2) for one in (q, k, v))
    logits = q @ k.transpose(2, 3) * scale
    logits = logits if seen is None else logits.masked_fill(~seen[:, None], float("-inf"))
    return (logits.softmax(-1) @ v).transpose(1, 2).flatten(2)


class Linears(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)


class Routed(nn.Module):
    """Bi-level routing, as attention of all positions with the regions hidden that were not chosen."""

    def __init__(self, dim: int, topk: int):
        super().__init__()
        self.lepe = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.qkv, self.wo, self.topk = Linears(dim), nn.Linear(dim, dim), topk

    def forward(self, x: Tensor) -> Tensor:
        channels, height, width = x.shape[1:]
        q, k, v = self.qkv.qkv(x.flatten(2).transpose(1, 2)).chunk(3, 2)
        rows, columns = torch.arange(height) * 7 // height, torch.arange(width) * 7 // width
        regions = F.one_hot((rows[:, None] * 7 + columns).flatten(), 49).to(x)
        means = [regions.T @ one / regions.sum(0)[:, None] for one in (q, k)]
        chosen = (means[0] @ means[1].transpose(1, 2)).topk(self.topk).indices
        chosen = F.one_hot(chosen, 49).sum(2).to(x)
        seen = regions @ chosen @ regions.T > 0
        y = attended(q, k, v, channels // 32, channels**-0.5, seen)
        near = self.lepe(v.transpose(1, 2).unflatten(2, (height, width)))
        return self.wo(y + near.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, (height, width))


class Whole(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.qkv, self.proj = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim)
        self.lepe = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x.flatten(2).transpose(1, 2)).chunk(3, 2)
        y = attended(q, k, v, 8, (q.shape[2] // 8) ** -0.5) + self.lepe(x).flatten(2).transpose(1, 2)
        return self.proj(y).transpose(1, 2).unflatten(2, x.shape[2:])


class Block(nn.Module):
    def __init__(self, dim: int, stage: int):
        super().__init__()
        self.pos_embed = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn = Routed(dim, TOPKS[stage]) if stage < 3 else Whole(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 3 * dim), nn.Identity(), nn.GELU(), nn.Linear(3 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        x = x + self.attn(self.norm1(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return x + self.mlp(self.norm2(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


class Plain(nn.Module):
    def __init__(self, widths: list[int], depths: list[int], num_classes: int):
        super().__init__()
        first = widths[0]
        stem = [nn.Conv2d(3, first // 2, 3, 2, 1), nn.BatchNorm2d(first // 2), nn.GELU()]
        stem += [nn.Conv2d(first // 2, first, 3, 2, 1), nn.BatchNorm2d(first)]
        between = [
            nn.Sequential(nn.Conv2d(one, other, 3, 2, 1), nn.BatchNorm2d(other)) for one, other in pairwise(widths)
        ]
        self.downsample_layers = nn.ModuleList([nn.Sequential(*stem), *between])
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, stage) for _ in range(depth)))
            for stage, (width, depth) in enumerate(zip(widths, depths, strict=True))
        )
        self.norm, self.head = nn.BatchNorm2d(widths[-1]), nn.Linear(widths[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for smaller, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(smaller(x))
        return self.head(self.norm(x).mean((2, 3)))


@pytest.mark.parametrize("size", [(112, 112), (112, 224)])
def test_the_authors_network_with_its_own_weights(size):
    peer = randomised(Plain(**SMALL)).double()
    ours = composer.build({"backbone": "biformer_tiny", "vars": SMALL, "input": [3, *size]}).double()
    report = composer.load_weights(ours, {"model": peer.state_dict()}, require="all")
    assert report.keys == "official_biformer"
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for training in (False, True):
        check_outputs(ours.train(training), peer.train(training), images, exact=False)


@pytest.mark.parametrize("name", SIZES)
def test_counts_and_sites(name):
    parameters, billions, blocks = SIZES[name]
    graph = composer.graph(name)
    assert graph.num_parameters == parameters
    assert round(graph.num_macs / 1e9, 1) == billions
    found = graph.places.sites
    assert found["mixer"] == found["mlp"] == found["spatial_conv"] == found["block"] == found["branch"] / 3 == blocks
    assert (found["stem"], found["stage"], found["head"]) == (1, 4, 1)
    assert [level.reduction for level in graph.levels] == [4, 8, 16, 32]
    check_num_classes(name, graph)


def test_it_starts_as_the_authors_code_does():
    torch.manual_seed(0)
    state = composer.build("biformer_tiny").state_dict()
    assert state["head.weight"].std() == pytest.approx(0.02, rel=0.02)
    assert state["stages.3.0.attn.qkv.weight"].std() == pytest.approx(0.02, rel=0.02)
    assert state["stages.2.0.mlp.0.weight"].std() == pytest.approx(0.02, rel=0.02)
    # Convolutions are PyTorch's own: U(-b, b) with b = 1 / sqrt(inputs).
    bound = (64 * 9) ** -0.5
    assert state["stages.1.downsample.0.weight"].abs().max() == pytest.approx(bound, rel=0.01)
    assert state["stages.1.downsample.0.bias"].abs().max() <= bound
