"""Mechanisms on maps within vision transformers, and on tokens within convolutional networks, beside plain modules.

The plain modules are written here on top of timm's and torchvision's networks, without composer.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

import composer


class PatchGate(nn.Module):
    """Squeeze-and-excitation of the patches of a sequence; the `prefix` tokens before them stay as they are."""

    def __init__(self, channels: int, prefix: int) -> None:
        super().__init__()
        self.prefix = prefix
        self.fc1, self.fc2 = nn.Linear(channels, channels // 16), nn.Linear(channels // 16, channels)

    def forward(self, x: Tensor) -> Tensor:
        patches = x[:, self.prefix :]
        gate = self.fc2(self.fc1(patches.mean(1)).relu()).sigmoid()
        return torch.cat([x[:, : self.prefix], patches * gate[:, None]], 1)


class PatchCBAM(nn.Module):
    """CBAM of the patches, of which `rows` are one above the other."""

    def __init__(self, channels: int, prefix: int, rows: int) -> None:
        super().__init__()
        self.prefix, self.rows = prefix, rows
        self.fc1, self.fc2 = nn.Linear(channels, channels // 16), nn.Linear(channels // 16, channels)
        self.conv = nn.Conv2d(2, 1, 7, padding=3)

    def mlp(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(x).relu())

    def forward(self, x: Tensor) -> Tensor:
        patches = x[:, self.prefix :]
        patches = patches * (self.mlp(patches.mean(1)) + self.mlp(patches.amax(1))).sigmoid()[:, None]
        pooled = torch.stack([patches.mean(2), patches.amax(2)], 1).unflatten(2, (self.rows, -1))
        patches = patches * self.conv(pooled).sigmoid().flatten(1)[:, :, None]
        return torch.cat([x[:, : self.prefix], patches], 1)


class MapAttention(nn.Module):
    """Self-attention of all positions of a map, with eight heads."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        q, k, v = (one.reshape(b, h * w, 8, c // 8) for one in self.qkv(x.flatten(2).mT).chunk(3, -1))
        weights = torch.einsum("bihp,bjhp->bhij", q, k).div(math.sqrt(c // 8)).softmax(-1)
        y = self.proj(torch.einsum("bhij,bjhp->bihp", weights, v).flatten(2))
        return y.mT.reshape(x.shape)


def check(spec: object, peer: nn.Module, theirs: Callable[[str], str], image: tuple[int, int]) -> composer.Graph:
    """The same outputs and gradients for the weights of ours, whose names in the peer `theirs` gives."""
    ours = composer.build(spec).double().eval()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        for parameter in ours.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator).double(), alpha=0.02)
    peer = peer.double().eval()
    wanted = peer.state_dict()
    given = {theirs(key): tensor for key, tensor in ours.state_dict().items()}
    peer.load_state_dict({key: tensor.reshape(wanted[key].shape) for key, tensor in given.items()})
    images = torch.randn(2, 3, *image, generator=torch.Generator().manual_seed(2)).double()
    weight = torch.randn(2, 1000, generator=torch.Generator().manual_seed(3)).double()
    results = []
    for network in (ours, peer):
        x = images.clone().requires_grad_()
        y = network(x)
        (y * weight).sum().backward()
        results.append((y.detach(), x.grad))
    torch.testing.assert_close(*(y for y, _ in results), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(*(gradient for _, gradient in results), rtol=1e-9, atol=1e-9)
    gradients = dict(peer.named_parameters())
    for key, parameter in ours.named_parameters():
        found, of_peer = parameter.grad, gradients[theirs(key)].grad
        assert found is not None, key
        assert of_peer is not None, key
        torch.testing.assert_close(found, of_peer.reshape(found.shape), rtol=1e-8, atol=1e-8)
    return ours.graph


def renamed(*names: tuple[str, str]) -> Callable[[str], str]:
    """Our key -> the peer's."""

    def theirs(key: str) -> str:
        for ours, other in names:
            key = key.replace(ours, other)
        return key

    return theirs


def test_se_in_every_block_of_a_vit() -> None:
    name = "vit_tiny_patch16_224"
    peer = timm.create_model(name, img_size=(64, 96))
    for block in peer.blocks:
        block.ls2 = PatchGate(192, prefix=1)
    spec = {"backbone": name, "input": [3, 64, 96], "attention": [{"use": "se", "after": "mlp", "expect": 12}]}
    graph = check(spec, peer, renamed((".mlp.out_se.", ".ls2.")), (64, 96))
    plain = composer.graph({"backbone": name, "input": [3, 64, 96]})
    assert graph.num_parameters - plain.num_parameters == 12 * (2 * 192 * 12 + 192 + 12)


def test_cbam_in_a_distilled_deit_with_two_tokens_in_front() -> None:
    name = "deit_tiny_distilled_patch16_224"
    peer = timm.create_model(name, img_size=(64, 96))
    for block in peer.blocks:
        block.ls1 = PatchCBAM(192, prefix=2, rows=4)
    spec = {"backbone": name, "input": [3, 64, 96], "attention": [{"use": "cbam", "after": "mixer"}]}
    names = renamed((".attn_cbam.channel.", ".ls1."), (".attn_cbam.spatial.", ".ls1."))
    graph = check(spec, peer, names, (64, 96))
    gate = next(node for node in graph.root.walk() if node.op == "cbam")
    assert str(gate.output) == "b×192×4×6"


def test_se_in_every_block_of_a_swin() -> None:
    """Its maps have channels last; timm's MLP sees them as tokens."""
    name = "swin_tiny_patch4_window7_224"
    peer = timm.create_model(name, img_size=64, drop_path_rate=0.0)
    for stage in peer.layers:
        for block in stage.blocks:
            block.drop_path2 = PatchGate(block.norm2.normalized_shape[0], prefix=0)
    spec = {"backbone": name, "input": [3, 64, 64], "vars": {"drop_path": 0.0}}
    rule = {"use": "se", "after": "mlp", "expect": 12}
    check({**spec, "attention": [rule]}, peer, renamed((".mlp.out_se.", ".drop_path2.")), (64, 64))


def test_a_token_mixer_in_a_convolutional_network() -> None:
    peer = torchvision.models.resnet18()
    peer.layer4.append(MapAttention(512))
    spec = {"backbone": "resnet18", "attention": [{"use": "mhsa", "after": "stage", "where": "last", "name": "mixed"}]}
    names = {key: key for key in composer.build("resnet18").state_dict()}
    check(spec, peer, lambda key: names.get(key, f"layer4.2.{key.partition('mixed.')[2]}"), (64, 64))


def test_a_mechanism_as_a_node_is_what_a_rule_makes_of_it() -> None:
    """With the weights of the other, whose names are its own."""
    backbone = {"backbone": "vit_tiny_patch16_224", "input": [3, 64, 96], "vars": {"depth": 1}}
    nodes = {"gate": {"op": "se", "from": "norm"}, "pooled": {"op": "mean_tokens", "skip": 1}}
    by_rule = {"use": "se", "after": "norm", "name": "gate"}
    written = composer.build({**backbone, "nodes": nodes, "outputs": "pooled"})
    placed = composer.build(
        {
            **backbone,
            "attention": [by_rule],
            "nodes": {"pooled": {**nodes["pooled"], "from": "norm"}},
            "outputs": "pooled",
        }
    )
    gates = {key: key.replace("gate.", "norm_gate.") for key in written.state_dict()}
    assert set(gates.values()) == placed.state_dict().keys()
    placed.load_state_dict({gates[key]: tensor for key, tensor in written.state_dict().items()})
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    assert torch.equal(written.eval()(images), placed.eval()(images))


@pytest.mark.parametrize("rows", [4, 1])
def test_a_token_mixer_as_a_node_on_a_map(rows: int) -> None:
    ours = composer.build({"input": [16, rows, 6], "nodes": {"attn": "mhsa"}}).double()
    peer = MapAttention(16).double()
    peer.load_state_dict({key.removeprefix("attn."): tensor for key, tensor in ours.state_dict().items()})
    x = torch.randn(2, 16, rows, 6, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(ours(x), peer(x))
    # Of whatever size the map is.
    x = F.pad(x, (0, 1))
    torch.testing.assert_close(ours(x), peer(x))
