"""U-Nets: equal to a plain module under the names of the implementation that most checkpoints come from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

import composer

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
