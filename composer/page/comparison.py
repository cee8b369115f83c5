"""The page of a difference: both networks beside each other, or one with a switch to the other; changes are marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from composer.dag.composition import Composition
from composer.dag.sketch import Sketch
from composer.difference import Difference
from composer.difference.render import SIGNS, Told, told
from composer.draw.picture import Wish
from composer.page.data import Network, page_data
from composer.page.ghosts import with_ghosts
from composer.page.render import boxes_in, static_picture, table, uncollected, write_page
from composer.page.schema import ChangeData, PageData


def render_difference(difference: Difference, theme: str = "auto") -> str:
    """The HTML page of the differences between two networks."""
    networks = _networks(difference)
    with uncollected():
        data = difference_data(difference, networks)
        picture = replace(static_picture(networks[0], Wish()), name=data["name"], description="", num_parameters=0)
        return write_page(picture, data, theme, list(_without_script(told(difference))))


def difference_data(difference: Difference, networks: list[Network] | None = None) -> PageData:
    """The data of its page: `page_data`, with the `changes`, the `pairs`, and the `totals` before and after.

    The network after has boxes for what was removed, which look as ghosts.
    """
    after, before = networks or _networks(difference)
    shown, removed = with_ghosts(after.view, before.view, difference)
    data = page_data([replace(after, shown=shown), before])
    for box in boxes_in(data["networks"][0]["root"]):
        if box["path"] in removed:
            box["look"] = "ghost"
    data["name"] = f"{difference.before.spec.name} → {difference.after.spec.name}"
    data["changes"] = [_change(one) for one in told(difference)]
    data["pairs"] = [*_renamed(difference.pairs)]
    data["totals"] = [[name, *numbers] for name, *numbers in difference.totals]
    return data


def _renamed(pairs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of paths, but for those that follow from the pair of the blocks around: only their names are equal."""
    for before, after in pairs.items():
        around, _, name = before.rpartition(".")
        if after != (f"{pairs.get(around, around)}.{name}" if around else name):
            yield before, after


def _networks(difference: Difference) -> list[Network]:
    """The network after, then the network before: a page shows its first network at the start.

    What changed is no copy of what did not: an added block stands beside its equals.
    """
    after = {one.after: one.kind for one in difference.changes if one.after is not None}
    before = {one.before: one.kind for one in difference.changes if one.before is not None}
    return [
        _network("composed", "after", difference.after, after),
        _network("base", "before", difference.before, before),
    ]


def _network(key: str, label: str, graph: Composition, words: Mapping[str, str]) -> Network:
    return Network(key, f"{label}: {graph.spec.name}", Sketch.of(graph), graph, words=words)


def _change(one: Told) -> ChangeData:
    """Equal changes, with their paths before (without added nodes) and after (without removed nodes)."""
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
