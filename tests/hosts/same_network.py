"""A network of the zoo beside timm's of the same name, with the same rule: the same keys, and the same outputs.

python -m tests.hosts.same_network [--names GLOB …] [--rules all|N]
prints a table of every network that both have; with N, so many rules for each network, in turn.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import timm
import torch
from torch import Tensor, nn

import composer
from composer import ComposerError
from composer.weights.keys import read_key_map

from .agreement import shared_names

RULES: dict[str, dict[str, Any]] = {
    "se after block": {"use": "se", "after": "block"},
    "cbam after branch": {"use": "cbam", "after": "branch"},
    "condconv for spatial_conv": {"use": "condconv", "replace": "spatial_conv", "where": "op == 'conv2d'"},
    "eca before block": {"use": "eca", "before": "block"},
    "bam_spatial after stage": {"use": "bam_spatial", "after": "stage"},
    "eca after mixer": {"use": "eca", "after": "mixer"},
    "se after mlp": {"use": "se", "after": "mlp"},
    "mhsa after block": {"use": "mhsa", "after": "block", "where": "channels % 4 == 0", "with": {"num_heads": 4}},
    "cbam after spatial_conv": {"use": "cbam", "after": "spatial_conv"},
    "se after stem": {"use": "se", "after": "stem"},
    # Blocks whose shortcut has weights: elsewhere the zoo has a place, and timm nothing to put it behind.
    "eca after shortcut": {"use": "eca", "after": "shortcut", "where": "block == 1 and stage >= 2"},
}
# Sides to try: small, and what patches, windows and unpadded stems allow.
SIDES = (64, 96, 128, 192, 224, 256)
# At 64 pixels a window of MobileViT's last stage holds a single token, which says no grid.
LEAST = {"mobilevit": 128}
# timm sums in another order here, and its networks without a rule differ in the last bits as well: float64 tells what
# is the same from what is nearly so.
INEXACT = (
    *("coatnet", "eva02_small", "halonet", "hiera", "maxvit", "mobilevit", "pvt", "resnest", "skresnext", "swin"),
    "twins",
)
# Key maps of those whose names timm writes otherwise.
KEYS = {"twins": "timm_twins", "halonet": "timm_halonet", "lambda_resnet": "timm_lambda_resnet"}
# timm has a function, or one drop path for two branches, where the zoo has a node: names behind branches differ.
OTHER_NAMES = ("cait", "maxvit", "mixer", "twins_svt", "xcit")
# timm has no module for a stage: its last block holds what the zoo's stage holds.
OTHER_STAGES = ("twins",)


@dataclass(frozen=True)
class Outcome:
    """What became of a pair of networks.

    places      so many insertions in both; 0 where both refuse the rule
    refusal     why both refuse it
    differs     what is not the same, in words; empty if nothing
    difference  of the outputs, as a part of the largest
    """

    places: int = 0
    refusal: str = ""
    differs: str = ""
    difference: float = 0.0


def same(name: str, rule: Mapping[str, Any]) -> Outcome:
    """Compose both networks with a rule, give them the same weights, and compare keys, shapes and outputs."""
    side = smallest(name)
    backbones: tuple[Any, Any] = name, {"timm": name}
    pair, refusals = [], []
    for backbone in backbones:
        try:
            pair.append(_built(backbone, side, [dict(rule)]))
        except ComposerError as error:
            refusals.append(str(error).splitlines()[0])
    if refusals:
        words = [_reason(text) for text in refusals]
        if pair:
            return Outcome(differs=f"one alone refuses: {words[0]}")
        return Outcome(refusal=words[0])
    ours, theirs = pair
    return _compared(name, rule, ours, theirs, side)


@cache
def smallest(name: str) -> int:
    """The smallest of some sides of images that the network takes. Raises ValueError if it takes none."""
    least = max((side for start, side in LEAST.items() if name.startswith(start)), default=0)
    for side in (one for one in SIDES if one >= least):
        try:
            composer.graph(_spec(name, side, []))
            composer.graph(_spec({"timm": name}, side, []))
        except ComposerError:
            continue
        return side
    raise ValueError(f"{name} takes no square images of {SIDES}")


def _spec(backbone: Any, side: int, rules: list[Any]) -> dict[str, Any]:
    return {"backbone": backbone, "input": [3, side, side], "vars": {"num_classes": 10}, "attention": rules}


def _built(backbone: Any, side: int, rules: list[Any]) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return composer.build(_spec(backbone, side, rules)).eval()


def _reason(text: str) -> str:
    """A message without the place that it is about."""
    return re.sub(r"^\S*:\d+(:\d+)?: ", "", text).replace("|", "\\|")


def _compared(name: str, rule: Mapping[str, Any], ours: nn.Module, theirs: nn.Module, side: int) -> Outcome:
    names = _names(name, rule, ours, theirs)
    found, wanted = ours.state_dict(), {names(key): one for key, one in theirs.state_dict().items()}
    if lost := sorted(found.keys() ^ wanted.keys()):
        whose = "of the zoo" if lost[0] in found else "of timm's"
        return Outcome(differs=f"{len(lost)} keys, such as {lost[0]} {whose}")
    if unlike := [key for key, one in found.items() if one.shape != wanted[key].shape]:
        return Outcome(differs=f"{len(unlike)} shapes, such as {unlike[0]}")
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))
    ours.load_state_dict(_weights(found))
    _settle(ours, images)
    weights = ours.state_dict()
    theirs.load_state_dict({key: weights[names(key)] for key in theirs.state_dict()})
    exact = not name.startswith(INEXACT)
    if not exact:
        ours, theirs, images = ours.double(), theirs.double(), images.double()
    with torch.no_grad():
        mine, its = ours(images), theirs(images)
    if not mine.isfinite().all():
        return Outcome(differs="the output is not finite")
    # What is told in float64 is told to nine digits.
    if (its[0] - its[1]).abs().max() < (1e-3 if exact else 1e-6) * its.abs().max():
        return Outcome(differs="the images drown in the biases, and nothing is compared")
    difference = ((mine - its).abs().max() / its.abs().max()).item()
    differs = f"outputs, by {difference:.0e} of the largest" if difference > (0 if exact else 1e-9) else ""
    places = sum(len(one.places) for one in ours.graph.added)  # type: ignore[union-attr]
    return Outcome(places, "", differs, difference)


def _names(name: str, rule: Mapping[str, Any], ours: nn.Module, theirs: nn.Module) -> Any:
    """timm's keys to the zoo's."""
    keys = next((keys for start, keys in KEYS.items() if name.startswith(start)), None)
    rename = read_key_map(keys).rename if keys else lambda key: key
    other = OTHER_NAMES if rule.get("after") == "branch" else OTHER_STAGES if rule.get("after") == "stage" else ()
    if not name.startswith(other):
        return rename
    # The same modules in the same blocks, in the order in which they run.
    own = [_paths_of(model) for model in (ours, theirs)]
    pairs = dict(zip(own[1], own[0], strict=True)) if len(own[0]) == len(own[1]) else {}

    def renamed(key: str) -> str:
        path = next((path for path in pairs if key.startswith(f"{path}.")), None)
        return rename(key) if path is None else pairs[path] + key.removeprefix(path)

    return renamed


def _paths_of(model: Any) -> list[str]:
    return [path for added in model.graph.added for path in added.places]


def _weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Numbers that are nobody's default, at which a signal keeps its size; those that are not drawn stay."""
    generator = torch.Generator().manual_seed(1)
    # Offsets are small: in a deep network the images would drown in them, and without norms in the smallest.
    offsets = 0.02 if any("norm" in key or "bn" in key or "running" in key for key in state) else 0
    found = {}
    for key, tensor in state.items():
        if not tensor.is_floating_point():
            found[key] = tensor
        elif tensor.ndim > 1:
            found[key] = torch.randn(tensor.shape, generator=generator) * (2 / _num_taken(key, state)) ** 0.5
        else:
            centred = torch.rand(tensor.shape, generator=generator) - 0.5
            scales = key.endswith(("weight", "running_var", "gamma"))
            found[key] = centred + 1 if scales else centred * offsets
    return found


