"""What timm's training script asks of a network, beside timm's own answers."""

from __future__ import annotations

import copy
import io

import pytest
import timm
import torch
from timm.optim import create_optimizer_v2
from timm.optim._param_groups import param_groups_layer_decay
from timm.utils import ModelEmaV3
from torch import nn

import composer

SMALL = {"num_classes": 5, "depths": [1, 2, 1, 1], "widths": [8, 8, 16, 16]}
NETWORKS = {
    "plain": ({"backbone": "resnet50", "vars": SMALL}, 32),
    "attention": ({"backbone": "resnet50", "vars": SMALL, "attention": [{"use": "cbam", "after": "branch"}]}, 32),
    "vit": (
        {
            "backbone": "vit_tiny_patch16_224",
            "input": [3, 32, 32],
            "vars": {"num_classes": 5, "depth": 2, "dim": 24, "num_heads": 2},
        },
        32,
    ),
    "swin": (
        {
            "backbone": "swin_tiny_patch4_window7_224",
            "input": [3, 56, 56],
            "vars": {"num_classes": 5, "depths": [1, 2, 1, 1], "dim": 12},
        },
        56,
    ),
}


def step(model: nn.Module, x: torch.Tensor) -> tuple[dict[str, torch.Tensor], int]:
    """Gradients of a training step, and the bytes that autograd kept for it."""
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    model.zero_grad()
    torch.manual_seed(3)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda one: one):
        loss = model(x).square().sum()
    loss.backward()
    return {name: one.grad.clone() for name, one in model.named_parameters()}, sum(kept.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_checkpointing_keeps_gradients_and_statistics_and_less_memory(name):
    spec, size = NETWORKS[name]
    model = composer.build(spec).train()
    twin = copy.deepcopy(model)
    x = torch.randn(4, 3, size, size)
    twin.set_grad_checkpointing()
    assert [path for path, _ in twin.named_modules()] == [path for path, _ in model.named_modules()]
    (wanted, much), (found, little) = step(model, x), step(twin, x)
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    assert all(torch.equal(a, b) for a, b in zip(twin.state_dict().values(), model.state_dict().values(), strict=True))
    assert little < 0.8 * much
    file = io.BytesIO()
    torch.save(twin, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    found, as_little = step(again, x)
    wanted, _ = step(model, x)
    assert as_little == little
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    assert twin.graph.edits == ()
    twin.set_grad_checkpointing(False)
    assert [type(one) for one in twin.modules()] == [type(one) for one in model.modules()]


NAMES = ["resnet18", "efficientnet_b0", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "convnext_tiny"]


@pytest.mark.parametrize("name", NAMES)
def test_layer_decay_sees_timms_layers(name):
    def layers(model):
        names = {id(one): key for key, one in model.named_parameters()}
        skipped = getattr(model, "no_weight_decay", set)()
        groups = param_groups_layer_decay(model, 0.05, skipped, layer_decay=0.5)
        found = {}
        for group in groups:
            for one in group["params"]:
                found[names[id(one)]] = group["lr_scale"], group["weight_decay"]
        return found

    with torch.device("meta"):
        peer = timm.create_model(name)
    assert layers(composer.build(name, device="meta")) == layers(peer)


@pytest.mark.parametrize("name", NAMES)
def test_configuration_is_in_timms_words(name):
    ours, theirs = composer.build(name, device="meta"), timm.create_model(name)
    for key in ("input_size", "num_classes", "classifier"):
        assert ours.pretrained_cfg[key] == theirs.pretrained_cfg[key]
    assert ours.default_cfg == ours.pretrained_cfg
    data = timm.data.resolve_data_config(ours.pretrained_cfg)
    assert data["mean"] == ours.pretrained_cfg["mean"]


def test_what_the_trainer_calls():
    model = composer.build(NETWORKS["vit"][0]).train()
    optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-2, weight_decay=0.05, layer_decay=0.7)
    assert {"cls_token", "pos_embed"} <= model.no_weight_decay()
    ema = ModelEmaV3(model, decay=0.5)
    before = ema.module.head.weight.clone()
    model(torch.randn(2, 3, 32, 32)).square().sum().backward()
    optimizer.step()
    ema.update(model)
    assert not torch.equal(ema.module.head.weight, before)
