"""U-Nets: equal to a plain module under the names of the implementation that most checkpoints come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

import composer
from composer.kernels import set_kernels

WIDTHS = (4, 8, 16, 32, 64)


class DoubleConv(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (inputs, outputs):
            conv = nn.Conv2d(width, outputs, 3, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
        self.double_conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, outputs, 2, 2)
        self.conv = DoubleConv(inputs, outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv(torch.cat([skip, self.up(x)], 1))


class Out(nn.Module):
    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class UNet(nn.Module):
    def __init__(self, widths: tuple[int, ...] = WIDTHS, classes: int = 2) -> None:
        super().__init__()
        self.inc = DoubleConv(3, widths[0])
        for index in range(1, 5):
            self.add_module(f"down{index}", Down(widths[index - 1], widths[index]))
        for index in range(1, 5):
            self.add_module(f"up{index}", Up(widths[5 - index], widths[4 - index]))
        self.outc = Out(widths[0], classes)

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.inc(x)]
        for down in (self.down1, self.down2, self.down3, self.down4):
            skips.append(down(skips[-1]))
        y = skips.pop()
        for up in (self.up1, self.up2, self.up3, self.up4):
            y = up(y, skips.pop())
        return self.outc(y)


def test_a_checkpoint_of_the_usual_implementation_loads_and_computes_the_same(tmp_path: Path) -> None:
    theirs = UNet()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.2)
    torch.save(theirs.state_dict(), tmp_path / "unet.pth")
    ours = composer.build("segmentation/unet", vars={"widths": list(WIDTHS)}, img_size=32)
    report = composer.load_weights(ours, tmp_path / "unet.pth", require="all")
    assert "milesial_unet" in str(report)
    x = torch.randn(2, 3, 32, 32)
    found, expected = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, wanted = ours.train()(found), theirs.train()(expected)
    assert torch.equal(y, wanted)
    y.square().mean().backward()
    wanted.square().mean().backward()
    assert torch.equal(found.grad, expected.grad)
    gradients = zip(ours.parameters(), theirs.parameters(), strict=True)
    assert all(torch.equal(one.grad, other.grad) for one, other in gradients)


def test_it_has_the_size_that_is_known() -> None:
    assert composer.graph("segmentation/unet").num_parameters == 31_037_698


class Gate(nn.Module):
    """Oktay et al., eq. 1, both tensors of one size."""

    def __init__(self, channels: int, gating: int) -> None:
        super().__init__()
        inner = channels // 2
        self.theta, self.theta_bn = nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner)
        self.phi, self.phi_bn = nn.Conv2d(gating, inner, 1), nn.BatchNorm2d(inner)
        self.psi, self.psi_bn = nn.Conv2d(inner, 1, 1), nn.BatchNorm2d(1)

    def forward(self, x: Tensor, gating: Tensor) -> Tensor:
        both = self.theta_bn(self.theta(x)) + self.phi_bn(self.phi(gating))
        return x * self.psi_bn(self.psi(both.relu())).sigmoid()


class SCSE(nn.Module):
    """Roy et al., eq. 2-5: channels by the pooled map, positions by a 1×1 convolution; their sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cse = nn.Module()
        self.cse.fc1, self.cse.fc2 = nn.Conv2d(channels, channels // 2, 1), nn.Conv2d(channels // 2, channels, 1)
        self.sse_logit = nn.Conv2d(channels, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        channels = self.cse.fc2(self.cse.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return x * channels + x * self.sse_logit(x).sigmoid()


class SmpUNet(nn.Module):
    """segmentation_models.pytorch's `Unet` on a torchvision ResNet, under its names."""

    def __init__(self, encoder: nn.Module, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = nn.Module()
        self.decoder.blocks = nn.ModuleList()
        inputs = channels[0]
        for skip, width in zip((*channels[1:], 0), (256, 128, 64, 32, 16), strict=True):
            block = nn.Module()
            for name, arriving in (("conv1", inputs + skip), ("conv2", width)):
                conv = nn.Conv2d(arriving, width, 3, padding=1, bias=False)
                block.add_module(name, nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU()))
            self.decoder.blocks.append(block)
            inputs = width
        self.segmentation_head = nn.Sequential(nn.Conv2d(16, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        net = self.encoder
        maps = [net.relu(net.bn1(net.conv1(x)))]
        y = net.maxpool(maps[0])
        for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
            y = stage(y)
            maps.append(y)
        y = maps.pop()
        for block in self.decoder.blocks:
            y = nn.functional.interpolate(y, scale_factor=2)
            y = block.conv2(block.conv1(torch.cat([y, maps.pop()], 1) if maps else y))
        return self.segmentation_head(y)


def agree(ours: nn.Module, theirs: nn.Module, run: Any, size: int, near: float = 0.0) -> None:
    """The same outputs, and the same gradients of the input and of every parameter, in training.

    near  how far gradients may be apart, as a share of the largest of all
    """
    x = torch.randn(2, 3, size, size)
    found, expected = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours.zero_grad(), theirs.zero_grad()
    y, wanted = ours.train()(found), run(theirs.train(), expected)
    assert torch.equal(y, wanted)
    y.square().mean().backward()
    wanted.square().mean().backward()
    others = dict(theirs.named_parameters())
    pairs = [(found.grad, expected.grad), *((one.grad, others[name].grad) for name, one in ours.named_parameters())]
    largest = max(float(other.abs().max()) for _, other in pairs)
    assert max(float((one - other).abs().max()) for one, other in pairs) <= near * largest


def plain_with(mechanism: str, ours: Any, make: Any) -> nn.Module:
    """The plain U-Net, which has our weights, and beside its modules those of the test where our mechanisms stand."""
    theirs = composer.build("segmentation/unet", vars={"widths": list(WIDTHS)}, img_size=32)
    for scope in sorted({path.split(".")[0] for path, _ in ours.named_modules() if mechanism in path.split(".")[-1]}):
        (name,) = [name for name, _ in ours.get_submodule(scope).named_children() if mechanism in name]
        theirs.get_submodule(scope).add_module(name, make(scope))
        theirs.get_submodule(scope).mechanism = name
    theirs.load_state_dict(ours.state_dict())
    return theirs


def test_gates_on_the_skip_connections_are_one_rule() -> None:
    ours = composer.build("segmentation/attention_unet", vars={"widths": list(WIDTHS)}, img_size=32)
    widths = dict(zip(("up1", "up2", "up3", "up4"), WIDTHS[-2::-1], strict=True))
    theirs = plain_with("attention_gate", ours, lambda scope: Gate(widths[scope], widths[scope]))

    def run(net: Any, x: Tensor) -> Tensor:
        skips = [net.stem(x)]
        for down in (net.down1, net.down2, net.down3, net.down4):
            skips.append(down(skips[-1]))
        y = skips.pop()
        for up in (net.up1, net.up2, net.up3, net.up4):
            y, skip = up.up(y), skips.pop()
            y = up.conv(torch.cat([up.get_submodule(up.mechanism)(skip, y), y], 1))
        return net.head(y)

    agree(ours, theirs, run, 32)
    with composer.record(ours) as values:
        ours(torch.randn(1, 3, 32, 32))
    assert [tuple(value.shape) for value in values.values()] == [(1, 1, size, size) for size in (4, 8, 16, 32)]


def test_scse_behind_every_step_down_and_up_is_one_rule() -> None:
    ours = composer.build("segmentation/scse_unet", vars={"widths": list(WIDTHS)}, img_size=32, kernels="reference")
    widths = dict(zip(("down1", "down2", "down3", "down4"), WIDTHS[1:], strict=True))
    widths |= dict(zip(("up1", "up2", "up3", "up4"), WIDTHS[-2::-1], strict=True))
    theirs = plain_with("scse", ours, lambda scope: SCSE(widths[scope]))

    def run(net: Any, x: Tensor) -> Tensor:
        skips = [net.stem(x)]
        for down in (net.down1, net.down2, net.down3, net.down4):
            skips.append(down.get_submodule(down.mechanism)(down.conv(down.pool(skips[-1]))))
        y = skips.pop()
        for up in (net.up1, net.up2, net.up3, net.up4):
            y = up.conv(torch.cat([skips.pop(), up.up(y)], 1))
            y = up.get_submodule(up.mechanism)(y)
        return net.head(y)

    agree(ours, theirs, run, 32)
    # A kernel adds in another order.
    set_kernels(ours, "fused")
    agree(ours, theirs, run, 32, near=1e-6)


def test_any_encoder_of_the_zoo_under_the_names_of_segmentation_models(tmp_path: Path) -> None:
    theirs = SmpUNet(torchvision.models.resnet18(), (512, 256, 128, 64, 64))
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.1)
    del theirs.encoder.fc
    torch.save(theirs.state_dict(), tmp_path / "unet.pth")
    ours = composer.build("segmentation/unet_resnet34", vars={"encoder": "resnet18"}, img_size=64)
    assert "smp_unet" in str(composer.load_weights(ours, tmp_path / "unet.pth", require="all"))
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))
    assert composer.graph("segmentation/unet_resnet34").num_parameters == 24_436_369


@pytest.mark.parametrize(("encoder", "finest"), [("mobilenetv2_100", 1), ("convnext_tiny", 2)])
def test_other_encoders_and_attention_in_both_halves(encoder: str, finest: int) -> None:
    found = composer.graph(
        {
            "backbone": "segmentation/unet_resnet34",
            "vars": {"encoder": encoder, "finest": finest},
            "attention": [{"use": "cbam", "after": "decoder", "expect": 5}, {"use": "eca", "after": "block"}],
        }
    )
    assert all(path.startswith("encoder.") for path in found.added[1].places)
    assert found.outputs["output"].without_batch == (1, 224, 224)
