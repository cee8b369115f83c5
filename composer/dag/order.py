"""The nodes of a scope: their inputs, the order in which they run, and whether each is needed."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from composer.dag.nodes.step import Body
from composer.dag.scope import Node, Scope
from composer.errors import Diagnostic, one_of

if TYPE_CHECKING:
    import networkx as nx


def running_order(inputs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The nodes in the order written, except that each runs after its inputs. They must not form a circle."""
    graph = _backwards(inputs)
    if graph is None:
        return list(inputs)
    import networkx as nx

    return list(nx.lexicographical_topological_sort(graph, key=_positions(inputs).__getitem__))


def circle_of(inputs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Nodes that feed one another in a circle, in order, the first declared first; empty if there are none."""
    graph = _backwards(inputs)
    if graph is None:
        return []
    import networkx as nx

    if nx.is_directed_acyclic_graph(graph):
        return []
    cycle = [source for source, _ in nx.find_cycle(graph)]
    start = cycle.index(min(cycle, key=_positions(inputs).__getitem__))
    return [*cycle[start:], *cycle[:start]]


def _positions(inputs: Iterable[str]) -> dict[str, int]:
    return {name: index for index, name in enumerate(inputs)}


def _backwards(inputs: Mapping[str, tuple[str, ...]]) -> nx.DiGraph[str] | None:
    """The edges between nodes; None if every node takes only nodes that are written before it."""
    position = _positions(inputs)
    edges = [(node_of(reference), name) for name, references in inputs.items() for reference in references]
    edges = [(source, name) for source, name in edges if source in position]
    if all(position[source] < position[name] for source, name in edges):
        return None
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph(edges)
    graph.add_nodes_from(inputs)
    return graph


def node_of(reference: str) -> str:
    """The node (or input) of a reference `node` or `node.output`."""
    return reference.partition(".")[0]


def check_use(
    scope: Scope, written: Mapping[str, tuple[str, ...]], body: Body, wanted: Container[str]
) -> Iterator[Diagnostic]:
    """Problems: `wanted` nodes that lead to no output, and outputs that depend on no input."""
    used = {node_of(reference) for reference in scope.outputs.values()}
    for name, node in reversed(list(scope.nodes.items())):
        if name in used:
            used.update(map(node_of, node.inputs))
    for name, node in scope.nodes.items():
        # A node that is left out costs nothing.
        if name not in wanted or name in used or node.content is None:
            continue
        followers = (scope.nodes[one] for one in scope.graph.successors(node.tail or name))
        # In an unused chain, only its end is reported.
        if any(one.content is not None for one in followers):
            continue
        idle = [one for one, references in written.items() if name in map(node_of, references)]
        idle = [one for one in idle if one in scope.nodes and scope.nodes[one].content is None]
        help = "name it in another node's `from`, or in `outputs`, or remove it"
        if idle:
            help = _left_out(name, idle, written[idle[0]])
        yield node.origin.problem("unused", f"nothing uses node `{name}`", help=(help,), key=True, path=node.path)
    for copy in _unused_copies(scope, [name for name, spec in body.specs.items() if spec.repeat and name in wanted]):
        hint = (f"`{copy.path.split('.')[-2]}.*` in a `from` takes all copies",)
        yield copy.origin.problem("unused", f"nothing uses the copy `{copy.path}`", help=hint, key=True, path=copy.path)
    if scope.outputs and not used & set(scope.inputs):
        help = f"begin a chain of nodes with `from: {next(iter(scope.inputs))}`"
        text = f"the output of `{scope.block}` does not depend on its input"
        yield (body.origin / "nodes").problem("unreachable", text, help=(help,), key=True, path=scope.path)


def _unused_copies(scope: Scope, repeats: Iterable[str]) -> Iterator[Node]:
    """The copies in these repeats that lead neither to the output of their repeat nor to a reference into it."""
    scopes = {name: scope.nodes[name].content for name in repeats if name in scope.nodes}
    used: dict[str, set[str]] = {name: set() for name, inner in scopes.items() if isinstance(inner, Scope)}
    for reference in chain(scope.outputs.values(), *(node.inputs for node in scope.nodes.values())):
        name, _, rest = reference.partition(".")
        if name in used and isinstance(inner := scopes[name], Scope):
            within = inner.nodes.get(node_of(rest))
            # A path means what comes out of a node's adapters.
            taken = {within.name, within.tail or within.name} if within else map(node_of, inner.outputs.values())
            used[name].update(taken)
    for name, needed in used.items():
        inner = scopes[name]
        assert isinstance(inner, Scope), "other repeats have no copies"
        for copy in reversed(list(inner.nodes.values())):
            needed.update(map(node_of, copy.inputs) if copy.name in needed else ())
        # If nothing uses the repeat at all, the repeat is reported.
        yield from (copy for copy in inner.nodes.values() if needed and copy.name not in needed)


def _left_out(name: str, idle: Sequence[str], given: Sequence[str]) -> str:
    """Help for a node whose only consumers are left out by their `when`."""
    text = f"{one_of(idle)} would use it but is left out here by its `when`"
    others = [one for one in given if node_of(one) != name]
    if not others:
        return f"{text}; give `{name}` the same `when`"
    first = ", ".join([name, *others])
    return (
        f"{text} and passes on `{given[0]}`;\n"
        f"write `from: [{first}]` to pass `{name}` on, or give `{name}` the same `when`"
    )
