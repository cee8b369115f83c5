"""What rules put at the beginning and at the end of a module, and the text of the subclass whose forward runs it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from composer.compile.host_classes import HOST
from composer.compile.writer import TAKEN, attribute, identifier, passes_outward
from composer.dag.operation import Operation
from composer.hosts.edits.beside import loops_over_children
from composer.hosts.edits.frames import Change, FlatStep, Ref
from composer.hosts.edits.results import Where
from composer.hosts.edits.signature import declared, parameters_of, passed, wrapped_parameters_of
from composer.hosts.edits.text import file_text
from composer.hosts.journal import AROUND
from composer.registry import FunctionEntry, ParameterEntry

# The variable for what the host's own forward returns.
_RESULT = "y"


@dataclass(frozen=True)
class Ends:
    """Steps before and after all that a forward does.

    leads    where an input stands among the arguments -> what takes its place
    results  where a tensor stands in the result -> (what it was, what takes its place)
    inputs   input -> where it stands
    outputs  a tensor of the plain result -> where it stands
    """

    first: tuple[FlatStep, ...] = ()
    last: tuple[FlatStep, ...] = ()
    leads: Mapping[Where, Ref] = field(default_factory=dict)
    results: Mapping[Where, Ref] = field(default_factory=dict)
    inputs: Mapping[Ref, Where] = field(default_factory=dict)
    outputs: Mapping[Ref, Where] = field(default_factory=dict)


def ends_of(change: Change, made: type[nn.Module]) -> Ends | None:
    """A frame's change as ends; None if something changed between the frame's own steps.

    made  the class of the frame's module; None too if its own forward would run the steps among its children
    """
    leads = _leads(change)
    if change.gone or leads is None or (change.added and loops_over_children(made)):
        return None
    first = _needed(change, leads.values())
    last = [name for name in change.added if name not in first]
    scope, outputs = change.before.scope, change.before.outputs
    results = {name: now for name, now in change.results.items() if leads.get(outputs[name]) != now}
    known = {*outputs.values(), *(Ref(name) for name in last), *(ref for ref in leads), *leads.values()}
    known |= {Ref(name, is_input=True) for name in scope.arguments}
    starts = {Ref(name, is_input=True) for name in scope.arguments} | {Ref(name) for name in first}
    if not all(one in starts for name in first for one in change.added[name].inputs):
        return None
    if not all(one in known for name in last for one in change.added[name].inputs):
        return None
    if not all(name in scope.results for name in results):
        return None
    inputs = {Ref(name, is_input=True): where for name, where in scope.arguments.items()}
    if not all(one in inputs for one in leads):
        return None
    return Ends(
        tuple(change.added[name] for name in first),
        tuple(change.added[name] for name in last),
        {inputs[was]: now for was, now in leads.items()},
        {scope.results[name]: now for name, now in results.items()},
        inputs,
        {ref: scope.results[name] for name, ref in reversed(list(outputs.items())) if name in scope.results},
    )


def joined(several: Sequence[Ends]) -> Ends:
    """The ends of one module, from several rules that do not know of each other."""
    return Ends(
        tuple(step for one in several for step in one.first),
        tuple(step for one in several for step in one.last),
        {where: ref for one in several for where, ref in one.leads.items()},
        {where: ref for one in several for where, ref in one.results.items()},
        {ref: where for one in several for ref, where in one.inputs.items()},
        {ref: where for one in several for ref, where in one.outputs.items()},
    )


def _leads(change: Change) -> dict[Ref, Ref] | None:
    """Input of the frame -> what all its users take now; None if an own step takes something else than before."""
    found: dict[Ref, Ref] = {}
    for (name, number), now in change.moved.items():
        was = change.before.steps[name].inputs[number]
        if not was.is_input or found.setdefault(was, now) != now:
            return None
    kept = (
        one
        for name, step in change.before.steps.items()
        for number, one in enumerate(step.inputs)
        if (name, number) not in change.moved
    )
    return None if any(one in found for one in kept) else found


def _needed(change: Change, references: Iterable[Ref]) -> list[str]:
    """The inserted steps without which these tensors are not there, in the order in which they run."""
    wanted = {one.name for one in references}
    for name in reversed(list(change.added)):
        if name in wanted:
            wanted.update(one.name for one in change.added[name].inputs if not one.is_input)
    return [name for name in change.added if name in wanted]


def text_of_ends(
    ends: Ends, made: type[nn.Module], hider: str | None, beside: Iterable[str], *, around: bool = False
) -> str:
    """The file of the subclass of a class whose forward runs these steps around the host's own.

    hider   the name of a base class that hides children, for a container
    beside  the names of the children to hide
    around  whether the module around the host owns what is inserted
    """
    parameters = _parameters(ends, made)
    names = {str(one.name) for one in parameters} | TAKEN | {HOST, _RESULT}
    lines = []
    read = _Reader({ref: _at(where) for ref, where in ends.inputs.items()}, names, "around" if around else "self")
    lines += [f"(around,) = self.{AROUND}"] if around else []
    lines += read.lines(ends.first)
    lines += [f"{where[0]} = {_exchanged(str(where[0]), where[1:], read(now))}" for where, now in ends.leads.items()]
    if not ends.last and not ends.results:
        lines.append(f"return {HOST}.forward({passed(parameters)})")
        return file_text(made, declared(parameters), lines, ends.first, hider, beside)
    lines.append(f"{_RESULT} = {HOST}.forward({passed(parameters)})")
    read.known.update({ref: _at((_RESULT, *where)) for ref, where in ends.outputs.items()})
    lines += read.lines(ends.last)
    changed = [(where, read(now)) for where, now in ends.results.items()]
    for where, new in changed[:-1]:
        lines.append(f"{_RESULT} = {_exchanged(_RESULT, where, new)}")
    lines.append(f"return {_exchanged(_RESULT, *changed[-1])}" if changed else f"return {_RESULT}")
    return file_text(made, declared(parameters), lines, (*ends.first, *ends.last), hider, beside)


def _parameters(ends: Ends, made: type[nn.Module]) -> list[inspect.Parameter]:
    """The parameters of the new forward: those of the host's, as far as the steps name them."""
    own = parameters_of(made.forward)
    wanted = [str(where[0]) for where in (*ends.leads, *(ends.inputs[one] for one in _taken(ends)))]
    if {one.name for one in own}.issuperset(wanted):
        return own
    # A decorator takes `*args, **kwargs`: what stands before them can be named.
    inner = wrapped_parameters_of(made)
    last = max(number for number, one in enumerate(inner) if one.name in wanted)
    return [*inner[: last + 1], *(one for one in own if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD))]


