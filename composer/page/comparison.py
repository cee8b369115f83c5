"""The page of a difference: the network as it is after, a switch to how it was before, and every change marked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from composer.dag.graph import Graph
from composer.dag.sketch import Sketch
from composer.difference import Difference
from composer.difference.render import SIGNS, Told, told
from composer.draw.picture import Wish
from composer.page.data import Network, page_data
from composer.page.render import static_picture, table, uncollected, write_page
from composer.page.tables import Json


def render_difference(difference: Difference, theme: str = "auto") -> str:
    """The page of what differs between two networks."""
    before, after = difference.before, difference.after
    networks = [_network("composed", "after", after), _network("base", "before", before)]
    changes, wish = told(difference), Wish()
    with uncollected():
        data = page_data(networks, wish)
        data["changes"] = [_change(one) for one in changes]
        data["totals"] = [[name, *numbers] for name, *numbers in difference.totals]
        data["name"] = f"{before.spec.name} → {after.spec.name}"
        picture = replace(static_picture(networks[0], wish), name=data["name"])
        return write_page(picture, data, theme, list(_without_script(changes)))


def _network(key: str, label: str, graph: Graph) -> Network:
    return Network(key, f"{label}: {graph.spec.name}", Sketch.of(graph), graph)


def _change(one: Told) -> Json:
    """Changes of one sort, with their paths before and after: those that are there."""
    return {
        "kind": one.kind,
        "nodes": one.nodes,
        "operation": one.operation,
        "what": one.what,
        "parameters": one.parameters,
        "macs": one.macs,
        "before": [change.before for change in one.changes if change.before is not None],
        "after": [change.after for change in one.changes if change.after is not None],
    }


def _without_script(changes: list[Told]) -> Iterator[str]:
    yield "<h2>Changes</h2>"
    rows = [
        (SIGNS[one.kind][0], one.nodes, one.operation, len(one.changes), one.what, f"{one.parameters:+,}")
        for one in changes
    ]
    yield table(("", "nodes", "operation", "×", "what", "parameters"), rows)
