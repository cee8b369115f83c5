"""Activations that are more than a formula of each number."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from layers.conftest import refusal, run
from torch import nn


def test_tanh_is_pytorchs(x):
    y, layout, model = run("tanh", x)
    assert torch.equal(y, x.tanh())
    assert (layout, type(model.get_submodule("tested"))) == ("b c h w", nn.Tanh)


@pytest.mark.parametrize("options", [{}, {"num_parameters": 6, "init": 0.5}])
def test_prelu_is_pytorchs(options, x):
    y, layout, model = run({"op": "prelu", **options}, x)
    tested = model.get_submodule("tested")
    assert torch.equal(y, torch.where(x > 0, x, options.get("init", 0.25) * x))
    assert (layout, type(tested)) == ("b c h w", nn.PReLU)
    nn.init.normal_(tested.weight)
    assert torch.equal(model(x), F.prelu(x, tested.weight))


@pytest.mark.parametrize("dim", [1, -1, 2])
def test_softmax_is_pytorchs(dim, x):
    y, layout, model = run({"op": "softmax", "dim": dim}, x)
    assert torch.equal(y, x.softmax(dim))
    assert (layout, type(model.get_submodule("tested"))) == ("b c h w", nn.Softmax)
    assert torch.equal(run("softmax", x)[0], x.softmax(-1))


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"op": "prelu", "num_parameters": 5}, "set num_parameters to 1, or to the channels of a map"),
        (
            {"op": "prelu", "num_parameters": 6, "from": "last"},
            "works on 6 channels as the second axis, found b×5×7×6",
        ),
        ({"op": "softmax", "dim": 0}, "`softmax` along axis 0 of b×6×5×7; set dim from 1 to 3, or -1"),
        ({"op": "softmax", "dim": 4}, "`softmax` along axis 4"),
        ({"op": "softmax", "dim": -4}, "`softmax` along axis -4"),
    ],
)
def test_refusals(node, said):
    assert said in refusal({"from": "input", **node}, last={"op": "channels_last", "from": "input"})
