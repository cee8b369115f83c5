"""Parameters by place: what a site, a glob, `inserted` or `backbone` holds; frozen, or in groups of an optimizer."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from composer.compile.module import ComposedModule
from composer.dag.rules.match import unknown_place
from composer.errors import Diagnostic, InputError
from composer.spec.recipe import GroupSpec
from composer.torch_private import AnyBatchNorm

Selectors = str | Sequence[str]

# What rules inserted, and the rest.
INSERTED, BACKBONE = "inserted", "backbone"


def parameters_at(model: ComposedModule, selectors: Selectors) -> list[str]:
    """Names of the parameters at some places, in the network's order.

    model      a composed network
    selectors  a site, a glob over paths, `inserted` (what attention rules put in), `backbone` (the rest); or several
    Raises InputError for a word that selects nothing.
    """
    several = [selectors] if isinstance(selectors, str) else list(selectors)
    found = [_below(model, word) for word in several]
    return [name for name, _ in model.named_parameters() if any(is_at(name) for is_at in found)]


class _below:
    """Whether a name of a parameter or a module is at or below the places that a word selects."""

    def __init__(self, model: ComposedModule, word: str) -> None:
        graph = model.composed.graph
        self.inverted = word == BACKBONE
        if word in (INSERTED, BACKBONE) and word not in graph.places.sites:
            paths = list(graph.inserted)
        else:
            paths = list(graph.places.select(word).paths)
            if not paths:
                text, help = unknown_place(word, graph.places)
                raise InputError(
                    Diagnostic("no-match", text, label="a site, a glob over paths, `inserted`, `backbone`", help=help)
                )
        self.pattern = re.compile(rf"(?:{'|'.join(map(re.escape, paths))})(?:\.|$)" if paths else r"(?!)")

    def __call__(self, name: str) -> bool:
        return (self.pattern.match(name) is None) == self.inverted


def freeze(model: ComposedModule, at: Selectors | None = None, *, all_but: Selectors | None = None) -> list[str]:
    """Keep parameters as they are: they need no gradients any more. Returns their names.

    model    a composed network; it is changed
    at       where: a site, a glob over paths, `inserted`, `backbone`; or several
    all_but  everywhere else; exactly one of the two

    Batch norms there are put in eval mode, so that they keep their statistics. `model.train()` puts them back: call
    `freeze` after it. Raises InputError for a place that does not exist.
    """
    if (at is None) == (all_but is None):
        raise InputError(Diagnostic("keyword", "`freeze` takes `at` or `all_but`", label="exactly one of the two"))
    words = at if at is not None else all_but
    assert words is not None
    several = [_below(model, word) for word in ([words] if isinstance(words, str) else words)]
    frozen = []
    for name, parameter in model.named_parameters():
        if any(is_at(name) for is_at in several) == (at is not None):
            parameter.requires_grad_(False)
            frozen.append(name)
    for path, module in norms(model):
        if any(is_at(path) for is_at in several) == (at is not None):
            module.eval()
    return frozen


def frozen_by(model: ComposedModule, groups: Iterable[GroupSpec]) -> frozenset[str]:
    """Names of the parameters that a recipe freezes: the last group that has a parameter says it.

    Raises InputError for a place that does not exist.
    """
    found: set[str] = set()
    for group in groups:
        names = parameters_at(model, group.at)
        found = found.union(names) if group.freeze else found.difference(names)
    return frozenset(found)


def norms(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules that keep running statistics of batches, with their paths."""
    for path, module in model.named_modules():
        if isinstance(module, AnyBatchNorm) and module.track_running_stats:
            yield path, module


def groups(
    model: ComposedModule,
    at: Mapping[str, Mapping[str, Any]] | Iterable[tuple[Selectors, Mapping[str, Any]]] = (),
    *,
    lr: float,
    weight_decay: float = 0.0,
    layer_decay: float | None = None,
) -> list[dict[str, Any]]:
    """Groups of parameters for an optimizer, each with its learning rate and weight decay.

    model         a composed network
    at            place -> what is different there: `lr` as a multiple, `weight_decay`, or keys of the optimizer; a
                  later place overrides an earlier one
    lr            the learning rate elsewhere
    weight_decay  the weight decay elsewhere; biases, parameters of norms, learnt tokens and positions have none
    layer_decay   each block's learning rate is this times that of the next, as timm has it

    Parameters that need no gradients are left out. Raises InputError for a place that does not exist.

    >>> import torch, composer
    >>> model = composer.build("resnet18", num_classes=10)
    >>> optimizer = torch.optim.SGD(composer.groups(model, {"head": {"lr": 10}}, lr=0.1, weight_decay=1e-4))
    >>> sorted({group["lr"] for group in optimizer.param_groups})
    [0.1, 1.0]
    """
    changes = [(set(parameters_at(model, words)), dict(change)) for words, change in _pairs(at)]
    exempt = model.no_weight_decay()
    scales = _scales(model, layer_decay) if layer_decay is not None else {}
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        options: dict[str, Any] = {"lr": lr * scales.get(name, 1.0)}
        decay = weight_decay
        for names, change in changes:
            if name in names:
                options |= {key: value for key, value in change.items() if key not in ("lr", "weight_decay")}
                options["lr"] = lr * scales.get(name, 1.0) * change.get("lr", 1.0)
                decay = weight_decay if change.get("weight_decay") is None else change["weight_decay"]
        options["weight_decay"] = 0.0 if parameter.ndim <= 1 or name in exempt else decay
        group = found.setdefault(tuple(sorted(options.items())), {"params": [], **options})
        group["params"].append(parameter)
    return list(found.values())


def _pairs(at: Any) -> list[tuple[Selectors, Mapping[str, Any]]]:
    return list(at.items()) if isinstance(at, Mapping) else list(at)


def _scales(model: ComposedModule, decay: float) -> dict[str, float]:
    """Name of a parameter -> its share of the learning rate, by the number of blocks behind it."""
    matcher = model.group_matcher()
    stem, blocks = (
        re.compile(matcher["stem"]),
        [(re.compile(pattern), index) for pattern, (index,) in matcher["blocks"]],
    )
    # What follows the last block, such as its norm, belongs to it; what follows the features, to none.
    last = max((index for _, index in blocks), default=-1) + 2

    def layer(name: str) -> int:
        if stem.match(name):
            return 0
        return next((index + 1 for pattern, index in blocks if pattern.match(name)), last)

    return {name: decay ** (last - layer(name)) for name, _ in model.named_parameters()}


def frozen_norms(model: nn.Module, names: Collection[str]) -> Iterator[nn.Module]:
    """The norms whose parameters are all frozen."""
    for path, module in norms(model):
        own = [f"{path}.{name}" for name, _ in module.named_parameters(recurse=False)]
        if own and all(name in names for name in own):
            yield module