def _taken(ends: Ends) -> Iterable[Ref]:
    return (one for step in (*ends.first, *ends.last) for one in step.inputs if one in ends.inputs)


def _at(where: Where) -> str:
    """The expression of an argument, or of a part of one."""
    return f"{where[0]}" + "".join(f"[{key!r}]" for key in where[1:])


def _exchanged(value: str, where: Where, new: str) -> str:
    return f"with_result({value}, {where!r}, {new})" if where else new


class _Reader:
    """Writes calls, one line per call; `known` has the expression of each tensor."""

    def __init__(self, known: Mapping[Ref, str], taken: Iterable[str], owner: str) -> None:
        self.known = dict(known)
        self.taken = {*taken, owner}
        self.owner = owner

    def __call__(self, ref: Ref) -> str:
        return self.known[ref]

    def lines(self, steps: Iterable[FlatStep]) -> list[str]:
        """The lines of steps; one that reads a parameter has none."""
        found = []
        for step in steps:
            content = step.node.content
            if isinstance(content, Operation) and isinstance(content.entry, ParameterEntry):
                self.known[Ref(step.name)] = attribute(self.owner, step.node.name)
                continue
            word = identifier(step.name.replace(".", "_"))
            while word in self.taken:
                word += "_"
            self.taken.add(word)
            found.append(f"{word} = {call_of(step, [self(one) for one in step.inputs], self.owner)}")
            self.known[Ref(step.name)] = word
        return found


def call_of(step: FlatStep, arguments: list[str], owner: str = "self") -> str:
    """The expression of an inserted step's call."""
    content = step.node.content
    if isinstance(content, Operation) and isinstance(content.entry, FunctionEntry):
        return content.entry.call(arguments, step.specs, content.options)
    assert not passes_outward(step.node), "what a block passes outward has no place in a foreign forward"
    return f"{attribute(owner, step.node.name)}({', '.join(arguments)})"
