"""Takes insertions out of a live model again."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from composer.hosts.edits.apply import undo
from composer.hosts.journal import KEY, required_journal
from composer.hosts.leaving import Wanted, left
from composer.hosts.rebuild import num_parameters, rebuilt
from composer.hosts.report import Report
from composer.hosts.rules import spec_of_rules


def remove(model: nn.Module, rules: Wanted | Sequence[Wanted] | None = None) -> Report:
    """Take insertions out again: classes, children and keys are then what they were.

    rules  what to take out; None for all, or one of these, or a list of them:
           the number of a rule, from 0, as `rules_of` lists them;
           a rule as it was given, as a mapping or as YAML text: each rule that is equal to it;
           the name of a mechanism, such as `"cbam"`: each rule that uses it;
           the path of an insertion, `"layer1.0.cbam"`, or a glob over such paths, `"layer1.**"`: these alone. Their
           rules stay, with a `where` that leaves these places out.
    Raises InputError for what is not there, if something else has changed an edited module since, or if what stays
    could not be what it was; the model is then as it was.
    """
    journal = required_journal(model)
    if rules is None:
        return _remove_all(model)
    several = rules if isinstance(rules, Sequence) and not isinstance(rules, str) else [rules]
    kept = left(model, journal, several)
    if not kept:
        return _remove_all(model)
    spec = spec_of_rules(journal.with_rules([rule for _, rule in kept]))
    return rebuilt(model, spec, *journal.example, journal.sites, journal.seed, [number for number, _ in kept])


def _remove_all(model: nn.Module) -> Report:
    journal = required_journal(model)
    before, number = set(model.state_dict()), num_parameters(model)
    undo(model, journal.edited)
    del model.__dict__[KEY]
    after = set(model.state_dict())
    fewer = num_parameters(model) - number
    return Report(keys=tuple(sorted(after - before)), removed=tuple(sorted(before - after)), parameters=fewer)
