"""Parameters by place: what a site, a glob, `inserted` or `backbone` holds; those that stay; groups of an optimizer."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from composer import given
from composer.compile.freezing import Selectors, norms
from composer.compile.module import ComposedModule
from composer.dag.frozen import Frozen
from composer.errors import InputError
from composer.spec.recipe import GroupSpec
from composer.spec.sources import wrong_network


def parameters_at(model: ComposedModule, selectors: Selectors) -> list[str]:
    """Names of the parameters at some places, in the network's order.

    model      a composed network
    selectors  a site, a glob over paths, `inserted` (what attention rules put in), `backbone` (the rest); or several
    Raises InputError for a word that selects nothing, and for another model.
    """
    if not isinstance(model, ComposedModule):
        raise InputError(wrong_network(model))
    several = given.several("selectors", selectors, "a site, a glob over paths, or several")
    is_at = Frozen(model.composed.graph, several)
    return [name for name, _ in model.named_parameters() if is_at(name)]


def frozen_by(model: ComposedModule, groups: Iterable[GroupSpec]) -> frozenset[str]:
    """Names of the parameters that stay: those that the spec freezes, and then what the last group that has one says.

    Raises InputError for a place that does not exist.
    """
    found = {name for name, one in model.named_parameters() if not one.requires_grad}
    for group in groups:
        names = parameters_at(model, group.at)
        found = found.union(names) if group.freeze else found.difference(names)
    return frozenset(found)


def kept_norms(model: ComposedModule, frozen: Collection[str]) -> frozenset[str]:
    """Paths of the batch norms that keep their statistics when these parameters are frozen.

    A norm without parameters of its own stays as the spec has it.
    """
    found = set()
    for path, module in norms(model):
        own = [f"{path}.{name}" for name, _ in module.named_parameters(recurse=False)]
        if all(name in frozen for name in own) if own else path in model.frozen_norms:
            found.add(path)
    return frozenset(found)


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
