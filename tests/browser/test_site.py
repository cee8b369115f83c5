"""The site: every link leads somewhere, nothing is fetched from anywhere, and all that can be named has its page."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from composer.cli.app import VERBS
from composer.codes import CODES
from composer.index.card import cards
from composer.spec.sites import MEANINGS

REPOSITORY = Path(__file__).parents[2]
NETWORKS = ["resnet18", "vit_tiny_patch16_224"]
# What a browser loads by itself, as opposed to a link that a reader may follow.
LOADED = {("img", "src"), ("script", "src"), ("link", "href")}


class Links(HTMLParser):
    """The links of a page, and what can be linked to in it."""

    def __init__(self, text):
        super().__init__()
        self.found, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors.add(given.get("id"))
        self.found += [(tag, name, given[name]) for name in ("href", "src") if name in given]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "made"
    script = REPOSITORY / "examples/site/build.py"
    words = [sys.executable, str(script), "-o", str(folder), "--networks", *NETWORKS]
    subprocess.run(words, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return folder


def links_of(page):
    return Links(page.read_text(encoding="utf-8"))


def test_every_link_leads_somewhere_and_nothing_comes_from_a_network(site):
    pages = {page: links_of(page) for page in sorted(site.rglob("*.html"))}
    assert len(pages) > 200
    lost = []
    for page, links in pages.items():
        for tag, name, target in links.found:
            if target.startswith(("http:", "https:", "data:")):
                assert (tag, name) not in LOADED or target.startswith("data:"), f"{page}: {target} is loaded"
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / unquote(path)).resolve() if path else page
            if not file.is_file():
                # Only two of the zoo's networks are here.
                lost.append(f"{page.relative_to(site)}: {target}")
            elif anchor and anchor not in pages[file].anchors:
                lost.append(f"{page.relative_to(site)}: no {anchor} in {path or page.name}")
    assert lost == []


def test_all_that_has_a_name_has_its_page(site):
    for card in cards("mechanism"):
        page = (site / f"mechanisms/{card.name}.html").read_text(encoding="utf-8")
        assert card.summary.split("`")[0].split("'")[0].strip() in page
        assert '<div class="equation"' in page or "Math:" not in card.doc
    layers = "".join(page.read_text(encoding="utf-8") for page in (site / "layers").glob("*.html"))
    assert all(f'id="{card.name}"' in layers for card in cards("layer"))
    errors, sites = ((site / f"language/{name}.html").read_text(encoding="utf-8") for name in ("errors", "sites"))
    assert all(f">{code}<" in errors for code in CODES)
    assert all(f">{name}<" in sites for name in MEANINGS)
    assert {page.stem for page in (site / "commands").glob("*.html")} == set(VERBS)
    for name in NETWORKS:
        assert (site / f"networks/{name}.svg").read_bytes().startswith(b"<svg")


def test_a_folder_that_holds_something_is_left_alone(site):
    script = REPOSITORY / "examples/site/build.py"
    done = subprocess.run([sys.executable, str(script), "-o", str(site)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "holds something already" in done.stderr
    assert (site / "index.html").is_file()


@pytest.mark.parametrize("name", ["index", "mechanisms/index", "mechanisms/cbam", "language/keys", "commands/graph"])
@pytest.mark.parametrize("viewport", [pytest.param((1280, 800), marks=pytest.mark.slow), (360, 640)])
def test_a_browser_shows_it_from_the_disk(site, open_page, name, viewport):
    width, height = viewport
    opened = open_page(site / f"{name}.html", viewport={"width": width, "height": height})
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.complaints == []
    assert all(request.startswith(site.as_uri()) for request in opened.requests)
    # It asks for the style sheet once more.
    assert opened.grave() == []


def test_its_search_finds_a_mechanism_by_its_other_name(site, open_page):
    page = open_page(site / "index.html").page
    page.keyboard.press("/")
    page.keyboard.type("squeeze-and-excitation")
    assert page.locator("#found a b").first.inner_text() == "se"
    page.keyboard.press("Enter")
    page.wait_for_url("**/mechanisms/se.html")
