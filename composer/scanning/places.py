"""The places of a scan, what a mechanism costs at each, and which fit together: counted, nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from composer.amounts import plural, share, size, thousands
from composer.comparing.arms import Arm
from composer.comparing.costs import COSTS, Composer, Row
from composer.comparing.file import BudgetSpec
from composer.dag.infer import Inference
from composer.dag.limits import Limits
from composer.dag.rules.match import match
from composer.dag.rules.places import Place
from composer.dag.rules.placing import place
from composer.dag.scope import Scope
from composer.errors import Diagnostic, GraphError, InputError
from composer.network import Graph
from composer.scanning.question import Question
from composer.spec.load import load_spec
from composer.spec.spec import Spec

# Costs in words.
NAMES = {"parameters": "parameters", "macs": "MACs", "memory": "memory"}
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Site:
    """A place, and the network with the mechanism there alone.

    place  the node
    row    the network and its cost
    taken  why the place is left out though it fits; empty otherwise
    """

    place: Place
    row: Row
    taken: str = ""

    @property
    def path(self) -> str:
        """The path of the node."""
        return self.place.node.path

    @property
    def runs(self) -> bool:
        """Whether the mechanism fits here, within the budget."""
        return self.row.runs and not self.taken

    @property
    def reason(self) -> str:
        """Why it is left out, in a sentence; empty if it is not."""
        reason = self.taken or self.row.reason.removeprefix(f"{self.path}: ")
        return reason or "; ".join(self.row.over)


@dataclass(frozen=True)
class Ground:
    """What a scan begins with.

    plain      the network without the rule
    sites      the places of the rule, in running order
    budget     what a network may cost
    composer   makes networks; what they share is inferred once
    """

    plain: Row
    sites: Sequence[Site]
    budget: BudgetSpec
    composer: Composer

    def added(self, row: Row, cost: str) -> int | None:
        """What a network costs more than the plain one; None where not known."""
        value, before = getattr(row, cost), getattr(self.plain, cost)
        return None if value is None or before is None else value - before

    def with_rule(self, question: Question, paths: Sequence[str], name: str) -> Row:
        """The network with the rule at some places, and its cost."""
        assert self.plain.graph is not None, "the plain network composes"
        ordered = [site.path for site in self.sites if site.path in paths]
        # At all places, the rule is as its user wrote it.
        all_of_them = len(ordered) == len(self.sites)
        rule = question.rule if all_of_them else question.rule_at(ordered, self.plain.graph.places.sites)
        arm = question.at(name, rule)
        (_, row) = self.composer.rows([question.plain(), arm], self.budget)
        return row


def amount(ground: Ground, row: Row, cost: str) -> str:
    """What a network costs more than the plain one, with its share; empty where it does not compose."""
    if row.graph is None:
        return ""
    more = ground.added(row, cost)
    if more is None:
        return "?"
    number = size(more, signed=True) if cost == "memory" else thousands(more, signed=True)
    return f"{number} {share(more, getattr(ground.plain, cost))}"


def ground(question: Question, *, fit: Callable[[Spec], Graph] | None = None, tell: Tell = lambda text: None) -> Ground:
    """The places of a scan, each by itself.

    question  the rule and the network
    fit       makes the network of a spec, where it is another than the spec's own: that for some data
    tell      told what is being done
    Raises SpecError, GraphError and InputError with the mistakes of the network, the rule and the budget, and if the
    rule fits at no place, or at none within the budget.
    """
    # In its own words, rather than in those of a reference to it.
    load_spec(question.source, root=question.root, weights=False, allow_code=question.allow_code)
    budget = question.comparison({"rule": question.rule}, [0]).content.budget
    composer = Composer(question.path, question.root, allow_code=question.allow_code, fit=fit or on_one_backbone())
    _, graph = composer.composed(question.plain())
    everywhere = question.everywhere()
    (spec,) = composer.examined([everywhere])
    rule, origin = spec.rules[-1]
    try:
        places = [one for one, _ in match(rule, origin, graph.root, spec.vars)]
        _check_known(composer, everywhere)
    except GraphError as error:
        raise error.changed(everywhere.placed) from error
    names = graph.places.sites
    arms = [question.at(_name(question, one), question.rule_at([one.node.path], names)) for one in places]
    found: list[Row] = []
    for row in composer.rows([question.plain(), *arms], budget):
        tell(f"{len(found)} of {len(arms)} places")
        found.append(row)
    plain, *rows = found
    before = _before(graph, rule.use, rule.position)
    sites = [Site(one, row, before.get(one.node.path, "")) for one, row in zip(places, rows, strict=True)]
    made = Ground(plain, sites, budget, composer)
    _check_any(question, made)
    return made


def cheapest_first(ground: Ground, cost: str) -> list[Site]:
    """The places that fit within the budget, what adds least first; equal ones by the other costs, then in order."""

    def key(site: Site) -> tuple[tuple[bool, int], ...]:
        amounts = [ground.added(site.row, one) for one in (cost, *COSTS)]
        return tuple((one is None, one or 0) for one in amounts)

    return sorted((one for one in ground.sites if one.runs), key=key)


def together(question: Question, ground: Ground, order: Sequence[Site], tell: Tell) -> tuple[list[Site], Row]:
    """As many places as the budget holds, taken greedily in this order, and the network with the rule at all of them.

    A place that does not fit beside the others, or is over the budget with them, is passed over.
    """
    whole = ground.with_rule(question, [one.path for one in order], "together")
    if whole.runs:
        return list(order), whole
    taken, row = [order[0]], order[0].row
    for number, site in enumerate(order[1:], 2):
        tell(f"together, {number} of {len(order)}")
        more = ground.with_rule(question, [*(one.path for one in taken), site.path], "together")
        if more.runs:
            taken, row = [*taken, site], more
    return taken, row


def _name(question: Question, place: Place) -> str:
    """The name of the network with the rule at a place."""
    return f"{question.position} {place.node.path}"


def _check_known(composer: Composer, everywhere: Arm) -> None:
    """Raises GraphError for a mechanism that nobody knows, and options that it never takes."""
    try:
        composer.composed(everywhere)
    except (GraphError, InputError) as error:
        problems = [one for one in error.diagnostics if one.path.startswith("attention")]
        if problems:
            raise GraphError(problems) from error


def on_one_backbone() -> Callable[[Spec], Graph]:
    """What makes the networks of specs that differ only in their rules: what is below these is made once."""
    limits, inference, below = Limits(), Inference(), list[Scope]()

    def made(spec: Spec) -> Graph:
        if not below:
            graph = Graph.of(spec, limits, inference)
            below.append(graph.placed[0])
            return graph
        placed = (below[0], *place(below[0], spec, limits, inference))
        return Graph.finished(spec, limits, inference, placed)

    return made


def _before(graph: Graph, use: str | None, position: str) -> dict[str, str]:
    """Path of a place -> the sentence that says which rule of the network's own has put the mechanism there."""
    found: dict[str, str] = {}
    inside = graph.spec.rules_inside
    for number, (rule, origin) in enumerate(graph.spec.rules):
        if rule.use != use or rule.position != position:
            continue
        where = origin.location()
        said = f"`{use}` is there already, by {f'the rule at {where}' if where else f'rule {number + 1}'}"
        for one, _ in match(rule, origin, graph.placed[inside + number], graph.spec.vars):
            found[one.node.path] = said
    return found


def _check_any(question: Question, ground: Ground) -> None:
    """Raises InputError if no place is left."""
    if any(site.runs for site in ground.sites):
        return
    number = plural(len(ground.sites), "place")
    reasons = list(dict.fromkeys(site.reason for site in ground.sites))[:5]
    if all(site.taken for site in ground.sites):
        text, help = f"`{question.mechanism}` is at all of {number} already", "another `use`, or other places"
    elif any(site.row.over for site in ground.sites):
        text, help = f"`{question.mechanism}` is over the budget at each of {number}", "a larger budget"
    else:
        text = f"`{question.mechanism}` fits at none of {number}"
        help = "`composer list mechanisms --on SPEC --after block` says what fits where"
    raise InputError(Diagnostic("scan", text, question.rule.data["use"].location, help=(*reasons, help)))
