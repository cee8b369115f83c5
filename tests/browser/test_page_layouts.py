"""The page lays out as Python does: every number of it, whatever is open. In Node.js, or else in a browser."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from composer.draw.layout import Known, Layout, lay_out
from composer.draw.text import advance, fit, width
from composer.draw.view import View, opened_at
from composer.page.views import Shared
from composer.visible import visible

CLIENT = Path(__file__).parents[2] / "composer/page/client/src"
MODULE = Path(__file__).with_name("layouts.mjs")
NETWORKS = [
    "papers/se/resnet50",
    "papers/cbam/mobilenetv2_100",
    "papers/sk/resnext50_32x4d",
    "densenet121",
    "vit_base_patch16_224",
    "papers/bam/resnet50",
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


def plain(layout: Layout, view: View) -> dict[str, Any]:
    boxes = view.by_name
    return {
        "size": [layout.width, layout.height],
        "boxes": [
            [
                boxes[one.name].path if one.name in boxes else one.name,
                [one.x, one.y, one.width, one.height],
                plain(one.inside, boxes[one.name].inner) if one.inside is not None else None,
            ]
            for one in layout.boxes
        ],
        "wires": [[wire.edge.output, wire.edge.index, [list(point) for point in wire.points]] for wire in layout.wires],
        "ports": [list(point) for point in layout.ports.values()],
        "labels": [[one.output, one.shape, one.x, one.y, one.end] for one in layout.labels],
    }


def assert_alike(client: Any, views: list[View], direction: str, seed: int, times: int) -> None:
    chance = random.Random(seed)
    cases, expected = [], []
    for view in views:
        shared, known = Shared(), Known()
        root = shared.view(view)
        sets = [some_open(view, chance) for _ in range(times)]
        cases.append({"root": root, **shared.tables(), "direction": direction, "open": [sorted(one) for one in sets]})
        shown = [opened_at(view, one) for one in sets]
        expected.append([plain(lay_out(one, direction, known, role="whole"), one) for one in shown])
    # Through JSON: a tuple is a list there.
    assert client({"cases": cases, "texts": []})["found"] == json.loads(json.dumps(expected))


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_networks(client, view_of, direction):
    assert_alike(client, [view_of(name) for name in NETWORKS], direction, 1, 6)


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_random_graphs(client, make, direction):
    sizes = [(seed, 1 + seed % 23, (0.3, 0.8, 1.5, 3)[seed % 4]) for seed in range(60)]
    assert_alike(client, [make.random_view(*one, depth=3) for one in sizes], direction, 2, 3)


@pytest.mark.parametrize("seed", [400, 548])
def test_wires_that_turn_twice(client, make, seed):
    view = make.random_view(seed, 2 + seed % 23, (0.3, 0.8, 1.5, 3)[seed % 4])
    assert_alike(client, [view], "TB", seed, 8)


def test_wires_that_go_beside(client, make, monkeypatch):
    monkeypatch.setattr("composer.draw.layout.rank.FREE_BENDS", 0)
    monkeypatch.setattr("composer.draw.layout.rank.BENDS_PER_ITEM", 0)
    assert_alike(client, [make.random_view(seed, 20, 1.5) for seed in range(20)], "TB", 3, 3)


def test_a_large_chain_with_shortcuts(client, make):
    wires = [("in:input", "n0"), *((f"n{index}", f"n{index + 1}") for index in range(399))]
    wires += [(f"n{index}", f"n{399 - index // 2}") for index in range(0, 200, 20)]
    view = make.view([make.box(f"n{index}") for index in range(400)], [*wires, ("n399", "out:output")])
    assert_alike(client, [view], "TB", 4, 1)


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


def test_a_difference_would_be_found(client, view_of, monkeypatch):
    monkeypatch.setattr("composer.draw.measure.HEADER", 25)
    with pytest.raises(AssertionError):
        assert_alike(client, [view_of("resnet18")], "TB", 1, 6)


def test_a_browser_finds_the_same(browser, make):
    views = [make.random_view(seed, 1 + seed % 23, 1.5, depth=3) for seed in range(10)]
    assert_alike(partial(in_browser, browser), views, "TB", 6, 2)
