"""Optimizers by name: torch's, and timm's; the arguments that a recipe gives them are checked first."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from composer.errors import SpecError, did_you_mean, one_of
from composer.spec.training import Training

# What the recipe has keys of its own for, or what only makes sense for code.
_TAKEN = ("self", "params", "lr", "weight_decay", "foreach", "fused", "capturable", "differentiable", "closure")


def _of_torch() -> dict[str, type[torch.optim.Optimizer]]:
    found = {
        name.lower(): one
        for name, one in vars(torch.optim).items()
        if isinstance(one, type) and issubclass(one, torch.optim.Optimizer) and one is not torch.optim.Optimizer
    }
    # It needs a closure that computes the loss several times.
    found.pop("lbfgs", None)
    # For sparse gradients, which no network here has.
    found.pop("sparseadam", None)
    return found


def _of_timm() -> dict[str, Callable[..., torch.optim.Optimizer]]:
    try:
        optim: Any = importlib.import_module("timm.optim")
    except ImportError:
        return {}
    # Those that begin with `bnb` or `fused` need packages of their own.
    names = [name for name in optim.list_optimizers() if not name.startswith(("bnb", "fused"))]
    return {name: optim.get_optimizer_class(name, bind_defaults=True) for name in names}


def optimizer_maker(training: Training) -> Callable[[list[dict[str, Any]]], torch.optim.Optimizer]:
    """What makes a recipe's optimizer from groups of parameters.

    training  the recipe, and where it is written

    torch's own come first, where both libraries have a name. Raises SpecError for a name that neither has, an argument
    that it does not take, or a value that it refuses.
    """
    spec = training.recipe.optimizer
    own = _of_torch()
    known: Mapping[str, Callable[..., torch.optim.Optimizer]] = own if spec.name in own else {**_of_timm(), **own}
    made = known.get(spec.name)
    if made is None:
        hint = did_you_mean(spec.name, known, "" if len(known) > len(own) else "timm has more: the extra `timm`")
        origin = training.origin("optimizer", "name").written
        raise SpecError(origin.problem("optimizer", f"no optimizer is called `{spec.name}`", "", hint))
    takes = {name for name in _arguments(made) if name not in _TAKEN}
    problems = []
    for name in spec.options:
        if name not in takes:
            hint = did_you_mean(name, takes, f"`{spec.name}` takes {one_of(sorted(takes))}")
            origin = training.origin("optimizer", name)
            problems.append(origin.problem("optimizer", f"`{spec.name}` takes no `{name}`", "", hint, key=True))
    SpecError.check(problems)
    options = {name: tuple(one) if isinstance(one, list) else one for name, one in spec.options.items()}

    def make(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        found: torch.optim.Optimizer = made(groups, lr=spec.lr, weight_decay=spec.weight_decay, **options)
        for group in found.param_groups:
            group["initial_lr"] = group["lr"]
        return found

    try:
        # An optimizer refuses values of its arguments only when it is made.
        make([{"params": [torch.nn.Parameter(torch.zeros(1))]}])
    except Exception as error:
        text = f"`{spec.name}` refuses its arguments: {error}"
        raise SpecError(training.origin("optimizer").written.problem("optimizer", text)) from error
    return make


def _arguments(made: Callable[..., Any]) -> list[str]:
    target = getattr(made, "func", made)
    return [
        name
        for name, one in inspect.signature(target).parameters.items()
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
