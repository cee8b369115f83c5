"""Insertions right after or before one module, put at that module's own ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from composer.dag.host import HostOperation, HostScope
from composer.dag.nodes.moving import moved
from composer.hosts.edits.ends import Ends
from composer.hosts.edits.frames import Change, FlatStep, Ref
from composer.hosts.edits.naming import is_taken
from composer.hosts.edits.results import Where
from composer.hosts.edits.signature import wrapped_parameters_of


def attached(change: Change) -> Iterator[tuple[FlatStep, Ends, list[str]]]:
    """Recorded steps that have inserted ones right after or before them, those as ends, and their names."""
    before = change.before
    users: dict[Ref, list[tuple[Any, Ref]]] = {}
    for (name, number), now in change.moved.items():
        users.setdefault(before.steps[name].inputs[number], []).append(((name, number), now))
    for output, now in change.results.items():
        users.setdefault(before.outputs[output], []).append((output, now))
    for was, found in users.items():
        total = sum(step.inputs.count(was) for step in before.steps.values())
        total += sum(one == was for one in before.outputs.values())
        now = found[0][1]
        names = _chain(change, now)
        behind = not any(str(change.added[name].node.place).startswith("before") for name in names)
        if behind and {one for _, one in found} == {now} and total == len(found) and not was.is_input and not was.key:
            if all(one == was or one.name in names for name in names for one in change.added[name].inputs):
                last = tuple(change.added[name] for name in names)
                host = before.steps[was.name]
                where = _where(host)
                yield host, Ends(last=last, results={where: now}, outputs={was: where}), names
            continue
        for user, now in found:
            if isinstance(user, tuple) and user[1] == 0:
                names = _chain(change, now)
                if all(one == was or one.name in names for name in names for one in change.added[name].inputs):
                    first = tuple(change.added[name] for name in names)
                    yield before.steps[user[0]], Ends(first=first, leads={("",): now}, inputs={was: ("",)}), names


def _where(host: FlatStep) -> Where:
    """Where the only tensor, or the one that a step stands for, is in what its call gives."""
    content = host.node.content
    if isinstance(content, HostScope):
        return next(iter(content.results.values()), ())
    return content.where if isinstance(content, HostOperation) else ()


def _chain(change: Change, end: Ref) -> list[str]:
    """The inserted steps that lead to a tensor, in the order in which they run."""
    wanted = {end.name}
    for name in reversed(list(change.added)):
        if name in wanted:
            wanted.update(one.name for one in change.added[name].inputs if not one.is_input)
    return [name for name in change.added if name in wanted]


def at_host(ends: Ends, module: nn.Module) -> Ends:
    """The same ends, with the first argument of the host's forward by its name."""
    argument = wrapped_parameters_of(type(module))[0].name
    leads: dict[Where, Ref] = dict.fromkeys([(argument,)], *ends.leads.values()) if ends.leads else {}
    return replace(ends, leads=leads, inputs=dict.fromkeys(ends.inputs, (argument,)))


def as_children(ends: Ends, host: FlatStep, module: nn.Module) -> Ends:
    """The steps as children of the host's module: their names need not say beside which module they stand."""
    starts = (f"{host.node.name}_", f"pre_{host.node.name}_")
    names: dict[str, str] = {}
    for step in (*ends.first, *ends.last):
        start = next((one for one in starts if step.node.name.startswith(one)), "")
        number, wanted = 1, step.node.name.removeprefix(start)
        name = wanted
        while is_taken(module, name):
            number += 1
            name = f"{wanted}_{number}"
        names[step.name] = name

    def ref(one: Ref) -> Ref:
        return replace(one, name=names[one.name]) if one.name in names and not one.is_input else one

    def renamed(step: FlatStep) -> FlatStep:
        name = names[step.name]
        node = replace(moved(step.node, f"{host.node.path}.{name}"), name=name)
        return replace(step, node=node, place="", inputs=tuple(map(ref, step.inputs)))

    return Ends(
        tuple(map(renamed, ends.first)),
        tuple(map(renamed, ends.last)),
        {where: ref(one) for where, one in ends.leads.items()},
        {where: ref(one) for where, one in ends.results.items()},
        ends.inputs,
        ends.outputs,
    )
