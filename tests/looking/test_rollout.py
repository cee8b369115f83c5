"""Rollout against loops, and maps of a patch."""

from __future__ import annotations

import pytest
import torch

from composer.looking.rollout import class_token_map, patch_maps, rollout


def attention(seed: int, heads: int = 3, tokens: int = 7):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(heads, tokens, tokens, generator=generator).softmax(-1)


def test_two_blocks_by_hand():
    first = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    second = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]])
    # Mean of the second: [[.5, .5], [1, 0]]; with the identity, by row sums: [[.75, .25], [.5, .5]].
    assert rollout([first, second]).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    # The other way round: what the second mixed is shared evenly.
    assert rollout([second, first]).tolist() == [[0.625, 0.375], [0.625, 0.375]]


def slow(maps, discard):
    size = maps[0].shape[1]
    result = [[float(i == j) for j in range(size)] for i in range(size)]
    for one in maps:
        rows = []
        for i in range(size):
            row = [sum(float(head[i][j]) for head in one) / len(one) for j in range(size)]
            for j in sorted(range(size), key=row.__getitem__)[: int(discard * size)]:
                row[j] = 0.0
            row[i] += 1
            rows.append([value / sum(row) for value in row])
        result = [[sum(rows[i][k] * result[k][j] for k in range(size)) for j in range(size)] for i in range(size)]
    return torch.tensor(result)


@pytest.mark.parametrize("discard", [0.0, 0.3, 0.9])
def test_loops_say_the_same(discard):
    maps = [attention(seed) for seed in range(4)]
    found = rollout(maps, discard=discard)
    assert torch.allclose(found, slow(maps, discard), atol=1e-6)
    assert torch.allclose(found.sum(1), torch.ones(7), atol=1e-6)


def test_half_precision_is_rolled_out_in_float32_and_maps_stay():
    maps = [attention(0).bfloat16()]
    before = maps[0].clone()
    assert rollout(maps, discard=0.5).dtype == torch.float32
    assert torch.equal(maps[0], before)


def test_a_patch_and_the_class_token():
    found = attention(1, heads=2, tokens=8)
    looks = patch_maps(found, 4, (2, 3), prefix=2)
    assert looks.shape == (2, 2, 3)
    assert looks[1, 1, 2] == found[1, 2 + 4, 2 + 1 * 3 + 2]
    assert class_token_map(found, (2, 3), prefix=2)[0, 1, 0] == found[0, 0, 2 + 3]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: rollout([]), "at least one block"),
        (lambda: rollout([torch.zeros(2, 3, 4)]), "attention 0 is 2×3×4"),
        (lambda: rollout([torch.zeros(3, 3)]), "attention 0 is 3×3"),
        (lambda: rollout([attention(0), attention(0, tokens=8)]), "attention 1 is 3×8×8, attention 0 3×7×7"),
        (lambda: rollout([attention(0)], discard=1.0), "discard=1.0"),
        (lambda: rollout([attention(0)], discard=float("nan")), "discard=nan"),
        (lambda: patch_maps(attention(0), 0, (2, 4), prefix=0), "expected heads×8×8"),
        (lambda: patch_maps(attention(0), 6, (2, 3), prefix=1), "no patch 6 in a grid of 2×3"),
        (lambda: patch_maps(attention(0), -1, (2, 3), prefix=1), "no patch -1"),
        (lambda: class_token_map(attention(0), (7, 1), prefix=0), "no class token"),
    ],
)
def test_what_does_not_fit_is_said(call, text):
    with pytest.raises(ValueError, match=text):
        call()
