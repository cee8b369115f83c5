"""What a training step keeps of mechanisms with kernels is counted to the byte, with the kernel and without."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import composer
from composer.kernels import passes
from composer.registry import ModuleEntry
from composer.summary import summarise
from tests.kernels.test_fused import entries


def kept(model: nn.Module, batch: int) -> int:
    """Bytes of the storages that autograd saves in a forward pass, parameters, buffers and inputs left out."""
    x = torch.randn(batch, 3, 24, 24)
    own = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers(), x]}
    saved: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model.train()(x)
    return sum(storage.nbytes() for storage in saved.values())


def built(entry: ModuleEntry, kernels: str) -> composer.Model:
    nodes: dict[str, Any] = {
        "conv": {"op": "conv2d", "out_channels": 16, "kernel_size": 3},
        "mix": {"op": "conv2d", "out_channels": 16, "kernel_size": 3},
        "bn": "batch_norm",
        "act": "relu",
        "pool": "global_avg_pool",
    }
    rule = {"use": entry.name, "replace": "mix"} if entry.replaces else {"use": entry.name, "after": "bn"}
    return composer.build({"input": [3, 24, 24], "nodes": nodes, "attention": [rule], "kernels": kernels})


def counted(model: composer.Model) -> int:
    return summarise(model.graph).root.cost.memory


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_counted_is_what_is_kept(entry: ModuleEntry) -> None:
    counts = {}
    for kernels in ("fused", "reference"):
        model = built(entry, kernels)
        counts[kernels] = counted(model)
        assert kept(model, 5) - kept(model, 2) == 3 * counts[kernels]
    assert counts["fused"] <= counts["reference"]


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_an_example_needs_the_same_in_every_batch(entry: ModuleEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    of_large_batches = counted(built(entry, "fused"))
    monkeypatch.setattr(passes, "LARGE", 10**9)
    assert counted(built(entry, "fused")) == of_large_batches
