"""What a recorded model costs: multiply-accumulates as PyTorch counts them, and memory as autograd really keeps it."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import composer
from composer.summary.memory import activation_memory
from tests.hosts.reach_models import Subject, subjects

# Batch sizes in arguments, several results of one call, indices, functions in place, random depth.
NAMES = (
    "levit_128s",
    "mvitv2_tiny",
    "xcit_nano_12_p16_224",
    "efficientformerv2_s0",
    "test_vit",
    "swin_tiny_patch4_window7_224",
)
SLOW = ("levit_128s", "mvitv2_tiny")
VALUED = {"fasterrcnn", "maskrcnn", "keypointrcnn", "retinanet", "fcos", "ssd300", "ssdlite320", "detr"}


def kept_by(model: nn.Module, images: Tensor) -> int:
    """Bytes that autograd keeps of a step, without parameters, buffers and the images."""
    saved: dict[int, torch.UntypedStorage] = {}

    def note(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(images)
    own = {one.untyped_storage().data_ptr() for one in (*model.parameters(), *model.buffers(), images)}
    return sum(one.nbytes() for key, one in saved.items() if key not in own)


@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.slow if one in SLOW else ()) for one in NAMES])
def test_counts_are_what_pytorch_counts(name: str) -> None:
    graph = composer.graph({"backbone": {"timm": name}})
    (shape,) = (tensor.shape for tensor in graph.root.inputs.values())
    # On the CPU, the counter has no formula for fused attention.
    with torch.device("meta"):
        plain = timm.create_model(name).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        plain(torch.zeros(2, *shape[1:], device="meta"))
    # Per example, and a multiply-add is two operations.
    assert graph.num_macs == counter.get_total_flops() // 4
    model = timm.create_model(name)
    two, four = (kept_by(model.train(), torch.zeros(batch, *shape[1:])) for batch in (2, 4))
    assert sum(activation_memory(graph.root).values()) == (four - two) // 2


@pytest.mark.slow
@pytest.mark.parametrize("subject", subjects(), ids=lambda one: f"{one.library} {one.name}")
def test_every_count_is_known(subject: Subject, capfd: Any) -> None:
    args = {**subject.backbone.get("args", {}), **subject.args}
    spec = {"backbone": {**subject.backbone, "args": args}}
    if subject.name.partition("_")[0] in VALUED:
        with pytest.raises(composer.ComposerError, match="its forward reads values"):
            composer.graph(spec)
        return
    graph = composer.graph(spec)
    assert graph.num_macs
    assert activation_memory(graph.root)
    assert "Traceback" not in capfd.readouterr().err
