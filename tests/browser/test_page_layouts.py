"""Where everything stands on a page, whatever is open: as Python laid it out, or stretched, and then without a fault.

In Node.js, or else in a browser.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from draw.conftest import find_faults

import composer
from composer.dag.sketch import sketch
from composer.draw.build import build_view
from composer.draw.layout import Label, Layout, Placed, Wire, lay_out
from composer.draw.layout.sizing import Direction
from composer.draw.layout.topology import diagram_of, items_of
from composer.draw.text import advance, fit, width
from composer.draw.view import View, opened, opened_at
from composer.page.views import Shared
from composer.visible import visible

CLIENT = Path(__file__).parents[2] / "composer/page/client/src"
MISTAKES = Path(__file__).parents[1] / "dag/messages"
MODULE = Path(__file__).with_name("layouts.mjs")
NETWORKS = [
    "resnet50",
    "papers/cbam/resnet50",
    "papers/bam/resnet50",
    "papers/sk/resnext50_32x4d",
    "papers/cbam/mobilenetv2_100",
    "densenet121",
    "googlenet",
    "inception_v3",
    "mobilenetv3_large_100",
    "convnext_tiny",
    "vit_base_patch16_224",
    "swin_tiny_patch4_window7_224",
    "shufflenet_v2_x1_0",
    "efficientnet_b0",
    "nas_cell",
    "unet",
]


def in_node(node: str, given: dict[str, Any]) -> Any:
    code = f"""
import {{ readFileSync }} from "node:fs";
import {{ answer }} from "{MODULE.as_uri()}";
process.stdout.write(JSON.stringify(await answer(JSON.parse(readFileSync(0, "utf8")), "{CLIENT.as_uri()}")));
"""
    command = [node, "--input-type=module", "-e", code]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_browser(browser: Any, given: dict[str, Any]) -> Any:
    """Modules need an address of their own: one that is answered from disk."""
    page = browser.new_page()

    def answer(route: Any) -> None:
        path = urlsplit(route.request.url).path
        file = MODULE if path == "/layouts.mjs" else CLIENT / path.removeprefix("/client/")
        body = file.read_text(encoding="utf-8") if path != "/" else ""
        route.fulfill(body=body, content_type="text/javascript" if body else "text/html")

    page.route("**/*", answer)
    page.goto("http://page.test/")
    call = "async given => JSON.stringify(await (await import('/layouts.mjs')).answer(JSON.parse(given), '/client'))"
    found = json.loads(page.evaluate(call, json.dumps(given)))
    page.close()
    return found


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest) -> Callable[[dict[str, Any]], Any]:
    """What the client's modules make of cases: in Node.js, or else in a browser."""
    node = shutil.which("node")
    if node is not None:
        return partial(in_node, node)
    return partial(in_browser, request.getfixturevalue("browser"))


def some_open(view: View, chance: random.Random) -> set[str]:
    """Some containers, and those around them."""
    share = chance.choice((0.1, 0.3, 0.6, 1.0))
    found: set[str] = set()

    def walk(view: View) -> None:
        for box in view.boxes:
            if box.inner is not None and chance.random() < share:
                found.add(box.path)
                walk(box.inner)

    walk(view)
    return found


@dataclass(frozen=True)
class Case:
    """A network, states of it that are asked for, and what is open at first: paths of containers."""

    view: View
    states: Sequence[Set[str]]
    first: Set[str] = frozenset()

    def plain(self, direction: Direction) -> dict[str, Any]:
        shared = Shared(direction, self.first)
        root = shared.view(self.view)
        data = {"root": root, **shared.tables(), "direction": direction, "open": sorted(self.first)}
        return {**data, "states": [sorted(state) for state in self.states]}


def answers(client: Any, direction: Direction, cases: Sequence[Case]) -> Iterator[tuple[View, Layout]]:
    """What the client makes of each case in each of its states, and the view that this is the layout of."""
    found = client({"cases": [case.plain(direction) for case in cases], "texts": []})["found"]
    for case, some in zip(cases, found, strict=True):
        for state, one in zip(case.states, some, strict=True):
            shown = opened_at(case.view, state)
            yield shown, layout_of(one, shown)


def layout_of(found: dict[str, Any], view: View) -> Layout:
    """A layout of the client's as one of Python's."""
    items, names = items_of(view), {box.path: box for box in view.boxes}
    edges = {(edge.target, edge.index): edge for edge in view.edges}
    nets = [(items[net.source], edges[items[net.targets[0][0]], net.targets[0][1]]) for net in diagram_of(view).nets]

    def placed(area: list[int], name: str, inside: Any) -> Placed:
        box = names.get(name)
        within = layout_of(inside, box.inner) if inside and box and box.inner else None
        return Placed(box.name if box else name, *area, within)

    ports = items[: len(view.inputs)] + items[len(items) - len(view.outputs) :]
    return Layout(
        *found["size"],
        tuple(placed(*one) for one in found["boxes"]),
        tuple(Wire(edges[items[end], index], tuple(map(tuple, points))) for end, index, points in found["wires"]),
        dict(zip(ports, map(tuple, found["ports"]), strict=True)),
        tuple(Label(nets[net][0], nets[net][1].output, *rest) for net, *rest in found["labels"]),
    )


