"""The weights that a mechanism starts with follow the law that its docstring states, which is that of its source."""

from __future__ import annotations

import math

import pytest
import timm
import torch
from torch import nn

import composer
from composer import registry
from composer.contract import Subject
from composer.layers.router import CondConvRouter
from tests.mechanisms.case import ZERO, C, Short, normal
from tests.mechanisms.cases import ENTRIES, case_of

# Of fewer numbers four standard errors are a quarter of the deviation and more, and a wrong law may pass.
ENOUGH = 128
STARTS = 32


def follows(values, law, what):
    """Mean, deviation, ends and the share of zeros, within four standard errors: by chance one law in 10,000 fails."""
    values, (kind, number) = values.detach().flatten().double(), law
    if kind == "constant":
        assert values.eq(number).all(), what
        return
    deviation = number if kind == "normal" else number / math.sqrt(3)
    # The deviation of a sample's deviation, by the fourth moment of the law: 3 of a normal one, 9/5 of a uniform one.
    spread = math.sqrt(((3 if kind == "normal" else 1.8) - 1) / 4)
    error = deviation / math.sqrt(len(values))
    assert abs(values.mean()) < 4 * error, f"{what}: mean {values.mean():.2e}"
    found = values.square().mean().sqrt()
    assert abs(found - deviation) < 4 * spread * error, f"{what}: deviation {found:.4g}, not {deviation:.4g}"
    assert not values.eq(0).any(), f"{what}: zeros"
    if kind == "uniform":
        assert values.abs().max() <= number, f"{what}: beyond {number:.4g}"
    elif len(values) > 1000:
        # A normal law reaches it by 1000 numbers but once in 250,000 times; one cut off at 2 deviations never does.
        assert values.abs().max() > 2.5 * deviation, f"{what}: cut off"


def parameters(subject, seed):
    """What the mechanism starts with, by name."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = subject.entry.factory(**subject.facts(subject.side, subject.side, subject.conv), **subject.options)
    return dict(module.named_parameters())


def judge(subject, laws):
    """Hold every parameter to its law, those of a short one in several starts together."""
    flat = {}
    for key, law in laws.items():
        flat |= {f"{key}.{part}": one for part, one in law.items()} if isinstance(law, dict) else {key: law}
    first, name = parameters(subject, 0), subject.entry.name
    assert first.keys() == flat.keys(), name
    short = {key: law.law for key, law in flat.items() if isinstance(law, Short)}
    for key, law in flat.items():
        if law is not None and key not in short:
            enough = law[0] == "constant" or first[key].numel() >= ENOUGH
            assert enough, f"{name}.{key}: {first[key].numel()} numbers are too few: other options, or `Short(…)`"
            follows(first[key], law, f"{name}.{key}")
    if short:
        starts = [first, *(parameters(subject, seed) for seed in range(1, STARTS))]
        for key, law in short.items():
            follows(torch.cat([start[key].flatten() for start in starts]), law, f"{name}.{key}")


@pytest.mark.parametrize(
    ("entry", "options", "groups", "laws"),
    [(entry, *start) for entry in ENTRIES for start in case_of(entry.name).starts],
    ids=lambda value: getattr(value, "name", str(value)[:40]),
)
def test_start(entry, options, groups, laws):
    judge(Subject(entry, options, groups, channels=C), laws)


class Few(nn.Module):
    """A number for each channel, and four."""

    def __init__(self, channels, *, deviation: float = 1.0):
        super().__init__()
        self.each = nn.Parameter(torch.randn(channels))
        self.few = nn.Parameter(torch.randn(4) * deviation)

    def forward(self, x):
        return x * self.each[:, None, None] * self.few.sum()


def test_a_short_vector_is_judged_over_several_starts():
    composer.mechanism("test_few", kind="channel")(Few)
    entry = registry.get("test_few")
    judge(Subject(entry, channels=C), {"each": normal(1.0), "few": Short(normal(1.0))})
    with pytest.raises(AssertionError, match=r"few: 4 numbers are too few: other options, or `Short\(…\)`"):
        judge(Subject(entry, channels=C), {"each": normal(1.0), "few": normal(1.0)})
    # In one start of four numbers it would pass.
    wrong = Subject(entry, {"deviation": 0.5}, channels=C)
    follows(parameters(wrong, 0)["few"], normal(1.0), "few")
    with pytest.raises(AssertionError, match="few: deviation"):
        judge(wrong, {"each": normal(1.0), "few": Short(normal(1.0))})


def test_a_router_for_a_block_starts_as_one_of_its_own():
    router = CondConvRouter(C, num_experts=8)
    follows(router.weight, ("uniform", math.sqrt(6 / (C + 8))), "weight")
    follows(router.bias, ZERO, "bias")


def test_momentum_of_the_norm_of_cbam_is_the_authors():
    module = Subject(registry.get("cbam"), {"norm": True}).build()
    assert module.spatial.bn.momentum == 0.01
    x = torch.randn(2, 64, 5, 5)
    assert torch.equal(module.spatial.attention(x), torch.full((2, 1, 5, 5), 0.5))


@pytest.mark.parametrize(
    ("network", "path", "name", "options", "channels"),
    [
        ("resnest14d", "layer3.0.conv2", "splat", {"cardinality": 1}, 256),
        ("skresnet18", "layer3.1.conv1", "sk", {"init": "he"}, 256),
    ],
)
def test_what_networks_with_timms_names_use_starts_as_timms(network, path, name, options, channels):
    peer = timm.create_model(network).get_submodule(path)
    ours = dict(Subject(registry.get(name), options, channels=channels).build().named_parameters())
    compared = 0
    for key, value in peer.named_parameters():
        if key in ours and ours[key].shape == value.shape:
            expected, found = value.detach().square().mean().sqrt().item(), ours[key].detach().square().mean().sqrt()
            assert found == pytest.approx(expected, rel=0.15), key
            compared += 1
    assert compared > 6


def test_skresnext_asks_for_timms_start():
    node = composer.graph("skresnext50_32x4d").networkx().nodes["layer3.1.conv2"]
    assert node["options"]["init"] == "he"
