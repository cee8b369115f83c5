"""PAB beside the block of segmentation_models_pytorch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.decoders.manet.decoder import PABBlock
from torch import Tensor

import composer
from composer.mechanisms.all_positions.pab import PositionWiseAttention
from tests.mechanisms.oracle import SMALL, agree


class InPlace(PABBlock):
    """Theirs, with each mixture at its position."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (conv(x).flatten(2) for conv in (self.center_conv, self.top_conv, self.bottom_conv))
        logits = torch.einsum("bdi,bdj->bij", q, k)
        weights = F.softmax(logits.flatten(1), 1).view_as(logits)
        y: Tensor = self.out_conv(x + torch.einsum("bij,bcj->bci", weights, v).view_as(x))
        return y


@pytest.mark.parametrize("size", [*SMALL, (1, 1)], ids=str)
def test_it_is_that_of_segmentation_models(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 6, *size)
    agree(PositionWiseAttention(6, inner=4), PABBlock(6, pab_channels=4), x)
    agree(PositionWiseAttention(6, inner=4, keep_positions=True), InPlace(6, pab_channels=4), x)


def test_the_weights_of_all_pairs_sum_to_1() -> None:
    values = PositionWiseAttention(6).attention(torch.randn(2, 6, 4, 5))
    torch.testing.assert_close(values.sum((1, 2, 3)), torch.ones(2))


def test_parameters() -> None:
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(PositionWiseAttention(64)) == count(PABBlock(64)) == 82_176


def test_after_the_last_stage_of_a_resnet() -> None:
    spec = {
        "backbone": "resnet18",
        "input": [3, 64, 64],
        "attention": [{"use": "pab", "after": "stage", "where": "last"}],
    }
    model = composer.build(spec)
    assert len(model.graph.added[0].places) == 1
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if "pab" in name)
