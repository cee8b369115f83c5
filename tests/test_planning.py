"""`composer plan`: its arithmetic against formulas, what checkpointed blocks keep against what autograd saves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

import composer
from composer.errors import InputError, SpecError
from composer.planning.network import sizes_of
from composer.summary.memory import activation_memory

BF16 = {"amp": "bfloat16"}
SCALE = Path(__file__).parents[1] / "examples/guides" / "scale.md"


def row(found, strategy, checkpoint=False):
    return next(one for one in found.rows if (one.strategy, one.checkpoint) == (strategy, checkpoint))


def test_memory_and_traffic_follow_from_the_formulas():
    found = composer.plan("vit_large_patch16_224", 64, recipe={**BF16, "batch": 4096})
    p, n = 304_326_632, 64
    ddp, fsdp = row(found, "ddp"), row(found, "fsdp")
    assert (ddp.weights, ddp.gradients, ddp.optimizer, ddp.buffers) == (4 * p, 4 * p, 8 * p, 4 * p)
    assert ddp.traffic == 8 * p * (n - 1) // n
    assert fsdp.weights == -(-4 * p // n)
    assert fsdp.traffic == 12 * p * (n - 1) // n
    # timm's block of ViT-L: 12 d² + 13 d parameters.
    block = 12 * 1024**2 + 13 * 1024
    assert fsdp.buffers == 4 * (p - 24 * block + 3 * block)
    assert ddp.computation == pytest.approx(6 * found.sizes.macs * 64 / (0.3 * 312e12))
    assert ddp.efficiency[0] == pytest.approx(ddp.computation / (ddp.computation + ddp.traffic / 25e9))


@pytest.mark.parametrize(
    ("optimizer", "states"),
    [("sgd", 0), ({"name": "sgd", "momentum": 0.9}, 1), ("adamw", 2), ("lion", 1), ({"name": "adafactor"}, 2 / 64)],
)
def test_states_of_optimizers_are_counted(optimizer, states):
    assert composer.plan("resnet10", 1, recipe={"optimizer": optimizer}).states == pytest.approx(states, abs=0.01)


def test_a_single_gpu_sends_nothing():
    found = composer.plan("resnet10", 1)
    assert [one.strategy for one in found.rows] == ["auto", "auto"]
    assert found.rows[0].traffic == found.rows[0].buffers == 0
    assert found.rows[0].efficiency == (1.0, 1.0)


# The stem of the ResNet keeps its output, which is the first block's input and counted twice: b 64 16 16.
@pytest.mark.parametrize(("name", "twice"), [("resnet10", 4 * 64 * 16 * 16), ("vit_tiny_patch16_224", 0)])
def test_checkpointed_blocks_keep_what_autograd_saves(name, twice):
    """The inputs of blocks and all outside of them, measured; the largest block is run again and not measured here."""
    model = composer.build(name, img_size=64).train()
    by_path = activation_memory(model.graph.root)
    blocks = model.graph.places.select("block").paths
    largest = max(sum(size for path, size in by_path.items() if path.startswith(f"{block}.")) for block in blocks)
    sizes = sizes_of(model.graph)
    own = {one.untyped_storage().data_ptr() for one in (*model.parameters(), *model.buffers())}
    saved: dict[int, int] = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    def kept(images):
        saved.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            found = model(torch.randn(images, 3, 64, 64))
        assert found.requires_grad
        return sum(saved.values())

    plain = kept(4) - kept(2)
    model.set_grad_checkpointing()
    checkpointed = kept(4) - kept(2)
    image = 2 * 3 * 64 * 64 * 4
    assert plain - image == 2 * sizes.kept
    assert checkpointed - image == 2 * (sizes.checkpointed - largest - twice)


def test_bad_questions_are_answered():
    with pytest.raises(InputError, match="a batch of 64 cannot be shared among 7 GPUs"):
        composer.plan("resnet10", 7)
    with pytest.raises(InputError, match="no GPU is called `a100`"):
        composer.plan("resnet10", 8, gpu="a100")
    with pytest.raises(SpecError, match="no optimizer is called"):
        composer.plan("resnet10", 8, recipe={"optimizer": "adamm"})


def test_figures_of_the_page_are_those_of_the_command():
    text = SCALE.read_text(encoding="utf-8")
    vit = composer.plan("vit_large_patch16_224", 64, recipe={**BF16, "batch": 4096})
    momentum = {"name": "sgd", "momentum": 0.9}
    resnest = composer.plan("resnest269e", 64, recipe={**BF16, "batch": 2048, "optimizer": momentum})
    figures = [
        *(f"{vit.sizes.parameters:,}", f"{vit.sizes.kept:,}", f"{row(vit, 'ddp').memory / 1e9:.2f} GB"),
        *(f"{row(vit, 'fsdp').memory / 1e9:.2f} GB", f"{row(vit, 'ddp').computation * 1e3:.0f} ms"),
        *(f"{row(vit, 'ddp').communication * 1e3:.0f} ms", f"{row(vit, 'ddp').efficiency[0]:.0%}".replace("%", " %")),
        *(f"{resnest.sizes.parameters:,}", f"{resnest.sizes.kept:,}", f"{resnest.sizes.checkpointed:,}"),
        *(f"{row(resnest, 'ddp').memory / 1e9:.2f} GB", f"{row(resnest, 'fsdp').memory / 1e9:.2f} GB"),
        *(f"{row(resnest, 'ddp', True).memory / 1e9:.2f} GB", f"{row(resnest, 'ddp').computation * 1e3:.0f} ms"),
    ]
    flat = re.sub(r"\s+", " ", text)
    assert [one for one in figures if one not in flat] == []


def test_command_prints_a_table_and_the_next_command(run):
    found = run("plan", "resnet10", "--gpus", "16", "--batch", "64", "--format", "json")
    assert json.loads(found.out)["images"] == 4
    found = run("plan", "resnet10", "--gpus", "16", "--batch", "64")
    assert "torchrun --nproc-per-node 8 --nnodes 2" in found.out
