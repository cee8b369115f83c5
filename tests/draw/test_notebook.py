"""A graph in a notebook: trusted, not trusted, and as a page."""

from __future__ import annotations

import base64
import sys
import xml.etree.ElementTree as ElementTree
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from page.conftest import data_in, unpacked
from torch import nn

import composer
from composer.dag.sketch import Sketch
from composer.errors import InputError
from composer.notebook import frame_of
from composer.page.render import render_page

KEPT = {"a", "b", "br", "code", "div", "em", "img", "p", "pre", "span", "table", "tbody", "td", "th", "thead", "tr"}
ATTRIBUTES = {"alt", "height", "href", "src", "title", "width"}
SILENT = {"script", "style"}


class Sanitizer(HTMLParser):
    """What a notebook lets through of markup that it does not trust: no SVG, style, script or frame, no `on…`.

    Words inside of elements that are taken out stay, but for those of scripts and styles.
    """

    def __init__(self, markup):
        super().__init__()
        self.words, self.images, self.kept, self._silent = "", [], "", 0
        self.feed(markup)

    def handle_starttag(self, tag, attrs):
        self._silent += tag in SILENT
        if tag not in KEPT:
            return
        attributes = {name: value for name, value in attrs if name in ATTRIBUTES}
        self.kept += (
            f"<{tag}{''.join(f' {name}={chr(34)}{escape(value)}{chr(34)}' for name, value in attributes.items())}>"
        )
        if tag == "img":
            self.images.append(attributes)

    def handle_endtag(self, tag):
        self._silent -= tag in SILENT
        self.kept += f"</{tag}>" if tag in KEPT else ""

    def handle_data(self, data):
        if not self._silent:
            self.words += data
            self.kept += escape(data)


def picture_in(markup):
    """The SVG that is left of markup, and the words for those who do not see it; nothing else may be left."""
    cleaned = Sanitizer(markup)
    assert cleaned.words.strip() == ""
    (image,) = cleaned.images
    head, _, body = image["src"].partition(",")
    assert head == "data:image/svg+xml;base64"
    return ElementTree.fromstring(base64.b64decode(body)), image["alt"]


def test_a_graph_shows_where_nothing_is_trusted():
    drawn, words = picture_in(composer.graph("papers/se/resnet50")._repr_html_())
    assert drawn.get("aria-label") == "se_resnet50"
    assert sum(1 for one in drawn.iter() if one.get("data-path")) > 20
    assert words.startswith("The network se_resnet50 with 28,088,024 parameters")
    assert "se stands after branch in 16 places." in words


def test_a_model_shows_its_graph_and_prints_as_torch_does():
    model = composer.build("resnet18", device="meta")
    drawn, _ = picture_in(model._repr_html_())
    assert drawn.get("aria-label") == "resnet18"
    assert "(fc): Linear(in_features=512, out_features=1000, bias=True)" in repr(model)


def test_hostile_names_are_no_markup():
    name = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    spec = {"name": name, "input": [3, 8, 8], "nodes": {"act": "relu"}}
    drawn, words = picture_in(composer.graph(spec)._repr_html_())
    assert drawn.get("aria-label") == name
    assert name in words


def test_show_opens_a_page_in_the_browser(monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("webbrowser.open", opened.append)
    composer.graph("resnet18").show()
    (address,) = opened
    page = Path(address.removeprefix("file://"))
    assert page.suffix == ".html"
    assert "<title>resnet18</title>" in page.read_text(encoding="utf-8")


def test_show_in_a_notebook_displays_the_page_in_a_frame(monkeypatch):
    shown = []
    display = SimpleNamespace(HTML=str, display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object, display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    composer.graph("resnet18").show()
    (frame,) = shown
    assert frame.startswith("<div><iframe sandbox=")
    assert "allow-same-origin" not in frame
    inside = unescape(frame.partition('srcdoc="')[2].partition('"')[0])
    assert "<title>resnet18</title>" in unpacked(inside, "packed")


def test_a_cell_saves_little():
    graph = composer.graph("papers/cbam/resnet50")
    assert len(graph._repr_html_().encode()) <= 60_000
    page = render_page(Sketch.of(graph), graph)
    assert len(frame_of(page).encode()) <= 0.6 * len(page.encode())


def test_a_live_module_shows_its_weights(monkeypatch, tmp_path):
    pages = []
    monkeypatch.setattr("webbrowser.open", pages.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    composer.view(module, torch.zeros(1, 3, 9, 9)).show(module)
    (page,) = pages
    data = data_in(Path(page.removeprefix("file://")).read_text(encoding="utf-8"))
    assert data["histograms"].keys() == {"0.weight", "0.bias"}
    assert data["histograms"]["0.bias"]["least"] == pytest.approx(float(module[0].bias.detach().min()), rel=1e-4)


@pytest.mark.parametrize("ending", ["svg", "html", "tex", "dot", "mmd", "json"])
def test_a_graph_is_saved_as_the_command_draws_it(run, small, tmp_path, ending):
    graph = composer.graph(small)
    ours, theirs = tmp_path / f"ours.{ending}", tmp_path / f"theirs.{ending}"
    graph.save(ours)
    assert run("graph", small, "-o", theirs).code == 0
    assert ours.read_bytes() == theirs.read_bytes()
    with pytest.raises(InputError, match="exists"):
        graph.save(ours)
    with pytest.raises(InputError, match="ends in no format"):
        graph.save(tmp_path / "x.txt")
