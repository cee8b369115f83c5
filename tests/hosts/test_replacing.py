"""Convolutions of classes of their own are replaced like torch's: their settings go over to what stands in for them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import composer
from composer.hosts.recording.record import record


class Padding(nn.Conv2d):
    """Pads by itself, so that a stride of 2 halves every size, rounded up."""

    def forward(self, x: Tensor) -> Tensor:
        high, wide = (max(0, (-(-size // 2) - 1) * 2 + 3 - size) for size in x.shape[-2:])
        return super().forward(functional.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2)))


class Standardised(nn.Conv2d):
    """Convolves with another weight than its own."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight - self.weight.mean(), None, self.stride, self.padding)


class Chosen(nn.Module):
    """Sets its forward on the object, as timm's FasterNet does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.forward = self.forward_once

    def forward_once(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(x)
        return result


class Around(nn.Module):
    """Pads for its convolution, of which it reads the sizes, as transformers' MobileNetV2 does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, (3, 5), 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        (high, wide), (down, right), (rows, columns) = self.conv.kernel_size, self.conv.stride, self.conv.dilation
        pads = rows * (high - down), columns * (wide - right)
        result: Tensor = self.conv(functional.pad(x, (0, pads[1], 0, pads[0])))
        return result


@pytest.mark.parametrize("use", ["condconv", "dynconv"])
def test_what_stands_in_for_a_convolution_has_its_attributes(use: str) -> None:
    model, images = nn.Sequential(Around()), torch.randn(2, 3, 12, 12)
    plain, shape = model[0].conv, model(images).shape
    composer.insert(model, {"use": use, "replace": "0.conv"}, images)
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    assert {name: getattr(model[0].conv, name) for name in names} == {name: getattr(plain, name) for name in names}
    assert model(images).shape == shape


@pytest.mark.parametrize(
    ("conv", "size"),
    [
        (nn.Conv2d(3, 8, 3, padding="same"), 12),
        (nn.Conv2d(3, 8, (3, 5), padding="valid", bias=False), 12),
        (Padding(3, 8, 3, 2), 12),
        (Padding(3, 8, 3, 2), 13),
        (Standardised(3, 8, 3, 2, 1, bias=False), 12),
    ],
)
def test_a_convolution_hands_its_settings_on(conv: nn.Conv2d, size: int) -> None:
    model, images = nn.Sequential(conv, nn.ReLU()), torch.randn(2, 3, size, size)
    shape = model(images).shape
    composer.insert(model, {"use": "condconv", "replace": "0"}, images)
    assert model(images).shape == shape
    replaced: Any = model[0]
    assert (replaced.weight.shape[0] > 1, replaced.bias is None) == (True, conv.bias is None)


@pytest.mark.filterwarnings("ignore:Using padding")
def test_padding_that_no_number_says_is_left_out() -> None:
    def arguments(conv: nn.Conv2d) -> Any:
        return record(nn.Sequential(conv), (torch.empty(2, 3, 12, 12),)).nodes["0"].content.arguments  # type: ignore[union-attr]

    assert "padding" not in arguments(nn.Conv2d(3, 8, 4, padding="same"))
    assert "padding" not in arguments(Padding(3, 8, 3, 2))
    assert arguments(Standardised(3, 8, 3, 2, 1))["padding"] == 1


def test_a_child_of_a_module_with_a_forward_on_the_object_is_replaced() -> None:
    model, images = nn.Sequential(Chosen()), torch.randn(2, 8, 6, 6)
    plain = model(images)
    composer.insert(model, {"use": "condconv", "replace": "0.conv"}, images)
    assert not torch.equal(model(images), plain)
    composer.remove(model)
    assert torch.equal(model(images), plain)


def test_a_channel_gate_needs_no_grid_of_tokens() -> None:
    model, tokens = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8)), torch.randn(2, 6, 4)
    plain = model(tokens)
    composer.insert(model, {"use": "se", "after": "1", "with": {"reduction": 2}}, tokens)
    (gate,) = [one for one in model.modules() if type(one).__name__ == "SqueezeExcitation"]
    columns = plain.transpose(1, 2).unsqueeze(-1)
    torch.testing.assert_close(model(tokens), gate(columns).squeeze(-1).transpose(1, 2))
    with pytest.raises(composer.GraphError, match="the grid of the tokens here"):
        composer.insert(model, {"use": "cbam_spatial", "after": "1"}, tokens)


@pytest.mark.parametrize(
    "rules",
    [
        {"remove": "blocks.*.bn1"},
        {"use": "eca", "replace": "blocks.*.bn2"},
        {"use": "eca", "replace": "blocks.1"},
        {"use": "eca", "replace": "blocks.*.bn2", "start": "identity"},
    ],
)
def test_what_comes_back_has_the_mode_it_had(rules: dict[str, Any]) -> None:
    """A frozen BatchNorm that would come back in training would drift."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn1, self.bn2 = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.BatchNorm2d(8)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x + self.bn2(self.bn1(self.conv(x))))

    model = nn.Sequential()
    model.blocks = nn.Sequential(Block(), Block())
    images = torch.zeros(1, 8, 6, 6)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    before = {path: module.training for path, module in model.named_modules()}
    assert set(before.values()) == {True, False}
    composer.insert(model, rules, images)
    # Which takes out and puts in again what is there.
    composer.insert(model, {"use": "se", "after": "blocks.0.conv"}, images)
    composer.remove(model, "se")
    composer.remove(model)
    assert {path: module.training for path, module in model.named_modules()} == before
    # Where the mode of the model was changed meanwhile, what comes back follows it.
    composer.insert(model, rules, images)
    model.eval()
    composer.remove(model)
    assert not any(module.training for module in model.modules())
