"""What others derive from the classes of a network stays: beside checkpointing, in views, in what edits say."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import composer
from composer.compile.checkpointing import Checkpointed

VIT = {
    "backbone": "vit_tiny_patch16_224",
    "input": [3, 32, 32],
    "vars": {"num_classes": 5, "depth": 2, "dim": 24, "num_heads": 2},
}


class Marked:
    """What fully_shard puts in front of a class, in short."""


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


@pytest.fixture
def model() -> composer.ComposedModule:
    return composer.build(VIT).eval()


def mark(module: nn.Module) -> None:
    module.__class__ = type(f"Marked{type(module).__name__}", (Marked, type(module)), {})


def test_checkpointing_leaves_what_was_derived(model):
    block = model.blocks[0]
    plain = type(block)
    model.set_grad_checkpointing()
    mark(block)
    model.set_grad_checkpointing()
    model.set_grad_checkpointing(False)
    assert [one.__name__ for one in type(block).__mro__[:3]] == [f"Marked{plain.__name__}", "Marked", plain.__name__]
    assert type(block).__mro__[2] is plain
    assert type(model.blocks[1]) is plain


@torch.no_grad()
def test_a_view_reads_parameters_as_the_live_network_does(model):
    x = torch.randn(2, 3, 32, 32)
    before = composer.features(model, {"deep": "blocks.1"})
    parametrize.register_parametrization(model, "pos_embed", Twice())
    after = composer.features(model, {"deep": "blocks.1"})
    seen = []
    hook = model.blocks[1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    model(x)
    hook.remove()
    for view in (before, after):
        torch.testing.assert_close(view(x)["deep"], seen[0], rtol=0, atol=0)
    parametrize.remove_parametrizations(model, "pos_embed")
    for view in (before, after):
        torch.testing.assert_close(view(x)["deep"], seen[0], rtol=0, atol=0)
        assert "parametrizations" not in view._modules


def test_a_view_is_of_the_derived_class_and_of_no_other(model):
    mark(model)
    mark(model.blocks[0])
    view = composer.features(model, ["blocks.0.attn"])
    assert isinstance(view, Marked)
    assert isinstance(view.blocks[0], Marked)
    assert view.blocks[0] is not model.blocks[0]
    model.set_grad_checkpointing()
    view(torch.randn(2, 3, 32, 32))
    assert isinstance(view.blocks[0], Checkpointed)


def test_edits_are_told_inside_a_derived_class(model):
    mark(model.blocks[0])
    assert model.graph.edits == ()
    model.blocks[0].norm1 = nn.Identity()
    (found,) = model.graph.edits
    assert found.startswith("blocks.0.norm1 is Identity()")
    # A forward of its own computes something else.
    model.blocks[1].__class__ = type("Other", (type(model.blocks[1]),), {"forward": lambda self, x: x})
    assert model.graph.edits[1] == "blocks.1 is Other: it was a `transformer`"
