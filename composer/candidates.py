"""What each mechanism would cost at the same places of a network, or why it does not fit there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from composer.dag.composition import Composition
from composer.dag.infer import Inference
from composer.dag.macs import growth
from composer.dag.rules.default_place import default_place, default_sources
from composer.dag.rules.match import match
from composer.errors import ComposerError, GraphError, SpecError
from composer.registry import POSITIONS, ModuleEntry
from composer.spec.load import load_spec
from composer.summary.memory import Traces, Unknown, activation_memory


@dataclass(frozen=True)
class Candidate:
    """A mechanism at places of a network.

    place       the keys of the rule that say where
    fitted      how many of the `asked` places take it
    parameters, macs, memory  what it adds there in all: learnable numbers, multiply-accumulates per example, bytes that
                an example keeps for a training step; None where not known, or where it fits nowhere
    reason      why a place does not take it, the first that does not; empty if all do
    """

    name: str
    group: str
    place: Mapping[str, Any]
    asked: int = 0
    fitted: int = 0
    parameters: int | None = None
    macs: int | None = None
    memory: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Plain:
    """The network without the mechanisms, and its cost; memory is None where not known."""

    graph: Composition
    memory: int | None


class Candidates:
    """Mechanisms in a network, one after another; operations that they share are inferred and traced once.

    source  a name or path, as for `composer.build`
    place   the keys of a rule that say where: a position with its selector, and `where`; without them, each mechanism
            goes to its usual place
    Raises SpecError or GraphError if the network alone is wrong.
    """

    def __init__(self, source: str, place: Mapping[str, Any] | None = None, *, allow_code: bool = False) -> None:
        self.source, self.place, self.allow_code = source, place or {}, allow_code
        self.inference, self.traces = Inference(), Traces()
        graph = self._composed([])
        self.plain = Plain(graph, self._memory(graph))

    def of(self, entries: Iterable[ModuleEntry]) -> Iterator[Candidate]:
        """A row for each mechanism."""
        for entry in entries:
            yield self._candidate(entry)

    def check_place(self) -> None:
        """Raises SpecError or GraphError if there is no such place in the network, whatever goes there."""
        if self.place:
            self._matched({"use": "identity", **self.place})

    def _candidate(self, entry: ModuleEntry) -> Candidate:
        place = self.place or default_place(entry, self.plain.graph.places.sites)
        rule = {"use": entry.name, **place, **default_sources(entry, place)}
        found = Candidate(entry.name, entry.group, place)
        try:
            paths = self._matched(rule)
        except (SpecError, GraphError) as error:
            return replace(found, reason=sentence(error))
        position = next(word for word in POSITIONS if word in rule)
        # The condition has been asked.
        rule.pop("where", None)
        taken, graph, reason = fitting(
            paths, self.plain.graph, lambda paths: self._composed([{**rule, position: [*paths]}])
        )
        found = replace(found, asked=len(paths), fitted=len(taken), reason=reason)
        if graph is None:
            return found
        return replace(
            found,
            parameters=graph.num_parameters - self.plain.graph.num_parameters,
            macs=growth(graph.num_macs, self.plain.graph.num_macs),
            memory=growth(self._memory(graph), self.plain.memory),
        )

    def _composed(self, rules: list[Any]) -> Composition:
        spec = load_spec({"backbone": self.source, "attention": rules}, allow_code=self.allow_code)
        return Composition.of(spec, inference=self.inference)

    def _matched(self, rule: Mapping[str, Any]) -> list[str]:
        """Paths of the places that a rule asks for."""
        spec = load_spec({"backbone": self.source, "attention": [rule]}, allow_code=self.allow_code)
        ((given, origin), *_) = spec.rules
        return [place.node.path for place, _ in match(given, origin, self.plain.graph.root, spec.vars)]

    def _memory(self, graph: Composition) -> int | None:
        return memory_of(graph, self.traces)


def fitting(
    paths: list[str], plain: Composition, compose: Callable[[list[str]], Composition]
) -> tuple[list[str], Composition | None, str]:
    """Those of some places at which a network composes, that network, and why not at the others, in a sentence.

    paths    of the places that a rule asks for
    plain    the network without the rule
    compose  makes the network with the rule at some places
    """
    reason = ""
    while paths:
        try:
            return paths, compose(paths), reason
        except (SpecError, GraphError) as error:
            reason = reason or sentence(error)
            paths = _without(paths, plain, error)
    return [], None, reason


def _without(paths: list[str], plain: Composition, error: SpecError | GraphError) -> list[str]:
    """The places without the one that an error is about, and those like it; none if it is about no place."""
    known = {path: _kind(path, plain) for path in paths}
    wrong = {known[one.path] for one in error.diagnostics if one.path in known}
    return [path for path in paths if known[path] not in wrong] if wrong else []


def _kind(path: str, plain: Composition) -> Hashable:
    """Equal for places that take the same mechanisms: what arrives and what leaves."""
    place = plain.places.at(path)
    if place is None:
        return path
    output = place.node.output
    return place.input, tuple(output.items()) if isinstance(output, Mapping) else output


def memory_of(graph: Composition, traces: Traces | None = None) -> int | None:
    """Bytes that an example keeps for a training step; None where not known. `traces` are shared between networks."""
    try:
        return sum(activation_memory(graph.root, traces, graph.spec.kernels).values())
    except Unknown:
        return None


def sentence(error: ComposerError) -> str:
    """The first problem in a line, with the place that it is about."""
    first = error.diagnostics[0]
    return f"{first.path}: {first.message}" if first.path and not first.path.startswith("attention") else first.message
