"""AFF and iAFF beside the authors' code, written again, and beside the blocks of the examples."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import composer
from composer.mechanisms.fusion.aff import AFF
from composer.mechanisms.fusion.iaff import IterativeAFF
from tests.mechanisms.oracle import SIZES, agree

EXAMPLES = Path(__file__).parents[3] / "examples"


class Authors(nn.Module):
    """AFF, or with `again` iAFF, of open-aff: flat lists of layers, the pooling among them."""

    def __init__(self, channels: int, inner: int, again: bool, share: bool) -> None:
        super().__init__()
        layers = lambda: nn.Sequential(  # noqa: E731
            nn.Conv2d(channels, inner, 1),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, channels, 1),
            nn.BatchNorm2d(channels),
        )
        self.again, self.share = again, share
        self.local_att, self.global_att = layers(), layers()
        if again:
            self.local_att2 = layers()
        if again and not share:
            self.global_att2 = layers()

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        total = x + residual
        weight = torch.sigmoid(self.local_att(total) + self.global_att(F.adaptive_avg_pool2d(total, 1)))
        if not self.again:
            return 2 * x * weight + 2 * residual * (1 - weight)
        mixed = x * weight + residual * (1 - weight)
        second = self.global_att if self.share else self.global_att2
        weight = torch.sigmoid(self.local_att2(mixed) + second(F.adaptive_avg_pool2d(mixed, 1)))
        return x * weight + residual * (1 - weight)


def flat(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our names as those of numbered layers."""
    numbers = {"conv1": "0", "bn1": "1", "conv2": "3", "bn2": "4"}
    names = {name: name.replace(".context", "").split(".") for name in state}
    return {".".join((block, numbers[layer], rest)): state[name] for name, (block, layer, rest) in names.items()}


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_they_are_the_authors_code(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    inputs = (torch.randn(2, 8, *size), torch.randn(2, 8, *size))
    agree(AFF(8), Authors(8, 2, False, False), *inputs, carry=flat)
    agree(IterativeAFF(8, share_global=True), Authors(8, 2, True, True), *inputs, carry=flat)
    agree(IterativeAFF(8, reduction=2), Authors(8, 4, True, False), *inputs, carry=flat)


# Ours -> the nodes of the block; the second before the first, whose name it contains.
OF_THE_BLOCK = {
    "aff": {},
    "iaff": {
        "add.local_att2.": "add.second.local_att.",
        "add.global_att2.": "add.second.global_att.",
        "add.local_att.": "add.first.local_att.",
        "add.global_att.": "add.first.global_att.",
    },
}


@pytest.mark.parametrize("name", ["aff", "iaff"])
def test_they_are_the_blocks_of_the_examples(name: str) -> None:
    blocks = composer.build(EXAMPLES / f"{name}.yaml").eval()
    rule = {"use": name, "replace": "**.add", "expect": 8}
    ours = composer.build({"backbone": "resnet18", "input": [3, 64, 64], "attention": [rule]}).eval()
    state = ours.state_dict()
    for old, new in OF_THE_BLOCK[name].items():
        state = {key.replace(old, new): tensor for key, tensor in state.items()}
    blocks.load_state_dict(state)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), blocks(x))


def test_by_hand() -> None:
    """Shares of 1/2: AFF is the sum, iAFF its half. Logits of ln 3: a share of 3/4."""
    x, other = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    for module, whole in ((AFF(3), 2), (IterativeAFF(3), 1)):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.zero_()
        torch.testing.assert_close(module(x, other), whole * (x + other) / 2)
        last = module.local_att if whole == 2 else module.local_att2
        nn.init.constant_(last.bn2.bias, torch.tensor(3.0).log().item())
        torch.testing.assert_close(module(x, other), whole * (0.75 * x + 0.25 * other))


@pytest.mark.parametrize("make", [AFF, IterativeAFF])
def test_one_image_and_one_position(make: type[AFF] | type[IterativeAFF]) -> None:
    x, other = torch.randn(1, 8, 7, 7), torch.randn(1, 8, 7, 7)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        make(8)(x, other)
    for norm in ("layer", "none"):
        assert make(8, norm=norm)(x, other).isfinite().all()
    assert make(8).eval()(x[..., :1, :1], other[..., :1, :1]).isfinite().all()
    with pytest.raises(ValueError, match="forgets it"):
        make(3, norm="layer")


def test_parameters() -> None:
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert (count(AFF(64)), count(IterativeAFF(64))) == (4_576, 9_152)
    assert count(IterativeAFF(64, share_global=True)) == 6_864
