"""What each arm of a comparison costs and where its rules fit, counted on the meta device: nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from composer.candidates import fitting, memory_of, sentence
from composer.comparing.arms import Arm
from composer.comparing.file import BudgetSpec
from composer.dag.composition import Composition
from composer.dag.infer import Inference
from composer.dag.rules.match import match
from composer.errors import Diagnostic, GraphError, InputError, SpecError
from composer.network import Graph
from composer.spec.document import Value
from composer.spec.spec import Spec
from composer.summary.memory import Traces

COSTS = ("parameters", "macs", "memory")
_WORDS = {"parameters": "parameters", "macs": "MACs", "memory": "memory"}


@dataclass(frozen=True)
class Row:
    """An arm and what it costs.

    spec      its spec
    graph     the network; None where it does not compose
    memory    bytes that an example keeps for a training step; None where not known
    asked     places that its rules ask for
    fitted    those at which they fit
    reason    why it does not compose
    over      the costs that are more than the budget allows
    """

    arm: Arm
    spec: Spec
    graph: Graph | None
    memory: int | None = None
    asked: int = 0
    fitted: int = 0
    reason: str = ""
    over: tuple[str, ...] = ()

    @property
    def parameters(self) -> int | None:
        """Learnable numbers."""
        return None if self.graph is None else self.graph.num_parameters

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates for an example; None where not known."""
        return None if self.graph is None else self.graph.num_macs

    @property
    def runs(self) -> bool:
        """Whether it can be trained within the budget."""
        return self.graph is not None and not self.over


class Composer:
    """Composes arms; operations that they share are inferred and traced once.

    path, root, allow_code  as for `Arm.examine`
    fit                     makes the network of a spec, where it is another than the spec's own: that for some data
    """

    def __init__(
        self,
        path: Path | None,
        root: str | Path | None = None,
        *,
        allow_code: bool = False,
        fit: Callable[[Spec], Graph] | None = None,
    ) -> None:
        self.path, self.root, self.allow_code, self.fit = path, root, allow_code, fit
        self.inference, self.traces = Inference(), Traces()

    def examined(self, arms: Sequence[Arm]) -> list[Spec]:
        """The specs of all arms. Raises SpecError with the mistakes of all texts, each once."""
        found = [arm.examine(self.path, self.root, allow_code=self.allow_code) for arm in arms]
        SpecError.check(problem for _, problems in found for problem in problems)
        return [spec for spec, _ in found if spec is not None]

    def composed(self, arm: Arm) -> tuple[Spec, Graph]:
        """The network of an arm, and its spec. Raises SpecError, GraphError, InputError."""
        (spec,) = self.examined([arm])
        return spec, self._graph(spec)

    def _graph(self, spec: Spec) -> Graph:
        return Graph.of(spec, inference=self.inference) if self.fit is None else self.fit(spec)

    def rows(self, arms: Sequence[Arm], budget: BudgetSpec) -> Iterator[Row]:
        """A row for each arm, as it is known; each backbone's plain arm comes before its variants.

        Raises SpecError for mistakes of the text, GraphError for a plain network that does not compose, and for a
        mechanism that nobody knows.
        """
        specs = self.examined(arms)
        unknown: list[Diagnostic] = []
        plain: Row | None = None
        for arm, spec in zip(arms, specs, strict=True):
            try:
                graph = self._graph(spec)
            except (SpecError, GraphError, InputError) as error:
                unknown += [arm.placed(one) for one in error.diagnostics if one.code == "unknown-mechanism"]
                if plain is None or arm.kind == "plain":
                    raise error.changed(arm.placed) from error
                yield self._misfit(arm, spec, plain, error)
                continue
            places = sum(len(one.places) for one in graph.added)
            row = Row(arm, spec, graph, memory_of(graph, self.traces), places, places)
            if arm.kind == "plain":
                plain = row
            assert plain is not None, "the plain arm comes first"
            yield replace(row, over=over(row, plain, budget) if arm.kind == "variant" else ())
        if unknown:
            raise GraphError(unknown)

    def _misfit(self, arm: Arm, spec: Spec, plain: Row, error: SpecError | GraphError | InputError) -> Row:
        """The row of an arm that does not compose: at how many places its only rule would fit."""
        row = Row(arm, spec, None, reason=sentence(error))
        if len(spec.rules) != 1 or plain.graph is None:
            return row
        rule, origin = spec.rules[0]
        try:
            paths = [place.node.path for place, _ in match(rule, origin, plain.graph.root, spec.vars)]
        except GraphError:
            return row
        taken, _, reason = fitting(paths, plain.graph, lambda some: self._at(arm, rule.position, some))
        return replace(row, asked=len(paths), fitted=len(taken), reason=reason or row.reason)

    def _at(self, arm: Arm, position: str, paths: Sequence[str]) -> Composition:
        """The network with the arm's only rule at these places."""
        root = arm.document.root
        (rule,) = root.data["attention"].data
        kept = {key: one for key, one in rule.data.items() if key not in ("where", "every", "expect")}
        written = replace(rule, data={**kept, position: Value([Value(path) for path in paths])})
        root = replace(root, data={**root.data, "attention": Value([written])})
        return self.composed(replace(arm, document=replace(arm.document, root=root)))[1]


def over(row: Row, plain: Row, budget: BudgetSpec) -> tuple[str, ...]:
    """The costs of a row that are more than the budget allows, in words."""
    found = []
    for name in COSTS:
        most, value, before = budget.most(name, getattr(plain, name)), getattr(row, name), getattr(plain, name)
        if most is None:
            continue
        if value is None:
            found.append(f"its {_WORDS[name]} are not known")
        elif value > most:
            share = f"{100 * (value / before - 1):+.1f} %" if before else f"{value:,}"
            found.append(f"{_WORDS[name]} {share}, and at most {_allowed(budget, name)} is allowed")
    return tuple(found)


def _allowed(budget: BudgetSpec, name: str) -> str:
    amount = getattr(budget, name)
    return amount if isinstance(amount, str) else f"{amount:,}"