def at_depth(view: View, depth: int) -> set[str]:
    """The containers that are open when so many levels are shown."""
    return {box.path for box in opened(view, depth).walk() if box.inner is not None}


def at_random(view: View, seed: int, times: int, depth: int = 1) -> Case:
    """A network in several states, when at first so many levels of it are shown."""
    chance = random.Random(seed)
    return Case(view, [some_open(view, chance) for _ in range(times)], at_depth(view, depth))


def random_views(make: Any, count: int, depth: int = 3) -> list[View]:
    sizes = [(seed, 1 + seed % 23, (0.3, 0.8, 1.5, 3)[seed % 4]) for seed in range(count)]
    return [make.random_view(*one, depth=depth) for one in sizes]


def assert_same_shapes(layout: Layout, wanted: Layout) -> None:
    """The boxes that are open on Python's picture are, and the shapes stand at wires that do there.

    Where a box was open at first, its shape may stand further inside alone.
    """
    found, expected = ({(one.source, one.output): one.shape for one in some.labels} for some in (layout, wanted))
    inside = {placed.name: placed.inside for placed in layout.boxes if placed.inside is not None}
    assert found.items() <= expected.items()
    for source, output in expected.keys() - found.keys():
        assert expected[source, output] in shapes_in(inside[source])
    others = {placed.name: placed.inside for placed in wanted.boxes if placed.inside is not None}
    assert inside.keys() == others.keys()
    for name, one in inside.items():
        assert_same_shapes(one, others[name])


def shapes_in(layout: Layout) -> set[str]:
    inside = [shapes_in(placed.inside) for placed in layout.boxes if placed.inside is not None]
    return {label.shape for label in layout.labels}.union(*inside)


def assert_without_faults(client: Any, direction: Direction, cases: Sequence[Case]) -> None:
    for number, (view, layout) in enumerate(answers(client, direction, cases)):
        assert find_faults(layout, view) == [], number
        assert_same_shapes(layout, lay_out(view, direction, role="whole"))


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_closed_and_at_first_a_network_is_as_python_lays_it_out(client, view_of, make, direction):
    views = [*(view_of(name) for name in NETWORKS), *random_views(make, 30)]
    firsts = [(view, at_depth(view, depth)) for view in views for depth in (1, 2, 3)]
    cases = [Case(view, [set(), first], first) for view, first in firsts]
    for view, layout in answers(client, direction, cases):
        assert layout == lay_out(view, direction, role="whole")


