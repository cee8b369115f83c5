"""A graph as rows of a table: a tree of its nodes, with repeated nodes in a single row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

from composer.alike import Alike
from composer.dag.composition import Composition
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.spec import zoo
from composer.summary.cost import Cost

Output = TensorSpec | Mapping[str, TensorSpec]


@dataclass(frozen=True)
class Row:
    """A node, or equal nodes of a scope, and their cost together.

    names   names of the nodes in their scope; `path` is that of the first
    count   number of nodes in the network that the row stands for; rows inside a row multiply
    output  output of each node
    cost    of all the nodes; equals the sum of the rows below
    time    seconds of all the nodes, the sum of the rows below; None if not measured
    rule    number of the attention rule that inserted them, from 0; None for nodes of the backbone
    uses    mechanisms that rules inserted here or inside
    source  file:line where they are written; empty for a spec without a file
    shares  child of their module, "" for all of it -> path of the node that owns what they call there
    """

    names: tuple[str, ...]
    path: str
    op: str
    count: int
    output: Output
    cost: Cost
    time: float | None = None
    rule: int | None = None
    uses: tuple[str, ...] = ()
    options: Mapping[str, Any] | None = None
    source: str = ""
    rows: tuple[Row, ...] = ()
    shares: Mapping[str, str] = field(default_factory=dict)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Row]]:
        """This row and all rows below, each with its depth."""
        yield depth, self
        for row in self.rows:
            yield from row.walk(depth + 1)

    def to_json(self) -> dict[str, Any]:
        """The row and all rows below as plain JSON values."""
        return {
            "path": self.path,
            "names": list(self.names),
            "op": self.op,
            "count": self.count,
            "output": _shapes(self.output),
            **self.cost.to_json(),
            "time": self.time,
            "rule": self.rule,
            "uses": list(self.uses),
            "options": None if self.options is None else dict(self.options),
            "source": self.source,
            "shares": dict(self.shares),
            "rows": [row.to_json() for row in self.rows],
        }


def _shapes(output: Output) -> Any:
    if isinstance(output, TensorSpec):
        return list(output.without_batch)
    return {name: list(tensor.without_batch) for name, tensor in output.items()}


def root_row(graph: Composition, memory: Mapping[str, int] | None, time: Mapping[str, float] | None = None) -> Row:
    """The row of the whole network. `memory` (bytes) and `time` (seconds) are by path; None if not known."""
    outputs = graph.outputs
    output = outputs if len(outputs) > 1 else next(iter(outputs.values()))
    made = _Rows(graph.macs, memory, time, Alike(rules=True).numbers(graph.root))
    rows = made.below([graph.root])
    name = graph.spec.name
    return Row(
        (name,), "", "", 1, output, _sum(row.cost for row in rows), made.total(rows), uses=_uses(rows), rows=rows
    )


@dataclass(frozen=True)
class _Rows:
    """Makes rows from numbers by path."""

    macs: Mapping[str, int | None]
    memory: Mapping[str, int] | None
    time: Mapping[str, float] | None
    alike: Mapping[str, int]

    def below(self, scopes: Sequence[Scope]) -> tuple[Row, ...]:
        """The rows of equal scopes."""
        first = scopes[0]
        return tuple(
            self.row(names, [scope.parts[name] for scope in scopes for name in names])
            for names in folded(first, self.alike)
        )

    def row(self, names: tuple[str, ...], nodes: Sequence[Node]) -> Row:
        """The row of equal nodes."""
        first = nodes[0]
        scopes = [node.content for node in nodes if isinstance(node.content, Scope)]
        rows = self.below(scopes) if scopes else ()
        cost = _sum(row.cost for row in rows) if scopes else _sum(map(self.cost, nodes))
        return Row(
            names=names,
            path=first.path,
            op=operation(first),
            count=len(nodes),
            output=first.output,
            cost=cost,
            time=self.total(rows) if scopes else self.seconds(nodes),
            rule=first.rule,
            uses=(*_use(first), *_uses(rows)),
            options=first.content.options if isinstance(first.content, Operation) else None,
            source=_source(first),
            rows=rows,
            shares=first.told_shares,
        )

    def cost(self, node: Node) -> Cost:
        assert isinstance(node.content, Operation)
        # A node that its scope only holds is called by others, and costs nothing but its parameters.
        memory = None if self.memory is None else self.memory.get(node.path, 0)
        return Cost(node.content.num_parameters, self.macs.get(node.path, 0), memory)

    def seconds(self, nodes: Sequence[Node]) -> float | None:
        return None if self.time is None else sum(self.time.get(node.path, 0.0) for node in nodes)

    def total(self, rows: Iterable[Row]) -> float | None:
        return None if self.time is None else sum(row.time or 0.0 for row in rows)


def folded(scope: Scope, alike: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Names of a scope's nodes in running order, grouped by row; nodes that compute nothing are left out.

    Equal copies from one line of a spec share a row, even if other nodes stand between them; other nodes share a row
    only with equal neighbours.
    """
    groups: list[list[str]] = []
    joinable: dict[int, list[str]] = {}
    written, previous = None, (-1, list[str]())
    for node in scope.parts.values():
        if node.content is None:
            continue
        if node.rule is None and node.origin.path != written:
            written, joinable = node.origin.path, dict([previous])
        number = alike[node.path]
        if number not in joinable:
            joinable[number] = []
            groups.append(joinable[number])
        joinable[number].append(node.name)
        previous = number, joinable[number]
    return [tuple(names) for names in groups]


def operation(node: Node) -> str:
    """The operation or block; for a scope that holds only copies of a node, their number and the node's operation."""
    if not isinstance(node.content, Scope):
        return node.op
    copies = [child for child in node.content.nodes.values() if child.rule is None]
    origins = {child.origin.path for child in copies}
    if len(origins) != 1 or (len(copies) == 1 and node.origin.path not in origins):
        return node.op
    return f"{len(copies)} × {'/'.join(dict.fromkeys(child.op for child in copies))}"


def _uses(rows: Iterable[Row]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(use for row in rows for use in row.uses))


def _use(node: Node) -> tuple[str, ...]:
    return (node.op,) if node.role == "used" else ()


def _sum(costs: Iterable[Cost]) -> Cost:
    return reduce(add, costs, Cost())


def _source(node: Node) -> str:
    location = node.origin.location(key=True)
    return f"{zoo.portable(location.source.name)}:{location.line}" if location else ""
