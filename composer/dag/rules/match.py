"""The places that a rule selects, and the message if it selects none or not the expected number."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from composer.amounts import plural
from composer.dag.host import HostScope
from composer.dag.rules.places import Place, Places
from composer.dag.rules.results import chosen
from composer.dag.scope import Scope
from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic, GraphError, Mistakes, did_you_mean, nearest
from composer.spec.expression import parse_condition
from composer.spec.model import Rule
from composer.spec.origin import Origin, evaluate_condition

Candidate = tuple[Place, dict[str, Any]]

NO_SITES = "this network has no sites: tag nodes with `site:`, or write a path"
_SITES = "`composer sites` lists every place with its path"
# No command sees a model in memory.
_VIEW = "`composer.view(model, example)` shows the model's graph with all paths, its `.findings` the sites"


def match(rule: Rule, origin: Origin, root: Scope, vars: Mapping[str, Any]) -> list[Candidate]:
    """The places of a rule, with the names its expressions may read. Raises GraphError for none, or not `expect`."""
    places = selected(rule, origin, root)
    candidates = [
        (place, {**vars, **place.facts(rule.position, last=index == len(places) - 1, output=_output(rule, place))})
        for index, place in enumerate(places)
    ]
    held = [one for one in candidates if _holds(rule, origin, one)]
    if not held:
        raise GraphError(_none_left(rule, origin, candidates))
    every = rule.every or 1
    matched = held[every - 1 :: every]
    if not matched:
        text = f"the rule has {plural(len(held), 'place')}, so there is no place number {every}"
        raise GraphError((origin / "every").problem("no-match", text, f"at most {len(held)}"))
    if rule.expect is not None and rule.expect != len(matched):
        paths = ", ".join(place.node.path for place, _ in matched[:8]) + (", …" if len(matched) > 8 else "")
        text = f"the rule matches {plural(len(matched), 'place')}, not {rule.expect}"
        raise GraphError((origin / "expect").problem("expect", text, help=(f"it matches {paths}",)))
    return matched


def _output(rule: Rule, place: Place) -> TensorSpec | None:
    """The tensor of `output`; None for a rule without it, and where there is none."""
    found = chosen(rule, place.node, place.scope) if rule.output is not None else None
    return None if found is None else found.tensor


def selected(rule: Rule, origin: Origin, root: Scope) -> Places:
    """The places of all selectors of a rule, each once, in running order, whatever its condition says of them.

    Raises GraphError if a selector selects none.
    """
    problems: list[Diagnostic] = []
    chosen: list[Places] = []
    found = Places.near(root, rule.selectors)
    for index, selector in enumerate(rule.selectors):
        here = (origin / rule.position / index).written
        some = found.select(selector)
        if not some:
            is_live = isinstance(root, HostScope) and root.library is None
            text, help = unknown_place(selector, Places.of(root), _VIEW if is_live else _SITES)
            if (owner := _owner(root, selector)) is not None:
                text, help = f"`{selector}` calls the module of `{owner}`", (f"a rule reaches it there: `{owner}`",)
            problems.append(here.problem("no-match", text, "a site, or a glob over paths", help))
        elif rule.position == "remove":
            some = Places(place for place in some if not place.passes)
            if not some:
                text = f"`{selector}` only passes its input on, so there is nothing to remove"
                problems.append(here.problem("no-match", text, "a place that computes something"))
        chosen.append(some)
    if problems:
        raise GraphError(problems)
    if len(chosen) == 1:
        return chosen[0]
    paths = {path for some in chosen for path in some.paths}
    return Places(place for place in found if place.node.path in paths)


def _owner(root: Scope, path: str) -> str | None:
    """The path of the node whose module the node at a path calls; None if there is no such node, or it has its own."""
    nodes, node = root.nodes, None
    for name in path.split("."):
        if (node := nodes.get(name)) is None:
            return None
        nodes = node.content.nodes if isinstance(node.content, Scope) else {}
    return None if node is None or node.owns else node.owner


def _holds(rule: Rule, origin: Origin, candidate: Candidate) -> bool:
    if rule.where is None or isinstance(rule.where, bool):
        return rule.where is not False
    place, facts = candidate
    try:
        return evaluate_condition(rule.where, facts, origin / "where", place.node.path)
    except Mistakes as error:
        raise GraphError(error.diagnostics) from error


def unknown_place(selector: str, found: Places, listing: str = _SITES) -> tuple[str, tuple[str, ...]]:
    """The message, and help, for a selector that selects none of the places.

    listing  how to see them all
    """
    inside = f"**.{selector}"
    help = [*did_you_mean(selector, [*found.sites, *found.paths])]
    if selector.isidentifier() and (within := len(found.select(inside))):
        help = [f"a bare name is that of a node of the network itself: `{inside}` has {plural(within, 'place')}"]
    wider = re.sub(r"\*+", "**", selector)
    if reached := len(found.select(wider)):
        help = [f"`*` stays within one name: `{wider}` has {plural(reached, 'place')}"]
    paths = f"{', '.join(f'`{one}`' for one in nearest(selector, found.paths))}{', …' * (len(found) > 6)}"
    if not found.sites:
        help.append(f"{NO_SITES}: {paths}")
    else:
        if not help:
            help.append(f"the nearest paths are {paths}")
        help.append(f"the sites here are {', '.join(f'{name} ({count})' for name, count in found.sites.items())}")
    return f"no place is called `{selector}`", (*help, listing)


def _none_left(rule: Rule, origin: Origin, candidates: Sequence[Candidate]) -> Diagnostic:
    has = "has" if len(rule.selectors) == 1 else "have"
    text = f"`{rule.selector}` {has} {plural(len(candidates), 'place')}, and `where` leaves none of them"
    known = candidates[0][1]
    read = parse_condition(rule.where)[1].names if isinstance(rule.where, str) else ()
    help = [f"`{name}` is {_values(name, candidates)} there" for name in sorted(read) if name in known]
    return (origin / "where").problem("no-match", text, "a condition that some place meets", tuple(help))


def _values(name: str, candidates: Sequence[Candidate]) -> str:
    values = list(dict.fromkeys(str(facts[name]) for _, facts in candidates))
    return ", ".join(values[:8]) + (", …" if len(values) > 8 else "")
