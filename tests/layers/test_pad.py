"""Padding to a multiple, the way back, and rolling."""

from __future__ import annotations

import pytest
import torch
import torch.fx
import torch.nn.functional as F
from layers.conftest import refusal, run

import composer


@pytest.mark.parametrize(("multiple", "size"), [(4, (8, 8)), ([5, 7], (5, 7)), ([3, 2], (6, 8)), (1, (5, 7))])
def test_a_map_is_padded_to_a_multiple_and_cropped_again(multiple, size, x):
    y, layout, _ = run({"op": "pad_to_multiple", "multiple": multiple}, x)
    assert torch.equal(y, F.pad(x, (0, size[1] - 7, 0, size[0] - 5)))
    assert layout == "b c h w"
    spec = {
        "input": [6, 5, 7],
        "nodes": {
            "padded": {"op": "pad_to_multiple", "multiple": multiple},
            "back": {"op": "crop", "from": ["padded", "input"]},
        },
    }
    model = composer.build(spec)
    assert torch.equal(model(x), x)
    # Not bound to the size that it was built for, traced or not.
    other = torch.randn(1, 6, 9, 2)
    assert torch.equal(model(other), other)
    assert torch.equal(torch.fx.symbolic_trace(model)(other), other)
    assert torch.equal(torch.export.export(model, (other,)).module()(other), other)


def test_the_middle_of_a_map(x):
    like = torch.zeros(2, 1, 2, 4, dtype=torch.float64)
    y, layout, model = run({"op": "crop", "align": "center"}, x, like)
    assert torch.equal(y, x[:, :, 1:3, 1:5])
    assert layout == "b c h w"
    assert "crop(x, input_1, align='center')" in model.code
    assert torch.equal(run({"op": "crop"}, x, like)[0], x[:, :, :2, :4])


def test_rolling_is_pytorchs(x):
    y, layout, model = run({"op": "roll", "shifts": [-2, 1], "dims": [2, 3]}, x)
    assert torch.equal(y, torch.roll(x, (-2, 1), (2, 3)))
    assert layout == "b c h w"
    assert "torch.roll(x, (-2, 1), (2, 3))" in model.code
    y, layout, _ = run({"op": "roll", "shifts": 4, "dims": 1}, x.flatten(2), layout="b n c")
    assert torch.equal(y, x.flatten(2).roll(4, 1))
    assert layout == "b n c"


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"op": "pad_to_multiple", "multiple": 0}, "`multiple` of `pad_to_multiple`"),
        ({"op": "pad_to_multiple", "multiple": 2, "from": "flat"}, "works on `b c h w`, found `b c`"),
        ({"op": "crop", "from": ["small", "input"]}, "cannot cut 5×7 out of 1×1; write the larger map first"),
        ({"op": "crop", "from": ["input", "flat"]}, "`crop` works on `b c h w`, found `b c`"),
        ({"op": "crop"}, "`crop` takes 2 inputs, found 1"),
        ({"op": "roll", "shifts": 1, "dims": [2, 3]}, "a shift for each of its dims, found 1 and 2"),
        ({"op": "roll", "shifts": 1, "dims": 4}, "along axis 4 of b×6×5×7; set dim from 1 to 3"),
        ({"op": "roll", "shifts": 1, "dims": 0}, "along axis 0 of b×6×5×7"),
    ],
)
def test_refusals(node, said):
    small = {"op": "global_avg_pool", "keepdim": True, "from": "input"}
    assert said in refusal({"from": "input", **node}, flat={"op": "global_avg_pool", "from": "input"}, small=small)
