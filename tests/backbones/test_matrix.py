"""Every mechanism in every backbone at its default place: it composes and trains, or is refused for a true reason.

By default a few networks are composed with all mechanisms, one of each other family with some, and some of them are
trained; all of it runs with `-m slow`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pytest
import torch
from backbones.refusals import Cell, expected_refusal

import composer
from composer import GraphError, registry
from composer.dag.composition import Composition
from composer.dag.infer import Inference
from composer.dag.limits import Limits
from composer.dag.rules.default_place import default_place
from composer.dag.rules.match import match
from composer.dag.rules.places import Places
from composer.dag.rules.placing import place
from composer.dag.scope import Scope
from composer.spec import zoo

MECHANISMS = [entry for entry in registry.entries("mechanism") if entry.plugin.name == "composer"]
BACKBONES = zoo.backbones()
# A family's own file is a network of it; the others start from that one.
FAMILIES = [name for name in BACKBONES if len(composer.load(name).files) == 1]
# Sides to try for a step of training: small, and what patches, windows and unpadded stems allow.
SIDES = (64, 96, 128, 224)
# Beyond that a step of training is taken on the meta device.
LARGE = 40_000_000

INFERENCE = Inference()


@dataclass(frozen=True)
class Network:
    """A backbone, elaborated once for all mechanisms; and behind the rules that it has itself, with its places."""

    source: dict[str, Any]
    root: Scope
    placed: Scope
    places: Places


@lru_cache(maxsize=2)
def network(name: str, side: int | None = None) -> Network:
    source: dict[str, Any] = {"backbone": name}
    if side is not None:
        channels = composer.load(name).inputs["input"].shape[0]
        source.update({"input": {"shape": [channels, side, side]}, "vars": {"num_classes": 10}})
    spec = composer.load(source)
    root, *placed = Composition.of(spec, inference=INFERENCE).placed
    last = placed[-1] if placed else root
    return Network(source, root, last, Places.of(last))


@lru_cache(maxsize=2)
def small(name: str) -> Network:
    """The backbone for the smallest images that it takes."""
    for side in SIDES:
        try:
            return network(name, side)
        except GraphError:
            continue
    pytest.fail(f"{name} takes no square images of {SIDES}")


def outcome(plain: Network, entry: registry.Entry) -> tuple[str | None, dict[str, Any]]:
    """How a cell is refused, as the table says it must be, or None where it composes; and its spec."""
    rule = dict(default_place(entry, plain.places.sites))
    source = {**plain.source, "attention": [{"use": entry.name, **rule}]}
    spec = composer.load(source)
    try:
        hosts = [host for host, _ in match(*spec.rules[-1], plain.placed, spec.vars)]
    except GraphError:
        hosts = []
    wanted = expected_refusal(Cell(entry, rule, plain.places, hosts))
    root, found = composed(plain, spec)
    if wanted is None:
        assert root is not None, f"{entry.name}: {found}"
        number = len(spec.rules) - 1
        assert sum(node.op == entry.name and node.rule == number for node in root.walk()) == len(hosts)
    else:
        assert [text[: len(wanted)] for text in found] == [wanted], entry.name
    return wanted, source


def composed(plain: Network, spec: Any) -> tuple[Scope | None, list[str]]:
    """The network with its attention, or what is said against it."""
    try:
        return [plain.root, *place(plain.root, spec, Limits(), INFERENCE)][-1], []
    except GraphError as refused:
        return None, [problem.message for problem in refused.diagnostics]


# Networks of each kind, which have all mechanisms in every run.
ALWAYS = ("convnext", "densenet", "efficientnet", "mobilevit", "resnet", "swin", "vit")


@pytest.mark.parametrize("number", range(len(FAMILIES)), ids=FAMILIES)
def test_mechanisms_in_turn_compose_or_are_refused_for_a_true_reason(number):
    """In other families one in four, from the family's own number on, so that four in a row have all."""
    name = FAMILIES[number]
    plain = network(name)
    for entry in MECHANISMS if name in ALWAYS else MECHANISMS[number % 4 :: 4]:
        outcome(plain, entry)


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_every_mechanism_composes_or_is_refused_for_a_true_reason(name):
    plain = network(name)
    refused = [entry.name for entry in MECHANISMS if outcome(plain, entry)[0]]
    assert len(refused) < len(MECHANISMS)


def test_a_condition_leaves_out_the_blocks_of_the_class_token():
    rule = {"use": "cbam", "after": "branch", "where": "grid_height > 0"}
    graph = composer.graph({"backbone": "cait_xxs24_224", "attention": [rule]})
    assert len(graph.added[0].places) == 2 * 24
    assert not any("token_only" in path for path in graph.added[0].places)


def turns(every: int) -> list[Any]:
    """Families with mechanisms in turn: one in so many runs always, so that each mechanism and each family has some."""
    cells = [(family, entry) for family in FAMILIES for entry in MECHANISMS]
    return [
        pytest.param(family, entry, id=f"{family}-{entry.name}", marks=[pytest.mark.slow] if index % every else [])
        for index, (family, entry) in enumerate(cells)
    ]


# A number that shares no factor with the mechanisms meets all of them in turn.
@pytest.mark.parametrize(("name", "entry"), turns(97))
def test_it_trains_a_step(name, entry):
    train_a_step(name, entry)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "name"), [(n, name) for n, name in enumerate(BACKBONES) if name not in FAMILIES])
def test_members_of_families_train_a_step(number, name):
    train_a_step(name, MECHANISMS[number % len(MECHANISMS)])


def train_a_step(name: str, entry: registry.Entry) -> None:
    """A forward and a backward pass, where the cell composes at this size, that reach every parameter."""
    refused, source = outcome(small(name), entry)
    if refused is not None:
        pytest.skip(f"refused: {refused}")
    device = "meta" if composer.graph(source).num_parameters > LARGE else "cpu"
    model = composer.build(source, device=device)
    images = torch.randn(2, *source["input"]["shape"], generator=torch.Generator().manual_seed(0)).to(device)
    output = model(images)
    assert output.shape[1:] == (10,)
    output.square().mean().backward()
    without = [path for path, parameter in model.named_parameters() if parameter.grad is None]
    assert not without
    if device == "cpu":
        assert output.isfinite().all()
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_the_table_of_refusals_is_about_kinds_and_not_about_names():
    """Some cells of each kind must be there, or a rule has lost its cases."""
    reasons = {
        "no place is called `spatial_conv`": ("vit", "sk"),
        "no place is called `stage`": ("vit", "bam"),
        "prefix tokens would not get": ("vit", "bot"),
        "which brings norm and activation along": ("resnest", "condconv"),
        "`splat` does not fit": ("convnext", "splat"),
        "in its place `bot` gives": ("inception_v3", "bot"),
        "have no halves": ("shufflenet_v2", "sasa"),
    }
    for reason, (name, mechanism) in reasons.items():
        entry = registry.get(mechanism)
        assert reason in (outcome(network(name), entry)[0] or "")
