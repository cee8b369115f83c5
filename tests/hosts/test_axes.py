"""A grid that is claimed of tokens is where they stand: rows and columns, sent through the same steps, say so."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from composer.dag.tensor import TensorSpec
from composer.hosts.recording.record import record
from composer.registry import TokenGrid

Step = Callable[[Tensor], Tensor]
SIZE = (2, 3, 8, 12)


class Steps(nn.Module):
    """Runs functions one after another."""

    def __init__(self, *steps: Step) -> None:
        super().__init__()
        self.steps = steps
        self.layers = nn.ModuleList(one for one in steps if isinstance(one, nn.Module))

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = step(x)
        return x


def told(*steps: Step) -> TensorSpec:
    # A recording runs a copy of the model.
    scope = record(Steps(*steps).to("meta"), (torch.empty(SIZE),))
    (reference,) = scope.outputs.values()
    return scope.tensor(reference)


def coordinates(*steps: Step) -> tuple[Tensor, Tensor]:
    """The row and the column in the map of each number of the result."""
    rows = torch.arange(SIZE[2]).view(1, 1, -1, 1).expand(SIZE)
    columns = torch.arange(SIZE[3]).view(1, 1, 1, -1).expand(SIZE)
    return Steps(*steps)(rows), Steps(*steps)(columns)


def stands(spec: TensorSpec, rows: Tensor, columns: Tensor) -> bool:
    """Whether numbers stand on the grid of a tensor: at equal steps, row by row."""
    axes = (spec.layout or "").split()
    if spec.grid is not None:
        at = axes.index("n")
        rows, columns = (one.unflatten(at, (spec.grid.height, spec.grid.width)) for one in (rows, columns))
        axes[at : at + 1] = ["h", "w"]
    high, wide = axes.index("h"), axes.index("w")
    still = not rows.diff(dim=wide).any() and not columns.diff(dim=high).any()
    return still and all(_is_even(one) for one in (rows.diff(dim=high), columns.diff(dim=wide)))


def _is_even(steps: Tensor) -> bool:
    return steps.numel() == 0 or (bool((steps == steps.flatten()[0]).all()) and bool(steps.flatten()[0] > 0))


def patches(x: Tensor) -> Tensor:
    return x.reshape(2, 3, 4, 2, 6, 2)


# Steps -> layout and grid of their result, by hand.
BY_HAND: dict[str, tuple[Sequence[Step], str | None, tuple[int, int] | None]] = {
    "tokens": ([lambda x: x.flatten(2).transpose(1, 2)], "b n c", (8, 12)),
    "patches as tokens": (
        [patches, lambda x: x.permute(0, 2, 4, 3, 5, 1), lambda x: x.reshape(2, 24, 12)],
        "b n c",
        (4, 6),
    ),
    "pixels of patches": (
        [patches, lambda x: x.permute(0, 2, 4, 3, 5, 1), lambda x: x.reshape(48, 4, 3)],
        "b n c",
        (2, 2),
    ),
    "every second, in the batch": (
        [patches, lambda x: x.permute(0, 3, 5, 2, 4, 1), lambda x: x.reshape(8, 24, 3)],
        "b n c",
        (4, 6),
    ),
    "as MobileViT does": (
        [
            lambda x: x.reshape(2 * 3 * 4, 2, 6, 2).transpose(1, 2),
            lambda x: x.reshape(2, 3, 24, 4).transpose(1, 3).reshape(8, 24, -1),
        ],
        "b n c",
        (4, 6),
    ),
    "every second token": (
        [
            lambda x: x.flatten(2).transpose(1, 2),
            lambda x: x.view(2, 8, 12, 3)[:, ::2, ::2],
            lambda x: x.reshape(2, -1, 3),
        ],
        "b n c",
        (4, 6),
    ),
    "unfolded": ([nn.Unfold(2, stride=2)], "b c n", (4, 6)),
    "unfolded, then pixels": (
        [
            nn.Unfold(2, stride=2),
            lambda x: x.transpose(1, 2).reshape(48, 3, 2, 2),
            lambda x: x.flatten(2).transpose(1, 2),
        ],
        "b n c",
        (2, 2),
    ),
    "patch by patch": (
        [patches, lambda x: x.permute(0, 2, 4, 3, 5, 1), lambda x: x.reshape(2, 96, 3)],
        "b n c",
        None,
    ),
    "column by column": ([lambda x: x.transpose(2, 3).flatten(2).transpose(1, 2)], "b n c", None),
    "patch by patch, then the largest of each": (
        [
            patches,
            lambda x: x.permute(0, 3, 5, 2, 4, 1),
            lambda x: x.reshape(2, 96, 3).view(2, 4, 24, 3).amax(1),
        ],
        "b n c",
        (4, 6),
    ),
    "parts of rows, in the batch": (
        [lambda x: x.flatten(2).transpose(1, 2).reshape(2, 16, 6, 3).flatten(0, 1)],
        None,
        None,
    ),
    "windows of each axis": (
        [
            lambda x: x.unfold(2, 2, 2).unfold(3, 2, 2),
            lambda x: x.permute(0, 2, 3, 1, 4, 5),
            lambda x: x.reshape(2, 24, 12),
        ],
        "b n c",
        (4, 6),
    ),
    "mixed by a layer over tokens": ([lambda x: x.flatten(2), nn.Linear(96, 6)], "b c n", None),
    "mixed by two layers over tokens, then channels last": (
        [lambda x: x.flatten(2), nn.Linear(96, 6), nn.Linear(6, 96), lambda x: x.transpose(1, 2)],
        "b n c",
        None,
    ),
    "a norm over tokens": ([lambda x: x.flatten(2), nn.LayerNorm(96)], "b c n", (8, 12)),
    "a norm over maps": ([nn.LayerNorm((3, 8, 12))], "b c h w", None),
    "a single window": (
        [
            lambda x: x.permute(0, 2, 3, 1).reshape(2, 1, 8, 1, 12, 3),
            lambda x: x.permute(0, 1, 3, 2, 4, 5).reshape(-1, 8, 12, 3),
            lambda x: x.reshape(-1, 96, 3),
        ],
        "b n c",
        (8, 12),
    ),
    "rows": ([lambda x: x.permute(0, 2, 3, 1).flatten(0, 1)], None, None),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_steps_by_hand(name: str) -> None:
    steps, layout, grid = BY_HAND[name]
    found = told(*steps)
    assert (found.layout, found.grid and found.grid[:2]) == (layout, grid)
    if layout is not None and not any(isinstance(one, nn.Module) for one in steps):
        rows, columns = coordinates(*steps)
        axis = 1 if layout == "b n c" else 2
        if grid is None:
            wide = TensorSpec(found.shape, layout)
            assert not any(
                stands(_with_grid(wide, height, found.shape[axis] // height), rows, columns)
                for height in range(2, found.shape[axis])
                if found.shape[axis] % height == 0
            )
        else:
            assert stands(found, rows, columns)


def _with_grid(spec: TensorSpec, height: int, width: int) -> TensorSpec:
    return replace(spec, grid=TokenGrid(height, width))


def some_step(x: Tensor, draw: random.Random) -> Step:
    """A step that moves the numbers of a tensor, drawn at random."""
    kind = draw.choice(("permute", "split", "join", "join", "slice", "select"))
    dim = draw.randrange(x.ndim)
    if kind == "permute":
        order = draw.sample(range(x.ndim), x.ndim)
        return lambda x: x.permute(order)
    if kind == "split" and x.ndim < 7:
        parts = [one for one in (2, 3, 4) if x.shape[dim] % one == 0 and x.shape[dim] > one]
        if parts:
            shape = [*x.shape[:dim], draw.choice(parts), -1, *x.shape[dim + 1 :]]
            return lambda x: x.reshape(shape)
    if kind == "join" and dim > 0:
        return lambda x: x.flatten(dim - 1, dim)
    if kind == "slice" and x.shape[dim] > 4:
        start, step = draw.randrange(2), draw.randrange(1, 3)
        return lambda x: x[(slice(None),) * dim + (slice(start, None, step),)]
    if kind == "select" and x.ndim > 3:
        return lambda x: x.select(dim, 0) if draw is None else x[(slice(None),) * dim + (0,)]
    return lambda x: x.contiguous()


def test_no_grid_is_claimed_where_numbers_do_not_stand_on_it() -> None:
    draw, claimed = random.Random(0), 0
    for _ in range(400):
        steps: list[Step] = []
        x = torch.empty(SIZE)
        while len(steps) < 3 or (x.ndim not in (3, 4) and len(steps) < 9):
            steps.append(some_step(x, draw))
            x = steps[-1](x)
        found = told(*steps)
        if found.positions is not None:
            claimed += 1
            assert stands(found, *coordinates(*steps)), (found, found.layout)
    assert claimed > 10


def test_what_attends_stands_where_its_queries_do() -> None:
    def attended(x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        queries = tokens.view(2, 8, 12, 3)[:, ::2, ::2].reshape(2, -1, 3)
        return (queries @ tokens.transpose(1, 2)).softmax(-1) @ tokens

    def fused(x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        return functional.scaled_dot_product_attention(tokens[:, :96:2].contiguous(), tokens, tokens)

    assert told(attended).grid == (4, 6, 0)
    # Every second token of the sequence is every second of each row, but nothing says so.
    assert told(fused).grid is None


def test_a_trail_ends_at_what_is_not_known() -> None:
    assert told(patches, lambda x: x.permute(0, 2, 4, 3, 5, 1), lambda x: x[..., [0, 2, 1]], _flat).layout is None
    bounds = torch.tensor(4)
    cropped = told(lambda x: x.flatten(2)[..., : int(bounds) * 12], lambda x: x.transpose(1, 2))
    assert (cropped.layout, cropped.grid) == ("b n c", None)
    assert told(lambda x: x.flatten(2)[..., :3], lambda x: x.mT).layout is None
    assert told(lambda x: x[:0], lambda x: x.reshape(0, 96, 3)).grid is None
    shuffled: Any = told(lambda x: x.flatten(2).transpose(1, 2), lambda x: x[:, torch.arange(96, device=x.device)])
    assert shuffled.grid is None


def _flat(x: Tensor) -> Tensor:
    return x.reshape(2, 24, 12)