@pytest.mark.parametrize("direction", ["TB", "LR"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_no_faults_whatever_is_open(client, view_of, name, direction):
    view = view_of(name)
    assert_without_faults(client, direction, [at_random(view, 1, 6), at_random(view, 2, 3, 2)])


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_random_graphs_have_no_faults_whatever_is_open(client, make, direction):
    cases = [at_random(view, seed, 2, 1 + seed % 3) for seed, view in enumerate(random_views(make, 120))]
    assert_without_faults(client, direction, cases)


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_nor_have_wires_that_go_beside_or_turn_twice(client, make, monkeypatch, direction):
    twice = [make.random_view(seed, 2 + seed % 23, (0.3, 0.8, 1.5, 3)[seed % 4]) for seed in (400, 548)]
    assert_without_faults(client, direction, [at_random(view, 3, 8) for view in twice])
    monkeypatch.setattr("composer.draw.layout.rank.FREE_BENDS", 0)
    monkeypatch.setattr("composer.draw.layout.rank.BENDS_PER_ITEM", 0)
    beside = [make.random_view(seed, 20, 1.5) for seed in range(20)]
    assert_without_faults(client, direction, [at_random(view, seed, 3) for seed, view in enumerate(beside)])


@pytest.mark.parametrize("direction", ["TB", pytest.param("LR", marks=pytest.mark.slow)])
def test_networks_with_mistakes_have_no_faults_either(client, direction, monkeypatch):
    monkeypatch.chdir(MISTAKES)
    views = []
    for file in sorted(MISTAKES.glob("*.yaml")):
        spec = composer.load(file.name)
        with pytest.raises(composer.GraphError) as caught:
            composer.graph(spec)
        views.append(build_view(sketch(spec, caught.value.diagnostics)))
    assert_without_faults(client, direction, [at_random(view, 9, 3, 1 + at % 3) for at, view in enumerate(views)])


def test_the_faults_of_boxes_that_open_without_room_are_found(view_of):
    view = opened_at(view_of("resnet50"), {"layer2"})
    closed, whole = lay_out(opened_at(view, ()), role="whole"), lay_out(view, role="whole")
    layer2 = next(placed for placed in whole.boxes if placed.inside is not None)
    boxes = [replace(layer2, x=one.x, y=one.y) if one.name == layer2.name else one for one in closed.boxes]
    found = " ".join(find_faults(replace(closed, boxes=tuple(boxes)), view))
    assert "layer2 and layer3 overlap" in found
    assert "layer2 -> layer3 does not touch layer2" in found


def along(placed: Placed, direction: Direction) -> tuple[int, int, int, int]:
    """From where to where a box reaches along the direction of the picture, and across it."""
    down = (placed.y, placed.y + placed.height, placed.x, placed.x + placed.width)
    return down if direction == "TB" else (*down[2:], *down[:2])


def assert_order_is_kept(before: Layout, after: Layout, direction: Direction) -> None:
    then, now = ({one.name: along(one, direction) for one in layout.boxes} for layout in (before, after))
    for one, other in permutations(then, 2):
        if then[one][1] <= then[other][0]:
            assert now[one][1] <= now[other][0]
        elif then[one][0] == then[other][0] and then[one][3] <= then[other][2]:
            assert now[one][3] <= now[other][2]


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_what_stands_before_a_box_that_opens_stays_put(client, view_of, make, direction):
    views = [*(view_of(name) for name in NETWORKS), *random_views(make, 120)]
    chance = random.Random(8)
    cases, names = [], []
    for view in views:
        state = some_open(view, chance)
        for box in [box for box in view.boxes if box.inner is not None and box.path not in state][:3]:
            cases.append(Case(view, [set(), {box.path}, state, state | {box.path}]))
            names.append(box.name)
    layouts = [layout for _, layout in answers(client, direction, cases)]
    assert len(names) > 100
    for number, name in enumerate(names):
        closed, alone, before, after = layouts[4 * number : 4 * number + 4]
        for less, more in ((closed, alone), (before, after)):
            assert_order_is_kept(less, more, direction)
            then, now = ({one.name: along(one, direction) for one in layout.boxes} for layout in (less, more))
            above = [one for one in then if one != name and then[one][0] <= then[name][0]]
            assert [now[one][:2] for one in above] == [then[one][:2] for one in above]
            left = [one for one in then if then[one][3] <= then[name][2]] if less is closed else []
            assert [now[one][2:] for one in left] == [then[one][2:] for one in left]


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_wires_turn_where_they_do_not_come_in_straight(client, view_of, make, direction):
    inner = make.view(
        [make.box("a"), make.box("b"), make.box("c")],
        [("in:x", "a"), ("in:y", "b"), ("a", "c"), ("b", "out:p"), ("c", "out:q")],
        ["x", "y"],
        ["p", "q"],
    )
    box = make.box("box", inner=inner, outputs=("p", "q"), changed=True)
    wires = [("in:input", "s"), ("in:input", "box"), ("s", "box"), ("box.p", "t"), ("box.q", "t"), ("t", "out:output")]
    view = make.view([make.box("s"), box, make.box("t")], wires)
    ((shown, layout),) = answers(client, direction, [Case(view, [{"box"}])])
    assert find_faults(layout, shown) == []
    into = [wire for wire in layout.wires if wire.edge.target == "box"]
    out = [wire for wire in layout.wires if wire.edge.source == "box"]
    assert len(into) == len(out) == 2
    assert any(len(wire.points) > 4 for wire in (*into, *out))


def test_a_wire_does_not_go_past_the_port_that_it_comes_to(client, view_of):
    ((_, layout),) = answers(client, "TB", [Case(view_of("unet"), [{"up3"}])])
    (skip,) = [wire for wire in layout.wires if wire.edge.target == "up3" and wire.edge.index == 1]
    last = [x for x, _ in skip.points[-4:]]
    assert last == sorted(last, reverse=True)
    assert last[0] > last[-1]


def test_text(client):
    chance = random.Random(5)
    alphabet = [*"abcXYZiljmW _.:…–×·()1234", "漢", "é", "e\u0301", "\u202e", "\u2028", "\t", "\x00", "😀", "\xa0"]
    texts, expected = [], []
    for _ in range(300):
        text = "".join(chance.choices(alphabet, k=chance.randrange(60)))
        size, limit, bold = chance.choice((10.0, 11.0, 12.0)), chance.randrange(200), chance.random() < 0.5
        widths = [{one: advance(one, bold=bold) for one in {*text, "…"}} for bold in (False, True)]
        texts.append({"text": text, "size": size, "limit": limit, "bold": bold, "characters": widths})
        expected.append([visible(text), width(text, size, bold=bold), fit(text, size, limit, bold=bold)])
    assert client({"cases": [], "texts": texts})["texts"] == expected


def test_a_browser_finds_the_same(browser, client, make):
    cases = [at_random(view, 7, 2) for view in random_views(make, 10)]
    assert list(answers(partial(in_browser, browser), "TB", cases)) == list(answers(client, "TB", cases))
