"""What stands at a position, in Markdown: meaning, maths, shapes and cost at this place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from composer.amounts import millions, plural, share, three_figures
from composer.docstring import link, sections
from composer.index.card import card
from composer.live.cursor import Spot
from composer.live.grammar import Grammar
from composer.live.inlays import grown, result, shape
from composer.live.reading import Instance, Reading
from composer.spec.document import Keys
from composer.spec.model import POSITIONS
from composer.spec.sites import MEANINGS

if TYPE_CHECKING:
    from composer.network import Graph

# Rows of a table; a block that stands in many places has many alike.
MOST_ROWS = 8
# Parts of a docstring, in the order in which they are told.
TOLD = ("Math", "Shape", "Params", "MACs", "Source", "Departs")


@dataclass(frozen=True)
class Hover:
    """Answers for places of one text.

    reading  the last reading of it that has a network, or the last one
    grammar  of the language
    """

    reading: Reading
    grammar: Grammar

    def at(self, spot: Spot) -> str:
        """Markdown; empty if nothing is known of the place."""
        return "\n\n".join(filter(None, self._told(spot)))

    def _told(self, spot: Spot) -> Iterator[str]:
        path, value = spot.path, spot.value.data
        key = next((step for step in reversed(path) if isinstance(step, str)), "")
        if spot.is_key:
            if path[-2:-1] in (("nodes",), ("blocks",)):
                yield f"**{key}**"
            else:
                yield from self._key(path, spot)
            yield from self._node(path)
            return
        if path[-2:-1] == ("nodes",) or (key in ("op", "use") and isinstance(value, str)):
            yield from documentation(value)
            yield from self._node(path if path[-2:-1] == ("nodes",) else path[:-1])
        elif key == "backbone":
            yield from self._backbone(str(value))
        elif key in POSITIONS and "attention" in path:
            yield from self._place(str(value))
        else:
            yield from self._key(path, spot)
        rule = path[: path.index("attention") + 2] if "attention" in path else path
        if rule in self.reading.rules:
            yield self._rule(self.reading.rules[rule])

    def _key(self, path: Keys, spot: Spot) -> Iterator[str]:
        name = path[-1] if path else ""
        if path[-2:-1] == ("vars",):
            yield from self._var(str(name))
            return
        about, kinds = self.grammar.meaning(path, spot.document.plain())
        if about or kinds:
            yield f"**{name}**{f' — {kinds}' if kinds else ''}"
            yield about
        yield from self._values(path)

    def _var(self, name: str) -> Iterator[str]:
        spec = self.reading.spec
        if spec is None or name not in spec.kinds:
            return
        from composer.schema import describe

        kind = spec.kinds[name]
        yield f"**{name}** — {describe(kind.schema())}"
        yield kind.description or ""
        yield f"here: `{spec.vars.get(name)}`"

    def _values(self, path: Keys) -> Iterator[str]:
        """The values that an option of a node has in the network."""
        found = []
        for one in self.reading.instances.get(path[:-1], ()):
            arguments: Mapping[str, Any] = getattr(one.node.content, "arguments", {})
            if path[-1] in arguments:
                found.append(f"`{arguments[str(path[-1])]}`")
        several = list(dict.fromkeys(found))
        if several:
            yield f"here: {', '.join(several[:MOST_ROWS])}{', …' if len(several) > MOST_ROWS else ''}"

    def _node(self, path: Keys) -> Iterator[str]:
        instances = self.reading.instances.get(path, ())
        if instances and self.reading.graph is not None:
            yield table(instances, self.reading.graph)

    def _backbone(self, name: str) -> Iterator[str]:
        spec, graph = self.reading.spec, self.reading.graph
        yield f"**{name}**"
        if spec is not None and len(spec.files) > 1:
            content = spec.files[1].content
            yield content.description or spec.files[1].origin.document.comment.partition("\n")[0]
        if graph is not None:
            plain, whole = graph.plain, graph
            yield f"alone: {_cost(plain.num_parameters, plain.num_macs)}"
            if whole is not plain:
                yield f"with the rules: {_cost(whole.num_parameters, whole.num_macs)}"

    def _place(self, selector: str) -> Iterator[str]:
        if selector in MEANINGS:
            yield f"**{selector}** — {MEANINGS[selector]}"
        graph = self.reading.graph
        if graph is None:
            return
        places = graph.plain.places.select(selector)
        if places:
            found = [f"`{path}`" for path in places.paths]
            shown = found if len(found) <= MOST_ROWS else [*found[: MOST_ROWS - 1], "…", found[-1]]
            yield f"{plural(len(found), 'place')}: {', '.join(shown)}"

    def _rule(self, number: int) -> str:
        graph = self.reading.graph
        if graph is None or not self.reading.added:
            return ""
        added, before = self.reading.added[number], graph.steps[number]
        percent = share(added.parameters, before.num_parameters)
        lines = [f"{plural(len(added.places), 'place')}: {grown(added.parameters)} parameters ({percent})"]
        if added.macs is not None:
            lines[0] += f", {grown(added.macs)} MACs ({share(added.macs, before.num_macs)})"
        wanted = set(added.places)
        found: dict[str, list[int]] = {}
        for node in graph.root.walk():
            if node.path in wanted and node.content is not None:
                found.setdefault(result(node), []).append(node.content.num_parameters)
        rows = [(name, len(costs), costs[0]) for name, costs in found.items()]
        lines += [f"- {count} × {name}: {three_figures(one)} parameters each" for name, count, one in rows[:MOST_ROWS]]
        return "\n".join(lines)


def documentation(name: object) -> Iterator[str]:
    """What the registry says of a mechanism or layer: its summary, and the parts of its docstring."""
    known = card(name) if isinstance(name, str) else None
    if known is None:
        return
    yield f"**{known.name}** — {known.kind} {known.category}"
    yield known.summary
    parts = sections(known.doc)
    rows = [f"{word}: {parts[word]}" for word in TOLD if word in parts]
    if rows:
        yield "```text\n" + "\n".join(rows) + "\n```"
    if address := link(parts.get("Source", "")):
        yield f"<{address}>"


def table(instances: Sequence[Instance], graph: Graph) -> str:
    """What the instances of a node take, give and cost; alike ones in one row."""
    rows: dict[tuple[str, ...], int] = {}
    for one in instances:
        taken = ", ".join(map(shape, one.inputs))
        content = one.node.content
        own = content.num_parameters if content is not None else 0
        row = (one.node.op, taken, result(one.node), three_figures(own), _macs(graph, one.node.path))
        rows[row] = rows.get(row, 0) + 1
    lines = ["| operation | takes | gives | parameters | MACs | × |", "| --- | --- | --- | ---: | ---: | ---: |"]
    lines += [f"| {' | '.join(row)} | {count} |" for row, count in list(rows.items())[:MOST_ROWS]]
    return "\n".join([*lines, *(["…"] if len(rows) > MOST_ROWS else [])])


def _macs(graph: Graph, path: str) -> str:
    costs = [cost for name, cost in graph.macs.items() if f"{name}.".startswith(f"{path}.")]
    return "?" if None in costs else three_figures(sum(cost for cost in costs if cost is not None))


def _cost(parameters: int, macs: int | None) -> str:
    return f"{millions(parameters)} parameters, {millions(macs)} MACs"
