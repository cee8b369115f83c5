"""The graph of a live module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from composer.dag.infer import Inference
from composer.dag.limits import Limits
from composer.dag.rules.placing import place
from composer.dag.scope import Scope
from composer.errors import InputError
from composer.hosts.insert import Example, called, checked_sites, given_sites
from composer.hosts.journal import journal_of
from composer.hosts.plain import recorded_plain
from composer.hosts.refusal import not_a_module
from composer.hosts.rules import spec_of_journal, spec_of_rules
from composer.spec.spec import Spec


def viewed(model: nn.Module, example: Example, sites: Mapping[str, Any] | None) -> tuple[Spec, tuple[Scope, ...]]:
    """The rules of a module's insertions as a Spec of its name; its graph without rules, with the first, with all.

    Arguments as for `composer.view`.
    """
    InputError.check(not_a_module(model))
    journal = journal_of(model)
    args, kwargs = called(example)
    known = checked_sites({**(journal.sites if journal else {}), **given_sites(sites)})
    _, scope, _ = recorded_plain(model, args, kwargs, known)
    spec = spec_of_rules([]) if journal is None else spec_of_journal(journal)
    spec = replace(spec, name=type(model).__name__, nodes={}, outputs=None)
    return spec, (scope, *place(scope, spec, Limits(), Inference()))
