"""The data that the script of a page reads, as plain JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import nn

from composer.dag.composition import Composition
from composer.dag.rules.places import Places
from composer.dag.scope import Scope
from composer.dag.sketch import Sketch
from composer.draw.build import build_view
from composer.draw.insets import beside
from composer.draw.picture import Picture, Wish, readable_depth
from composer.draw.selection import selected
from composer.draw.values import Values
from composer.draw.view import Box, View, opened
from composer.errors import Diagnostic
from composer.page.facts import Costs, facts_of
from composer.page.histograms import histograms
from composer.page.insides import Insides
from composer.page.modes import chosen_mode, modes_of, ramp_data
from composer.page.schema import FactsData, NetworkData, PageData, ProblemData, RuleData
from composer.page.sources import Files
from composer.page.tables import Tables
from composer.page.views import Shared
from composer.summary.memory import Traces, Unknown, activation_memory
from composer.visible import one_line


@dataclass(frozen=True)
class Network:
    """A network on a page.

    graph    None for a network with mistakes
    seconds  measured times, by path
    values   numbers of its nodes that were measured, or that the user gave
    shown    what to show instead of its `view`
    module   the network with its weights, whose distributions the page shows
    words    as for `build_view`
    """

    key: str
    label: str
    sketch: Sketch
    graph: Composition | None = None
    seconds: Mapping[str, float] | None = None
    values: Sequence[Values] = ()
    shown: View | None = None
    module: nn.Module | None = None
    words: Mapping[str, str] | None = None

    @cached_property
    def view(self) -> View:
        """The view of the network with every block open."""
        return build_view(self.sketch, self.words)


@dataclass
class _Page:
    """Tables and files that the networks of a page share while they are written."""

    files: Files
    shared: Shared
    tables: Tables
    insides: Insides
    traces: Traces = field(default_factory=Traces)


def networks_of(
    sketch: Sketch,
    graph: Composition | None,
    seconds: Mapping[str, float] | None = None,
    values: Sequence[Values] = (),
    module: nn.Module | None = None,
) -> list[Network]:
    """The network; if it has rules, also the network without them. For the other arguments see `Network`."""
    if graph is None or graph.plain is graph:
        return [Network("composed", sketch.spec.name, sketch, graph, seconds, values, module=module)]
    plain = Network("base", "without attention", Sketch.of(graph.plain), graph.plain)
    return [Network("composed", "with attention", sketch, graph, seconds, values, module=module), plain]


def page_data(networks: Sequence[Network], wish: Wish | None = None) -> PageData:
    """The data of a page, which shows the first of its networks at the start.

    Raises InputError for a selection that finds nothing.
    """
    wish, first = wish or Wish(), networks[0]
    shown = dict.fromkeys(_open(first, wish))
    files = Files.of_spec(*(network.sketch.spec for network in networks))
    tables = Tables()
    page = _Page(files, Shared(wish.direction, shown), tables, Insides(tables, files))
    written, facts, every = [], dict[str, dict[str, FactsData]](), []
    for network in networks:
        whole, found = facts_of(network.sketch, costs_of(network, page.traces), page.tables, page.files)
        every.append(found)
        # Other networks have only the facts that differ from the first network's.
        known = facts.get(first.key, {})
        facts[network.key] = {path: one for path, one in found.items() if known.get(path) != one}
        written.append(_network(network, whole, page, wish))
        if known:
            written[-1]["absent"] = [path for path in known if path not in found]
    shared = page.shared.tables()
    modes = modes_of([(network.view, found) for network, found in zip(networks, every, strict=True)], first.values)
    data: PageData = {
        "name": first.sketch.spec.name,
        "direction": wish.direction,
        "networks": written,
        "open": list(shown),
        "modes": modes,
        "colour": chosen_mode(wish.colour, modes, first.sketch),
        "ramp": ramp_data(),
        "rules": written[0]["rules"],
        "facts": facts,
        "insides": page.insides.rows,
        "tables": page.tables.to_json(),
        "problems": problems_of(first.sketch.problems, page.files),
        "files": page.files.to_json(),
        "layouts": shared["layouts"],
        "characters": shared["characters"],
    }
    if first.module is not None:
        data["histograms"] = histograms(first.module)
    return data


def failure_data(picture: Picture) -> PageData:
    """The data of a page for a text that makes no network: a box per problem, and the lines of the problems."""
    files, shared = Files.of_problems(picture.problems), Shared(picture.direction)
    (figure,) = picture.figures
    problems = problems_of(picture.problems, files)
    facts: dict[str, FactsData] = {}
    for box, problem in zip(figure.view.boxes, problems, strict=True):
        problem["path"] = box.path
        facts[box.path] = {"op": box.op, "kind": "missing", "parameters": 0, "macs": None, "state": "failed"}
        if "file" in problem:
            facts[box.path]["line"] = (problem["file"], problem["line"])
    network: NetworkData = {
        "key": "composed",
        "label": picture.name,
        "root": shared.view(figure.view),
        "parameters": 0,
        "macs": None,
        "takes": "",
        "gives": "",
        "facts": {"op": picture.name, "kind": "network", "parameters": 0, "macs": None},
        "rules": [],
        "insets": [],
    }
    tables = shared.tables()
    return {
        "name": picture.name,
        "direction": picture.direction,
        "networks": [network],
        "open": [],
        "modes": [],
        "colour": "kind",
        "ramp": ramp_data(),
        "rules": [],
        "facts": {"composed": facts},
        "insides": [],
        "tables": Tables().to_json(),
        "problems": problems,
        "files": files.to_json(),
        "layouts": tables["layouts"],
        "characters": tables["characters"],
    }


def problems_of(problems: Sequence[Diagnostic], files: Files) -> list[ProblemData]:
    """Each problem: its path, message, text as in a terminal, and if known its file and line."""
    found: list[ProblemData] = []
    for problem in problems:
        found.append({"path": problem.path, "message": problem.message, "text": str(problem)})
        line = files.line_at(problem.location)
        if line is not None:
            found[-1]["file"], found[-1]["line"] = line
    return found


def costs_of(network: Network, traces: Traces) -> Costs:
    """The cost of each operation of a network, as far as it is known."""
    if network.graph is None:
        return Costs(seconds=network.seconds)
    try:
        memory = activation_memory(network.graph.root, traces, network.graph.spec.kernels)
    except Unknown:
        memory = None
    return Costs(network.graph.macs, memory, network.seconds)


def _network(network: Network, whole: FactsData, page: _Page, wish: Wish) -> NetworkData:
    view, about = network.view, network.sketch.spec.description
    insets = beside(view, wish.depth or readable_depth(view)) if wish.insets else []
    if network.graph is not None:
        page.shared.within = page.insides.finder(network.graph, page.shared)
    found: NetworkData = {
        "key": network.key,
        "label": network.label,
        "root": page.shared.view(network.shown or view),
        "parameters": whole["parameters"],
        "macs": whole["macs"],
        "takes": ", ".join(view.inputs.values()),
        "gives": ", ".join(edge.shape for edge in view.edges if edge.target.startswith("out:")),
        "facts": whole,
        "rules": list(_rules(network, page.files)),
        "insets": [(inset.box.path, inset.caption) for inset in insets],
    }
    if about:
        found["description"] = about
    if network.graph is not None:
        found["places"] = list(_places(network.graph.root))
    return found


def _places(root: Scope) -> Iterator[tuple[str, int | None, int | None]]:
    """Nodes whose stage or block differs from that of what is around them."""
    known: dict[str, tuple[int | None, int | None]] = {"": (None, None)}
    for place in Places.of(root):
        around = place.node.path
        while around not in known:
            around = around.rpartition(".")[0]
        own = (place.stage, place.block)
        if own != known[around]:
            known[place.node.path] = own
            yield place.node.path, *own


def _open(network: Network, wish: Wish) -> Iterator[str]:
    """Paths of the containers that are open in the static picture, with selected containers and those around them."""
    view = network.view
    shown = opened(view, wish.depth or readable_depth(view))
    found = dict.fromkeys(box.path for box in shown.walk() if box.inner is not None)
    if wish.select is not None:
        wanted = {one.path for one in selected(network.sketch, view, wish.select) if isinstance(one, Box)}
        found |= dict.fromkeys(box.path for box in view.walk() if _leads_to(box.path, wanted))
    yield from found


def _leads_to(path: str, wanted: set[str]) -> bool:
    return any(one == path or one.startswith(f"{path}.") for one in wanted)


def _rules(network: Network, files: Files) -> Iterator[RuleData]:
    """Every rule of the spec, also rules that inserted nothing."""
    added = network.graph.added if network.graph is not None else None
    for number, (rule, origin) in enumerate(network.sketch.spec.every_rule):
        line = files.line_of(origin)
        found: RuleData = {
            "number": number + 1,
            "use": rule.use or "",
            "where": f"{rule.position} {rule.selector}",
            "places": sum(count for box in network.view.boxes for at, _, count in box.holds if at == number),
        }
        if rule.description is not None:
            found["description"] = one_line(rule.description)
        if rule.where is not None:
            found["condition"] = rule.where
        if rule.every is not None:
            every = f", every {rule.every}"
            if rule.where is None:
                found["where"] += every
            else:
                found["condition"] = f"{rule.where}{every}"
        if rule.start is not None:
            found["start"] = rule.start
        if line is not None:
            found["file"], found["line"] = line
        if added is not None:
            found["parameters"], found["macs"] = added[number].parameters, added[number].macs
        yield found
