"""Freezes parameters of a module, and the statistics of its norms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from torch import nn

from composer import given
from composer.compile.module import ComposedModule
from composer.dag.frozen import Frozen
from composer.errors import Diagnostic, InputError
from composer.spec.sources import wrong_network
from composer.torch_private import AnyBatchNorm

# One word, or several: a site, a glob over paths, `inserted`, `backbone`.
Selectors = str | Sequence[str]


def freeze(model: ComposedModule, at: Selectors | None = None, *, all_but: Selectors | None = None) -> list[str]:
    """Keep parameters as they are: they need no gradients any more. Returns their names.

    model    a composed network; it is changed
    at       where: a site, a glob over paths, `inserted` (what rules put in), `backbone` (the rest); or several
    all_but  everywhere else; exactly one of the two

    Batch norms there keep their statistics, also after `model.train()`. Raises InputError for a place that does not
    exist, and for another model.
    """
    if not isinstance(model, ComposedModule):
        raise InputError(wrong_network(model))
    words = at if at is not None else all_but
    if words is None or (at is not None and all_but is not None):
        raise InputError(Diagnostic("keyword", "`freeze` takes `at` or `all_but`", label="exactly one of the two"))
    several = given.several("at" if at is not None else "all_but", words, "a site, a glob over paths, or several")
    return freeze_where(model, Frozen(model.composed.graph, several, but=at is None))


def freeze_where(model: ComposedModule, is_frozen: Callable[[str], bool]) -> list[str]:
    """Freeze the parameters, and keep the statistics of the norms, whose names are chosen. Returns the parameters'."""
    frozen = []
    for name, parameter in model.named_parameters():
        if is_frozen(name):
            parameter.requires_grad_(False)
            frozen.append(name)
    model.frozen_norms |= {path for path, _ in norms(model) if is_frozen(path)}
    model.train(model.training)
    return frozen


def norms(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules that keep running statistics of batches, with their paths."""
    for path, module in model.named_modules():
        if isinstance(module, AnyBatchNorm) and module.track_running_stats:
            yield path, module
