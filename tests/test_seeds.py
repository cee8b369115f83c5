"""Weights depend on seed and path alone."""

from __future__ import annotations

import copy
import pickle
import threading
from functools import partial

import pytest
import torch

import composer
from composer import registry
from composer.contract import Subject
from composer.seeds import Draws, seeded

BACKBONE = {"backbone": "resnet18", "vars": {"num_classes": 7}}
WITH_SE = {**BACKBONE, "attention": [{"use": "se", "after": "branch"}]}


def test_adding_attention_leaves_every_other_weight_bit_equal() -> None:
    plain, gated = composer.build(BACKBONE).state_dict(), composer.build(WITH_SE).state_dict()
    assert set(plain) < set(gated)
    assert all(torch.equal(plain[name], gated[name]) for name in plain)
    assert all(".se." in name for name in set(gated) - set(plain))


def test_same_on_another_thread_while_this_one_draws() -> None:
    here = composer.build(WITH_SE).state_dict()
    found: dict[str, torch.Tensor] = {}
    thread = threading.Thread(target=lambda: found.update(composer.build(WITH_SE).state_dict()))
    thread.start()
    while thread.is_alive():
        torch.rand(1000)
    assert all(torch.equal(here[name], found[name]) for name in here)


def test_building_does_not_touch_the_global_generator() -> None:
    before = torch.get_rng_state()
    composer.build(BACKBONE)
    assert torch.equal(before, torch.get_rng_state())


def test_another_seed_gives_other_weights() -> None:
    first, second = composer.build(BACKBONE, seed=1), composer.build(BACKBONE, seed=2)
    assert not torch.equal(first.state_dict()["fc.weight"], second.state_dict()["fc.weight"])


def test_pickle_and_deepcopy_keep_weights_modes_and_frozen_parameters() -> None:
    model = composer.build(WITH_SE).eval()
    model.get_parameter("fc.weight").requires_grad_(False)
    x = torch.randn(2, 3, 64, 64)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(x), model(x))
        assert not twin.get_parameter("fc.weight").requires_grad
        assert not twin.training
        assert twin.graph.num_parameters == model.graph.num_parameters


def test_a_step_of_training_moves_every_weight() -> None:
    model = composer.build(WITH_SE)
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("inside", [False, True])
def test_on_the_meta_device_nothing_is_drawn(inside: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composer.seeds, "seed_of", lambda *_: pytest.fail("numbers are drawn"))
    if inside:
        with torch.device("meta"):
            model = composer.build(WITH_SE)
    else:
        model = composer.build(WITH_SE, device="meta")
    tensors = [*model.parameters(), *model.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert sum(parameter.numel() for parameter in model.parameters()) == model.graph.num_parameters
    assert model(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, 7)


def test_the_numbers_are_the_same_however_drawing_is_watched() -> None:
    before = torch.get_rng_state()
    drawn = []
    for entry in registry.mechanisms():
        subject = Subject(entry)
        arguments = subject.facts(subject.side, subject.side, subject.conv)
        named, watched = (
            seeded(3, entry.name, partial(entry.make, arguments), one) for one in (Draws.NAMED, Draws.ANY)
        )
        drawn += [entry.name] if any(parameter.numel() > 1 for parameter in named.parameters()) else []
        for name, tensor in watched.state_dict().items():
            assert torch.equal(named.state_dict()[name], tensor), f"{entry.name}: {name}"
    assert len(drawn) > 40
    assert torch.equal(before, torch.get_rng_state())
