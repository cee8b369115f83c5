"""Pictures of random graphs are no wider than Graphviz makes them of the same boxes at the same distances."""

from __future__ import annotations

import shutil
import statistics
import subprocess

import pytest

from composer.draw.layout import lay_out
from composer.draw.layout.metrics import SCREEN
from composer.draw.layout.topology import items_of

INCH = 72


def width_by_dot(view, layout):
    """The width of the graph in pixels, as dot lays it out."""
    ids = {name: f"n{index}" for index, name in enumerate(items_of(view))}
    lines = [f'digraph {{ nodesep={SCREEN.box / INCH} node [shape=box fixedsize=true label=""]']
    for placed in layout.boxes:
        lines.append(f"{ids[placed.name]} [width={placed.width / INCH} height={placed.height / INCH}]")
    lines += [f"{ids[edge.source]} -> {ids[edge.target]}" for edge in view.edges]
    told = subprocess.run(
        ["dot", "-Tplain"], input="\n".join([*lines, "}"]), capture_output=True, text=True, check=True
    )
    return float(told.stdout.split()[2]) * INCH


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize(("size", "density"), [(15, 0.5), (30, 0.5), (30, 1.5), (60, 1.5)])
def test_a_random_graph_is_no_wider_than_dot_makes_it(make, size, density):
    ratios = []
    for seed in range(20):
        view = make.random_view(seed, size, density, 0)
        layout = lay_out(view, role="whole")
        ratios.append(layout.width / width_by_dot(view, layout))
    assert statistics.median(ratios) <= 1
    assert max(ratios) <= 1.15


def test_a_crowded_layer_gives_items_to_the_layers_below(make):
    leaves = [f"leaf{index}" for index in range(6)]
    chain = ["a", "b", "c", "d"]
    wires = [("in:input", "a"), ("a", "b"), ("b", "c"), ("c", "d"), ("d", "out:output")]
    view = make.view([make.box(name) for name in [*chain, *leaves]], [*wires, *(("a", name) for name in leaves)])
    rows = [placed.y for placed in lay_out(view, role="whole").boxes if placed.name in leaves]
    assert max(map(rows.count, rows)) < len(leaves)


def test_branches_that_fit_stay_beside_each_other(make):
    names = ["one", "two", "three"]
    wires = [("in:input", name) for name in names] + [(name, "sum") for name in names]
    view = make.view([make.box(name) for name in [*names, "sum"]], [*wires, ("sum", "out:output")])
    layout = lay_out(view, role="whole")
    assert len({placed.y for placed in layout.boxes if placed.name in names}) == 1
