"""Where everything stands: nothing overlaps, wires touch what they join and nothing else, bytes never change."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.draw.layout import Known, Layout, Placed, Wire, lay_out
from composer.draw.layout.topology import diagram_of
from composer.draw.view import Edge, opened

NETWORKS = [
    "resnet18",
    "papers/cbam/mobilenetv2_100",
    "vit_base_patch16_224",
    "papers/bam/resnet50",
    "densenet121",
    "nas_cell",
    "unet",
]


@pytest.mark.parametrize("direction", ["TB", "LR"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_no_faults_at_any_depth(view_of, faults, name, direction):
    view = view_of(name)
    for depth in (1, 2, 3, 9):
        shown = opened(view, depth)
        assert faults(lay_out(shown, direction, role="whole"), shown) == []


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 16), st.sampled_from([0.3, 1.0, 2.5]), st.sampled_from(["TB", "LR"]))
def test_random_graphs_have_no_faults(faults, make, seed, size, density, direction):
    view = make.random_view(seed, size, density)
    for role in ("whole", "alone", "nested"):
        assert faults(lay_out(view, direction, role=role), view) == []


@pytest.mark.parametrize("seed", [400, 548])
def test_wires_that_want_each_others_way_still_do_not_share_it(faults, make, seed):
    view = make.random_view(seed, 2 + seed % 23, (0.3, 0.8, 1.5, 3)[seed % 4])
    assert faults(lay_out(view, role="whole"), view) == []


def test_the_search_for_faults_can_find_some(faults, make):
    view = make.view([make.box("a"), make.box("b")], [("in:input", "a"), ("a", "b"), ("b", "out:output")])
    right = lay_out(view, role="whole")
    assert faults(right, view) == []

    def found(**changes):
        return " ".join(faults(replace(right, **changes), view))

    a, b = (placed for placed in right.boxes if ":" not in placed.name)
    rest = tuple(placed for placed in right.boxes if ":" in placed.name)
    assert "overlap" in found(boxes=(a, replace(b, y=a.y), *rest))
    assert "outside" in found(boxes=(a, replace(b, x=-1), *rest))
    first, *others = right.wires
    (x, y), end = first.points
    assert "runs aslant" in found(wires=(replace(first, points=((x, y), (end[0] + 1, end[1]))), *others))
    assert "does not touch" in found(wires=(replace(first, points=((x, y - 1), end)), *others))
    middle = next(wire for wire in right.wires if wire.edge.source == "a")
    through = replace(middle, points=((a.x + 3, a.y), (a.x + 3, a.y + a.height), *middle.points[1:]))
    assert "runs through a" in found(wires=(through, *(wire for wire in right.wires if wire is not middle)))
    twice = Wire(Edge("in:input", "", "b", 1), ((x, y), end))
    other = replace(view, edges=(*view.edges, twice.edge))
    assert faults(replace(right, wires=(*right.wires, twice)), other)
    stolen = replace(twice, edge=replace(twice.edge, source="a"))
    assert any(
        "share a stretch" in fault
        for fault in faults(
            replace(right, wires=(*right.wires, stolen)), replace(view, edges=(*view.edges, stolen.edge))
        )
    )
    label = replace(right.labels[0], y=a.y + 10)
    assert "stands on a" in found(labels=(label,))


def test_the_spine_is_straight(view_of):
    layout = lay_out(opened(view_of("papers/cbam/mobilenetv2_100"), 2), role="whole")
    middles = {box.x + box.width // 2 for box in layout.boxes}
    assert len(middles) == 1
    assert all(len(wire.points) == 2 for wire in layout.wires)


def test_skips_of_a_u_lie_within_one_another(view_of):
    layout = lay_out(opened(view_of("unet"), 1), role="whole")
    skips = {wire.edge.source: max(x for x, _ in wire.points) for wire in layout.wires if wire.edge.index == 1}
    assert skips["down3"] < skips["down2"] < skips["down1"]


def test_branches_stand_as_they_are_declared(make):
    names = ["c", "a", "b"]
    boxes = [make.box(name) for name in names] + [make.box("end")]
    wires = [("in:input", name) for name in names] + [(name, "end") for name in names] + [("end", "out:output")]
    layout = lay_out(make.view(boxes, wires), role="whole")
    by_x = sorted((placed for placed in layout.boxes if placed.name in names), key=lambda placed: placed.x)
    assert [placed.name for placed in by_x] == names
    # The middle one of three is on the spine.
    assert {p.x + p.width // 2 for p in layout.boxes if p.name in ("a", "end", "in:input", "out:output")} == {
        by_x[1].x + by_x[1].width // 2
    }


def before(one: Placed, other: Placed) -> tuple[int, int]:
    """Whether a box stands above another one, and whether to its left."""
    return one.y + one.height <= other.y, one.x + one.width <= other.x


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**9), st.integers(3, 14))
def test_nothing_changes_places_when_a_container_opens(make, seed, size):
    view = make.random_view(seed, size, 1.0, depth=1)
    closed, known = opened(view, 1), Known()
    assert diagram_of(view) == diagram_of(closed)
    small, large = lay_out(closed, known=known, role="whole"), lay_out(view, known=known, role="whole")
    stands = {placed.name: placed for placed in large.boxes}
    for one, other in combinations(small.boxes, 2):
        now, then = before(one, other), before(stands[one.name], stands[other.name])
        above, left = now
        if above:
            assert then[0]
        elif one.y == other.y and left:
            assert then[1]


def test_a_box_with_a_colon_in_its_name_is_a_box(make):
    view = make.view([make.box("in:a")], [("in:input", "in:a"), ("in:a", "out:output")])
    layout = lay_out(view, role="alone")
    assert [placed.name for placed in layout.boxes] == ["in:a"]
    assert layout.ports.keys() == {"in:input", "out:output"}


def test_a_container_looks_the_same_wherever_it_stands(make):
    inner = make.random_view(3, 8, 1.0, 0)
    box = make.box("box", inner=inner)
    alone = lay_out(make.view([box], [("in:input", "box"), ("box", "out:output")]), role="whole")
    beside = lay_out(
        make.view([make.box("x"), box], [("in:input", "x"), ("x", "box"), ("x", "out:output")]), role="whole"
    )

    def of(layout: Layout) -> Layout | None:
        return next(placed.inside for placed in layout.boxes if placed.name == "box")

    assert of(alone) == of(beside)


def test_containers_of_one_form_are_laid_out_once(view_of, monkeypatch):
    known = Known()
    view = opened(view_of("resnet18"), 3)
    lay_out(view, known=known, role="whole")
    blocks = sum(box.inner is not None for box in view.walk())
    # Blocks with and without a projection, stages of one folded box and of two, and the network itself.
    assert len(known.arrangements) < blocks
    count = len(known.routes)
    lay_out(view, known=known, role="whole")
    assert len(known.routes) == count


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_the_same_layout_whatever_the_hashes(view_of, tmp_path, direction):
    (tmp_path / "view").write_bytes(pickle.dumps(view_of("papers/sk/resnext50_32x4d")))
    code = f"""
