"""The attention gate beside the authors' block and MONAI's, and on the skip connections of U-Nets."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import composer
from composer.mechanisms.fusion.attention_gate import AttentionGate
from tests.mechanisms.oracle import SIZES, agree


class Oktay(nn.Module):
    """The authors' block in two dimensions: `concatenation` of grid_attention_layer.py."""

    def __init__(self, channels: int, gating: int, inner: int, step: int) -> None:
        super().__init__()
        self.theta = nn.Conv2d(channels, inner, step, step, bias=False)
        self.phi = nn.Conv2d(gating, inner, 1)
        self.psi = nn.Conv2d(inner, 1, 1)
        self.proj, self.proj_bn = nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        coarse = self.theta(x)
        g = nn.Upsample(coarse.shape[2:], mode="bilinear")(self.phi(g))
        gate = nn.Upsample(x.shape[2:], mode="bilinear")(torch.sigmoid(self.psi(F.relu(coarse + g))))
        return self.proj_bn(self.proj(gate.expand_as(x) * x))


class Monai(nn.Module):
    """MONAI's AttentionBlock behind an upsampling of g."""

    def __init__(self, channels: int, gating: int, inner: int) -> None:
        super().__init__()
        self.theta, self.theta_bn = nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner)
        self.phi, self.phi_bn = nn.Conv2d(gating, inner, 1), nn.BatchNorm2d(inner)
        self.psi, self.psi_bn = nn.Conv2d(inner, 1, 1), nn.BatchNorm2d(1)

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        g = nn.Upsample(x.shape[2:], mode="bilinear")(g)
        both = F.relu(self.theta_bn(self.theta(x)) + self.phi_bn(self.phi(g)))
        return x * torch.sigmoid(self.psi_bn(self.psi(both)))


def tensors(height: int, width: int, coarser: bool) -> tuple[Tensor, Tensor]:
    torch.manual_seed(height)
    smaller = ((height + 1) // 2, (width + 1) // 2) if coarser else (height, width)
    return torch.randn(2, 6, height, width), torch.randn(2, 10, *smaller)


@pytest.mark.parametrize("coarser", [True, False])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_is_the_authors_block_and_that_of_monai(size: tuple[int, int], coarser: bool) -> None:
    inputs = tensors(*size, coarser)
    agree(AttentionGate(6, 10, *size), Oktay(6, 10, 3, 2), *inputs)
    agree(AttentionGate(6, 10, *size, inner=4, sub_sample=3), Oktay(6, 10, 4, 3), *inputs)
    agree(AttentionGate(6, 10, *size, form="monai"), Monai(6, 10, 3), *inputs)


def test_by_hand() -> None:
    """psi gives ln 3 everywhere: the gate is 3/4, and an output of the identity is 3/4 of x."""
    gate = AttentionGate(1, 1, 4, 4).eval()
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter.zero_()
        gate.psi.bias.fill_(torch.tensor(3.0).log())
        gate.proj.weight.fill_(1)
        gate.proj_bn.weight.fill_(1)
    gate.proj_bn.eps = 0.0
    x = torch.randn(1, 1, 4, 4)
    torch.testing.assert_close(gate(x, torch.randn(1, 1, 2, 2)), 0.75 * x)


def test_parameters() -> None:
    count = lambda **options: sum(p.numel() for p in AttentionGate(64, 64, 8, 8, inner=32, **options).parameters())  # noqa: E731
    assert (count(), count(form="monai")) == (14_593, 4_323)


def test_the_scale_of_its_norm_is_drawn_around_1() -> None:
    scale = AttentionGate(4096, 8, 4, 4, inner=1).proj_bn.weight
    assert scale.mean().item() == pytest.approx(1, abs=0.002)
    assert scale.std().item() == pytest.approx(0.02, rel=0.05)


def test_a_map_smaller_than_its_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel of 2×2, the map is 1×7; set sub_sample to 1 or less"):
        AttentionGate(8, 8, 1, 7)
    gate = AttentionGate(8, 8, 1, 1, sub_sample=1)
    assert gate(torch.randn(2, 8, 1, 1), torch.randn(2, 8, 1, 1)).isfinite().all()


def test_on_the_skip_connections_of_the_zoo() -> None:
    spec = {
        "backbone": "segmentation/unet",
        "input": [3, 32, 32],
        "vars": {"widths": [4, 8, 16, 32, 64]},
        "attention": [
            {"use": "attention_gate", "before": "up*.concat", "input": "skip", "from": {"gating": "input"}, "expect": 4}
        ],
    }
    model, x = composer.build(spec).eval(), torch.randn(1, 3, 32, 32)
    seen: dict[str, tuple[Tensor, ...]] = {}
    for name in ("up1", "up4"):
        gate = model.get_submodule(f"{name}.pre_concat_attention_gate")
        gate.register_forward_hook(lambda module, inputs, output, name=name: seen.update({name: (*inputs, output)}))
    with composer.record(model) as values:
        model(x)
    # x is the skip connection, g the coarser map with twice the channels on half the positions.
    assert [tuple(one.shape) for one in seen["up1"]] == [(1, 32, 4, 4), (1, 64, 2, 2), (1, 32, 4, 4)]
    assert [tuple(one.shape) for one in seen["up4"]] == [(1, 4, 32, 32), (1, 8, 16, 16), (1, 4, 32, 32)]
    assert [tuple(one.shape) for one in values.values()] == [(1, 1, size, size) for size in (4, 8, 16, 32)]


def test_in_the_unet_of_segmentation_models() -> None:
    model = segmentation_models_pytorch.Unet("resnet18", encoder_weights=None).eval()
    x = torch.randn(1, 3, 64, 64)
    before = model(x)
    rule = {"use": "attention_gate", "before": "decoder.blocks.*.concat", "input": 1, "from": {"gating": "input"}}
    report = composer.insert(model, {**rule, "start": "identity"}, x)
    assert len(report.places) == 4
    assert torch.equal(model(x), before)
    gate = model.get_submodule(report.places[0])
    assert (gate.theta.in_channels, gate.phi.in_channels) == (256, 512)
    model(x).square().mean().backward()
    gammas = [parameter.grad for name, parameter in model.named_parameters() if name.endswith("_gamma")]
    assert len(gammas) == 4
    assert all(gradient is not None and gradient.any() for gradient in gammas)
