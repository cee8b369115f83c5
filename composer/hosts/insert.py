"""Puts mechanisms into a live model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from torch import Tensor, nn

from composer.compile.host_classes import text_of
from composer.errors import Diagnostic, InputError
from composer.given import whole, wrong
from composer.hosts.journal import journal_of, journals, required_journal
from composer.hosts.rebuild import rebuilt
from composer.hosts.refusal import refused
from composer.hosts.report import Report
from composer.hosts.rules import Rules, joined, sites_of_rules, spec_of_journal, spec_of_rules

Example = Any


def insert(
    model: nn.Module, rules: Rules, example: Example, *, sites: Mapping[str, Any] | None = None, seed: int = 0
) -> Report:
    """Put mechanisms into a model, in place. Its own keys and weights stay as they are.

    model    any nn.Module; or a part of a larger one
    rules    a rule or a list of them, as a spec's `attention` writes them, or YAML text; or a mapping with `attention`,
             `blocks` that its rules use, and `sites`
    example  what the model is called with: a tensor, a tuple of arguments, a mapping of keywords, or (tuple, mapping);
             only the shapes count
    sites    site -> globs of paths, such as {"block": "stages.*.blocks.*"}, in place of those that were recognised
    seed     of the new weights, which depend on it and on each module's path
    Raises SpecError, GraphError or InputError, and the model is then as it was. Warns if a later conversion would drop
    what was inserted.
    """
    InputError.check(refused(model))
    journal = journal_of(model)
    spec = spec_of_rules(rules)
    if not spec.rules:
        label = "a rule, such as `{use: cbam, after: block}`, or a list of rules"
        raise InputError(Diagnostic("insertion", "there are no rules", label=label))
    if journal is not None:
        spec = joined(spec_of_journal(journal), spec)
    args, kwargs = called(example)
    sites = checked_sites({**(journal.sites if journal else {}), **sites_of_rules(rules), **given_sites(sites)})
    seed = whole("seed", seed, None)
    return rebuilt(model, spec, args, kwargs, sites, journal.seed if journal else seed)


def check(model: nn.Module) -> list[str]:
    """A sentence per insertion that does not run any more; empty if all do.

    A conversion may replace an edited module by one of its own (SyncBatchNorm, quantize_dynamic), and code may replace
    a whole block. Insertions into parts of the model are checked too.
    """
    found = []
    for around, journal in journals(model).items():
        root = model.get_submodule(around)
        for one in journal.edited:
            path = ".".join(filter(None, (around, one.path)))
            try:
                module = root.get_submodule(one.path)
            except AttributeError:
                found.append(f"`{path}` is gone, and what was inserted there")
                continue
            if one.text and one.text not in map(text_of, type(module).__mro__[:-1]):
                found.append(f"`{path}` is a plain {type(module).__name__} now, which does not run what was inserted")
            elif lost := [name for name in one.added if not hasattr(module, name)]:
                found.append(f"`{path}` has lost `{'`, `'.join(lost)}`")
            elif one.text and "forward" in module.__dict__:
                found.append(f"`{path}` has a `forward` on the object, which may not run what was inserted")
    return found


def inserted(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of all that was inserted, here or further inside, for an optimizer."""
    found: dict[int, nn.Parameter] = {}
    for around, journal in journals(model).items():
        root = model.get_submodule(around)
        for path in journal.added:
            holder, _, name = path.rpartition(".")
            one = getattr(root.get_submodule(holder), name)
            for parameter in [one] if isinstance(one, nn.Parameter) else one.parameters():
                found[id(parameter)] = parameter
    return list(found.values())


def rules_of(model: nn.Module) -> str:
    """The YAML that `insert` takes to rebuild what was inserted. Raises InputError if nothing was."""
    journal = required_journal(model)
    sites = {"sites": journal.sites} if journal.sites else {}
    whole: Any = {**sites, **journal.with_rules(journal.rules)}
    whole = journal.rules if list(whole) == ["attention"] else whole
    text: str = yaml.safe_dump(whole, sort_keys=False, default_flow_style=None)
    return text


def given_sites(sites: Any) -> Mapping[str, Any]:
    """The sites that a keyword gives. Raises InputError for what is no mapping."""
    if sites is not None and not isinstance(sites, Mapping):
        raise wrong("sites", sites, 'a mapping site -> globs of paths, such as {"block": "stages.*.blocks.*"}')
    return sites or {}


def checked_sites(sites: Mapping[str, Any]) -> dict[str, Any]:
    """The sites. Raises InputError for what is no mapping to globs or lists of globs."""
    for name, globs in sites.items():
        if not isinstance(globs, str) and not (
            isinstance(globs, list | tuple) and all(isinstance(one, str) for one in globs)
        ):
            text = f"`sites` gives `{name}` the value `{globs!r}`"
            raise InputError(Diagnostic("sites", text, label="a glob over paths, or a list of globs"))
    return dict(sites)


def called(example: Example) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments of an example. Raises InputError."""
    if isinstance(example, tuple) and len(example) == 2 and isinstance(example[1], dict):
        first = example[0]
        return (first if isinstance(first, tuple) else (first,)), dict(example[1])
    if isinstance(example, Mapping):
        return (), dict(example)
    if isinstance(example, tuple):
        return example, {}
    if isinstance(example, Tensor | list):
        return (example,), {}
    text = f"`example` is a {type(example).__name__}"
    label = "a tensor, a tuple of arguments, a mapping of keywords, or both"
    raise InputError(Diagnostic("insertion", text, label=label))