import pickle
from composer.draw.layout import lay_out
print(lay_out(pickle.load(open("view", "rb")), {direction!r}, role="whole"))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, "PYTHONHASHSEED": seed},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert "layer1" in found.pop()


def long_view(make, size):
    """A chain with shortcuts, every tenth of them a long one."""
    wires = [("in:input", "n0"), *((f"n{index}", f"n{index + 1}") for index in range(size - 1))]
    wires += [(f"n{index}", f"n{index + 4}") for index in range(0, size - 4, 4)]
    wires += [(f"n{index}", f"n{size - 1 - index // 2}") for index in range(0, size // 2, 40)]
    boxes = [make.box(f"n{index}") for index in range(size)]
    return make.view(boxes, [*wires, (f"n{size - 1}", "out:output")])


def test_time_grows_with_the_number_of_nodes(make):
    """A ratio, since no two machines take the same time."""

    def seconds(size: int) -> float:
        view, times = long_view(make, size), []
        for _ in range(2):
            start = time.process_time()
            lay_out(view, role="whole")
            times.append(time.process_time() - start)
        return min(times)

    # Ten times the boxes in some ten times the time; a hundred times would be the square.
    assert seconds(3000) < 30 * seconds(300)


def test_a_large_graph_has_no_faults_either(make, faults):
    view = long_view(make, 300)
    assert faults(lay_out(view, role="whole"), view) == []


def test_what_is_too_long_to_bend_goes_beside(make, faults, monkeypatch):
    monkeypatch.setattr("composer.draw.layout.rank.FREE_BENDS", 0)
    monkeypatch.setattr("composer.draw.layout.rank.BENDS_PER_ITEM", 0)
    view = long_view(make, 60)
    layout = lay_out(view, role="whole")
    assert faults(layout, view) == []
    right = max(placed.x + placed.width for placed in layout.boxes)
    assert any(max(x for x, _ in wire.points) > right for wire in layout.wires)
