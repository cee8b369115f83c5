"""The page as a file: small, closed to the world, and readable without its script."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from page.conftest import data_in

import composer
from composer import diff
from composer.dag.sketch import Sketch
from composer.page.comparison import render_difference
from composer.page.render import MOST_STATIC, render_page
from composer.page.theme import page_style

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&<!--"
MOST_BYTES = 190_000


def page_of(source, theme="auto"):
    graph = composer.graph(source)
    return render_page(Sketch.of(graph), graph, theme=theme)


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    handle_startendtag = handle_starttag


@pytest.fixture(scope="module")
def se():
    return page_of("papers/se/resnet50")


def test_it_is_small(se):
    assert len(se.encode()) <= MOST_BYTES


def test_nothing_may_run_but_what_it_was_written_with(se):
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', se)[1]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    parts = dict(part.split(" ", 1) for part in policy.split("; "))
    scripts = re.findall(r"<script>(.*?)</script>", se, re.DOTALL)
    sheets = re.findall(r"<style>(.*?)</style>", se, re.DOTALL)
    # The last sheet leaves room for what the script shows beside the network.
    assert (len(scripts), len(sheets)) == (1, 3)
    for kind, texts in (("script-src", scripts), ("style-src", sheets)):
        hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts}
        assert set(parts[kind].split()) == hashes


def test_it_fetches_nothing(se):
    for tag, attributes in Elements(se).found:
        for name in ("src", "href", "srcset", "action", "xlink:href"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes)


def test_it_can_be_read_without_its_script(se):
    static = se[: se.index('<script type="application/octet-stream"')]
    assert re.search(r'<main id="canvas" class="canvas" aria-label="The network"><svg [^>]*class="cg"', static)
    assert 'data-path="layer1.0"' in static
    assert "<style>" not in static[static.index("<body>") :]
    noscript = re.search(r"<noscript>(.*?)</noscript>", se, re.DOTALL)[1]
    assert "<td>se</td><td>after branch</td><td>16</td>" in noscript
    assert "<h1>se_resnet50</h1><p>28.1 M parameters · 3×224×224 → 1000</p>" in static


def test_ids_are_there_once(se):
    ids = [attributes["id"] for _, attributes in Elements(se).found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"page", "head", "canvas", "data"} <= set(ids)


def test_names_are_never_markup(tmp_path):
    spec = {"name": HOSTILE, "input": [3, 8, 8], "nodes": {"a": "relu"}}
    page = page_of(spec)
    tags = {tag for tag, _ in Elements(page).found}
    assert not tags & {"img", "iframe", "object", "embed"}
    assert data_in(page)["name"] == HOSTILE
    assert page.count("</script>") == 2


def test_hostile_yaml_stays_text(tmp_path):
    file = tmp_path / "net.yaml"
    file.write_text(f"# {HOSTILE}\ninput: [3, 8, 8]\nnodes: {{a: relu}}\n", encoding="utf-8")
    page = page_of(file)
    assert page.count("</script>") == 2
    assert data_in(page)["files"][0]["text"].startswith(f"# {HOSTILE}")


def test_the_same_network_gives_the_same_page(se):
    assert page_of("papers/se/resnet50") == se


def test_a_large_picture_shows_runs_of_boxes_as_one():
    nodes = {f"a{index}": "relu" if index % 2 else "gelu" for index in range(MOST_STATIC + 10)}
    page = page_of({"input": [3, 8, 8], "nodes": nodes})
    static = page[: page.index('<script type="application/octet-stream"')]
    assert 100 < static.count('class="frame"') + static.count("data-path") < 400
    assert len(data_in(page)["networks"][0]["root"]["boxes"]) == MOST_STATIC + 10


def test_a_difference_can_be_read_without_its_script():
    page = render_difference(diff("resnet18", "papers/se/resnet50"))
    assert "<title>resnet18 → se_resnet50</title>" in page
    assert "<h2>Changes</h2>" in page[page.index("<noscript>") :]
    assert len(page.encode()) <= MOST_BYTES


@pytest.mark.parametrize(("theme", "paper"), [("auto", "#ffffff"), ("light", "#ffffff"), ("dark", "#12161d")])
def test_colours_follow_the_theme_until_the_reader_chooses(theme, paper):
    sheet = page_style(theme)
    assert f"--paper:{paper}" in re.match(r":root\{[^}]*\}", sheet)[0]
    assert ("prefers-color-scheme" in sheet) == (theme == "auto")
    used = set(re.findall(r"var\((--[\w-]+)\)", sheet))
    for chosen in ("light", "dark"):
        rule = re.search(rf":root\[data-theme={chosen}\]\{{([^}}]*)\}}", sheet)[1]
        assert used <= set(re.findall(r"(--[\w-]+):", rule))
