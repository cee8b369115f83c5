"""Parts of any axis and numbers over axes against indexing; entries by offset against loops over pairs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import composer
from composer.errors import GraphError
from composer.layers.offsets import ByOffset


def run(node: dict[str, object], x: Tensor) -> Tensor:
    spec = {"name": "net", "input": {"shape": list(x.shape[1:]), "layout": "b c h w"}, "nodes": {"part": node}}
    network = composer.build(spec)
    result: Tensor = network(x)
    return result


X = torch.arange(2 * 4 * 3 * 5).float().view(2, 4, 3, 5)


def test_slices() -> None:
    assert torch.equal(run({"op": "slice", "dim": 3, "start": 1, "end": 4}, X), X[..., 1:4])
    assert torch.equal(run({"op": "slice", "dim": 1, "step": 2}, X), X[:, ::2])


def test_one_entry() -> None:
    assert torch.equal(run({"op": "select", "dim": 2, "index": 1}, X), X[:, :, 1])


@pytest.mark.parametrize(("how", "wanted"), [("mean", X.mean((1, 3))), ("sum", X.sum((1, 3))), ("max", X.amax((1, 3)))])
def test_numbers_over_axes(how: str, wanted: Tensor) -> None:
    assert torch.equal(run({"op": "reduce", "dims": [1, 3], "how": how}, X), wanted)
    kept = run({"op": "reduce", "dims": [1, 3], "how": how, "keepdim": True}, X)
    assert torch.equal(kept, wanted[:, None, :, None])


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"op": "slice", "dim": 1, "start": 4}, "`slice` from 4 to the end of 4 entries"),
        ({"op": "slice", "dim": 0, "end": 1}, "`slice` along axis 0"),
        ({"op": "select", "dim": 2, "index": 3}, "set index from 0 to 2"),
        ({"op": "reduce", "dims": []}, "set dims to the axes that go"),
    ],
)
def test_what_does_not_fit_is_told(node: dict[str, object], said: str) -> None:
    with pytest.raises(GraphError, match=said):
        run(node, X)


def test_a_layout_says_what_axes_are() -> None:
    node = {"op": "rearrange", "pattern": "b c h w -> b h c w", "layout": "b c h w"}
    spec = {
        "name": "net",
        "input": [4, 3, 5],
        "nodes": {"turned": node, "conv": {"op": "conv2d", "out_channels": 2, "kernel_size": 1}},
    }
    network = composer.build(spec)
    assert network.conv.in_channels == 3
    assert torch.equal(network(X), network.conv(X.permute(0, 2, 1, 3)))


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_entries_by_offset(signed: bool, stride: int) -> None:
    rows, columns = 3, 2
    count = (2 * rows - 1) * (2 * columns - 1) if signed else rows * columns
    table = torch.randn(count, 4)

    found = ByOffset(window=[rows, columns], signed=signed, stride=stride)(table)
    places = [(y, x) for y in range(rows) for x in range(columns)]
    for n, (y, x) in enumerate(one for one in places if one[0] % stride == 0 and one[1] % stride == 0):
        for m, (v, u) in enumerate(places):
            entry = (y - v + rows - 1) * (2 * columns - 1) + x - u + columns - 1
            assert torch.equal(found[n, m], table[entry if signed else abs(y - v) * columns + abs(x - u)])
