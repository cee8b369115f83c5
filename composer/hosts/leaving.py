"""Which rules of a model stay, and how they read, when some insertions are to leave it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml
from torch import nn

from composer.dag.infer import Inference
from composer.dag.limits import Limits
from composer.dag.rules.globs import glob
from composer.dag.rules.match import Candidate, match
from composer.dag.rules.placing import place
from composer.dag.rules.results import Result, chosen
from composer.dag.rules.spot import goes_inside, spot_of
from composer.dag.scope import Scope
from composer.errors import Diagnostic, InputError, did_you_mean, one_of
from composer.hosts.journal import Journal
from composer.hosts.marks import Mark, marked
from composer.hosts.plain import recorded_plain
from composer.hosts.rebuild import with_rules
from composer.hosts.rules import spec_of_journal, spec_of_rules
from composer.spec.model import Rule
from composer.spec.spec import Spec

# The number of a rule; a rule; or the name of a mechanism, the path of an insertion, a glob, or a rule's YAML.
Wanted = int | str | Mapping[str, Any]
# Number of a rule -> the paths of its places that leave it, and of those that stay.
_Places = dict[int, tuple[list[str], list[str]]]


def left(model: nn.Module, journal: Journal, wanted: Sequence[Wanted]) -> list[tuple[int, dict[str, Any]]]:
    """The rules that stay, each with its number, once some insertions have left. Raises InputError."""
    spec = spec_of_journal(journal)
    gone: set[int] = set()
    paths: list[str] = []
    for one in wanted:
        # YAML of a rule has a colon, which no path has.
        is_name = isinstance(one, str) and ":" not in one
        numbers = _using(str(one), spec) if is_name else _numbers(one, spec, journal)
        gone.update(numbers)
        paths += [] if numbers else [str(one)]
    parted = _parted(model, journal, spec, paths) if paths else {}
    kept = []
    for number, rule in enumerate(journal.rules):
        out, stay = parted.get(number, ([], [""]))
        if number not in gone and stay:
            kept.append((number, _without(rule, out, stay) if out else rule))
    return kept


def _using(name: str, spec: Spec) -> list[int]:
    """The numbers of the rules that use a mechanism."""
    return [number for number, (rule, _) in enumerate(spec.rules) if rule.use == name]


def _numbers(wanted: Wanted, spec: Spec, journal: Journal) -> list[int]:
    """The numbers of the rules that a number, or rules as they were given, mean. Raises InputError, SpecError."""
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if wanted not in range(len(journal.rules)):
            text = f"there is no rule {wanted}: the model has {len(journal.rules)}, counted from 0"
            raise InputError(Diagnostic("insertion", text, help=tuple(_listed(journal))))
        return [wanted]
    if not isinstance(wanted, str | Mapping):
        text = f"`{wanted!r}` names no insertion"
        raise InputError(Diagnostic("insertion", text, label="a number, a rule, a mechanism's name or a path"))
    found = []
    for rule, origin in spec_of_rules(wanted).rules:
        alike = [number for number, (one, _) in enumerate(spec.rules) if _said(one) == _said(rule)]
        if not alike:
            text = f"no rule of this model is `{_flow(origin.document.nearest(origin.path).plain())}`"
            raise InputError(Diagnostic("insertion", text, help=tuple(_listed(journal))))
        found += alike
    return found


def _said(rule: Rule) -> Mapping[str, Any]:
    """What a rule says, however its places are written."""
    return {**rule.model_dump(), rule.position: rule.selectors}


def _flow(rule: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(rule, sort_keys=False, default_flow_style=True, width=1000)
    return text.strip()


def _listed(journal: Journal) -> Iterator[str]:
    yield from (f"rule {number} is `{_flow(rule)}`" for number, rule in enumerate(journal.rules))


def _parted(model: nn.Module, journal: Journal, spec: Spec, wanted: Sequence[str]) -> _Places:
    """For each rule that put in something at these paths, the places that leave it and those that stay.

    Raises InputError for a path or glob that is of no insertion.
    """
    twin, before, _ = recorded_plain(model, *journal.example, journal.sites)
    after = with_rules(before, spec, twin)
    live = {node: path for path, node in (journal.nodes or {}).items()}
    known = {live.get(node.path, node.path): mark for mark, node in marked(after) if node.role == "used"}
    insertions = {path: mark for path, mark in known.items() if mark.place != "held"}
    out: set[Mark] = set()
    for text in wanted:
        found = {mark for path, mark in insertions.items() if glob(text).matches(path)}
        if not found:
            raise InputError(_unknown(text, [rule.use for rule, _ in spec.rules if rule.use], insertions, journal))
        out |= found
    parted: _Places = {}
    scopes: list[Scope] = [before, *place(before, spec, Limits(), Inference())]
    for number in sorted({mark.rule for mark in out}):
        rule, origin = spec.rules[number]
        parted[number] = [], []
        wanted_here = {mark for mark in out if mark.rule == number}
        for one in match(rule, origin, scopes[number], spec.vars):
            leaving = {mark for mark in wanted_here if _is_at(mark, one, rule)}
            parted[number][not leaving].append(one[0].node.path)
            wanted_here -= leaving
        assert not wanted_here, "what a rule put in stands at one of its places"
    return parted


def _unknown(text: str, mechanisms: Sequence[str], insertions: Iterable[str], journal: Journal) -> Diagnostic:
    nearest = did_you_mean(text, [*mechanisms, *insertions])
    help = (*nearest, *_listed(journal), f"the insertions are {one_of(insertions, 4)}")
    label = "the name of a mechanism, or the path of an insertion"
    return Diagnostic("insertion", f"nothing that was inserted is called `{text}`", label=label, help=help)


def _is_at(mark: Mark, candidate: Candidate, rule: Rule) -> bool:
    """Whether an insertion is what its rule put at a place."""
    host, around = candidate[0].node, candidate[0].scope
    if rule.position == "replace" and rule.start is None:
        return (mark.scope, mark.place) == (around.path, host.name)
    host = (chosen(rule, host, around) or Result(host)).node
    if goes_inside(host, around, rule):
        assert isinstance(host.content, Scope), "only a scope has an inside"
        around = host.content
    words = spot_of(host, around, rule, 0).place
    return mark.scope == around.path and (mark.place == words or mark.place.startswith(f"{words} at "))


def _without(rule: Mapping[str, Any], out: Sequence[str], stay: Sequence[str]) -> dict[str, Any]:
    """A rule as it is written, but for some of its places."""
    where = rule.get("where")
    if "every" in rule or len(stay) < len(out):
        # The places that stay, whatever else chose them.
        where = f"path in {list(stay)}"
    else:
        before = [f"({where.removeprefix('${').removesuffix('}')}) and "] if isinstance(where, str) else []
        where = f"{''.join(before)}path not in {list(out)}"
    expect = {"expect": len(stay)} if "expect" in rule else {}
    return {**{key: one for key, one in rule.items() if key != "every"}, "where": where, **expect}
