"""What a call of an insertion costs beside the same written by hand."""

from __future__ import annotations

import statistics
import time

import pytest
import torch
from torch import Tensor, nn

import composer


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Identity(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class ByHand(Inner):
    def __init__(self) -> None:
        super().__init__()
        self.inserted = nn.Identity()


class AtEnd(ByHand):
    def forward(self, x: Tensor) -> Tensor:
        return self.inserted(self.second(self.first(x)))


class Between(ByHand):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.inserted(self.first(x)))


@pytest.mark.slow
@pytest.mark.parametrize(("place", "by_hand"), [("0", AtEnd), ("0.first", Between)])
def test_a_call_costs_at_most_five_microseconds_more(place: str, by_hand: type[nn.Module]) -> None:
    model, hand, x = nn.Sequential(Inner()), nn.Sequential(by_hand()), torch.zeros(1, 4, 2, 2)
    composer.insert(model, {"use": "identity", "after": place}, x)
    times: dict[nn.Module, list[float]] = {model: [], hand: []}
    with torch.no_grad():
        for _ in range(30):
            for one, found in times.items():
                start = time.perf_counter()
                for _ in range(500):
                    one(x)
                found.append((time.perf_counter() - start) / 500)
    more = [ours - theirs for ours, theirs in zip(times[model], times[hand], strict=True)]
    assert statistics.median(more) < 5e-6