def _num_taken(key: str, state: Mapping[str, Tensor]) -> float:
    """How many numbers each result of a layer is made of; of a mixture of kernels, those of one kernel."""
    tensor, prefix = state[key], key.rpartition(".")[0]
    biases = state.get(f"{prefix}.bias")
    if f"{prefix}.router.weight" in state and biases is not None and key != f"{prefix}.bias":
        return tensor[0].numel() / biases.shape[1]
    return tensor[0].numel()


def _settle(model: nn.Module, images: Tensor) -> None:
    """Give norms the statistics of the images, without which these drown in biases in a deep network."""
    norms = [one for one in model.modules() if isinstance(one, nn.BatchNorm2d)]
    for one in norms:
        one.momentum = 1.0
    with torch.no_grad(), torch.random.fork_rng():
        model.train()(images)
    model.eval()


def chosen(number: int, count: int | None) -> list[str]:
    """The rules of the network of this number: all, or so many in turn."""
    rules = list(RULES)
    if count is None:
        return rules
    return [rules[(number * count + turn) % len(rules)] for turn in range(count)]


def rows(names: list[str], count: int | None) -> Iterator[tuple[str, str, Outcome]]:
    """Network, rule and what became of them, one after another."""
    for number, name in enumerate(names):
        for title in chosen(number, count):
            yield name, title, same(name, RULES[title])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.hosts.same_network")
    parser.add_argument("--names", nargs="*", default=["*"], help="globs over the networks' names")
    parser.add_argument("--rules", default="all", help="how many for each network, in turn")
    options = parser.parse_args()
    names = [name for name in shared_names() if any(fnmatch.fnmatch(name, one) for one in options.names)]
    print(f"timm {timm.__version__}\n\n| network | rule | places | difference | |\n|---|---|---|---|---|")
    for name, title, one in rows(names, None if options.rules == "all" else int(options.rules)):
        words = f"DIFFERS: {one.differs}" if one.differs else one.refusal and f"both refuse: {one.refusal}"
        print(f"| {name} | {title} | {one.places} | {one.difference:.0e} | {words} |", flush=True)


if __name__ == "__main__":
    main()
