"""VAN and LSKNet beside their authors' networks, written again in plain steps; no installed library has them."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from backbones.peers import check_outputs, randomised
from torch import Tensor, nn

import composer

# Parameters as counted in the authors' networks, and billions of multiply-accumulates of ours.
SIZES = {
    "van_b0": (4_105_800, 0.86, 13),
    "van_b1": (13_861_800, 2.50, 10),
    "van_b2": (26_578_472, 4.99, 21),
    "van_b3": (44_765_608, 8.93, 38),
    # LSKNet's authors have no classifier.
    "lsknet_t": (3_990_190 + 257_000, 0.89, 13),
    "lsknet_s": (13_840_892 + 513_000, 2.58, 10),
}
SMALL = {"widths": [8, 16, 24, 32], "depths": [1, 2, 1, 1], "mlp_ratios": [4, 4, 2, 2], "num_classes": 7}


class Gate(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.conv0 = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.conv_spatial = nn.Conv2d(dim, dim, 7, padding=9, groups=dim, dilation=3)
        self.conv1 = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv1(self.conv_spatial(self.conv0(x)))


class Selective(nn.Module):
    """What LSKNet multiplies by: at each position a mixture of what a near and a far kernel see."""

    def __init__(self, dim: int):
        super().__init__()
        self.conv0 = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.conv_spatial = nn.Conv2d(dim, dim, 7, padding=9, groups=dim, dilation=3)
        self.conv1, self.conv2 = nn.Conv2d(dim, dim // 2, 1), nn.Conv2d(dim, dim // 2, 1)
        self.conv_squeeze, self.conv = nn.Conv2d(2, 2, 7, padding=3), nn.Conv2d(dim // 2, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        near = self.conv0(x)
        kernels = torch.stack([self.conv1(near), self.conv2(self.conv_spatial(near))], 1)
        both = kernels.flatten(1, 2)
        chosen = self.conv_squeeze(torch.stack([both.mean(1), both.amax(1)], 1)).sigmoid()
        return x * self.conv((kernels * chosen[:, :, None]).sum(1))


class Attention(nn.Module):
    def __init__(self, dim: int, gate: type[nn.Module]):
        super().__init__()
        self.proj_1, self.proj_2 = nn.Conv2d(dim, dim, 1), nn.Conv2d(dim, dim, 1)
        self.spatial_gating_unit = gate(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj_2(self.spatial_gating_unit(F.gelu(self.proj_1(x)))) + x


class Depthwise(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)


class Perceptron(nn.Module):
    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1, self.dwconv, self.fc2 = nn.Conv2d(dim, hidden, 1), Depthwise(hidden), nn.Conv2d(hidden, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.dwconv.dwconv(self.fc1(x))))


class Block(nn.Module):
    def __init__(self, dim: int, ratio: int, gate: type[nn.Module]):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(dim), nn.BatchNorm2d(dim)
        self.attn, self.mlp = Attention(dim, gate), Perceptron(dim, dim * ratio)
        self.layer_scale_1, self.layer_scale_2 = (nn.Parameter(torch.full((dim,), 0.01)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.layer_scale_1[:, None, None] * self.attn(self.norm1(x))
        return x + self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x))


class Embed(nn.Module):
    def __init__(self, inputs: int, dim: int, first: bool):
        super().__init__()
        self.proj = nn.Conv2d(inputs, dim, 7 if first else 3, 4 if first else 2, 3 if first else 1)
        self.norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(x))


class Plain(nn.Module):
    def __init__(
        self, gate: type[nn.Module], widths: list[int], depths: list[int], mlp_ratios: list[int], num_classes: int
    ):
        super().__init__()
        for i, (before, width) in enumerate(zip([3, *widths], widths, strict=False)):
            setattr(self, f"patch_embed{i + 1}", Embed(before, width, i == 0))
            setattr(self, f"block{i + 1}", nn.ModuleList(Block(width, mlp_ratios[i], gate) for _ in range(depths[i])))
            setattr(self, f"norm{i + 1}", nn.LayerNorm(width, eps=1e-6))
        self.head = nn.Linear(widths[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for i in range(1, 5):
            x = getattr(self, f"patch_embed{i}")(x)
            for block in getattr(self, f"block{i}"):
                x = block(x)
            x = getattr(self, f"norm{i}")(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize(("name", "gate"), [("van_b0", Gate), ("lsknet_t", Selective)])
@pytest.mark.parametrize("size", [(64, 64), (70, 104)])
def test_the_authors_network_with_its_own_weights(name, gate, size):
    peer = randomised(Plain(gate, **SMALL)).double().eval()
    ours = composer.build({"backbone": name, "vars": SMALL}).double().eval()
    assert ours.graph.num_parameters == sum(parameter.numel() for parameter in peer.parameters())
    report = composer.load_weights(ours, {"state_dict": peer.state_dict()}, require="all")
    assert report.keys == "official_van"
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    check_outputs(ours, peer, images, exact=False)
    check_outputs(ours.train(), peer.train(), images, exact=False)


@pytest.mark.parametrize("name", SIZES)
def test_counts_and_sites(name):
    parameters, billions, blocks = SIZES[name]
    graph = composer.graph(name)
    assert graph.num_parameters == parameters
    assert graph.num_macs / 1e9 == pytest.approx(billions, abs=0.01)
    found = graph.places.sites
    assert found["mixer"] == found["mlp"] == found["spatial_conv"] == found["block"] == found["branch"] / 2 == blocks
    assert (found["stem"], found["stage"], found["head"]) == (1, 4, 1)
    assert [level.reduction for level in graph.levels] == [4, 8, 16, 32]


def test_it_starts_as_the_authors_code_does():
    torch.manual_seed(0)
    model = composer.build("van_b0")
    state = model.state_dict()
    assert all((value == 0.01).all() for key, value in state.items() if key.endswith("gamma"))
    assert all((value == 0).all() for key, value in state.items() if key.endswith("bias"))
    assert state["head.weight"].std() == pytest.approx(0.02, rel=0.02)
    # N(0, 2 / (k² outputs of a group)): three rows of the depthwise kernel of one output each, and a 1x1 map.
    assert state["block1.0.mlp.dwconv.dwconv.weight"].std() == pytest.approx(math.sqrt(2 / 9), rel=0.05)
    assert state["block4.0.mlp.fc1.weight"].std() == pytest.approx(math.sqrt(2 / 1024), rel=0.02)
    assert state["block4.0.attn.spatial_gating_unit.conv1.weight"].std() == pytest.approx(math.sqrt(2 / 256), rel=0.02)


def test_large_kernels_of_rows_and_columns():
    graph = composer.graph({"backbone": "van_b0", "vars": {"separable": True}})
    assert graph.num_parameters == 4_029_000
    longer = composer.graph({"backbone": "van_b0", "vars": {"separable": True, "kernel_size": 53}})
    assert longer.num_parameters > graph.num_parameters
