"""The networks of the zoo: a table with what each costs, and a picture of each."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from pages import Page, Site, table
from prose import code

import composer
from composer.dag.sketch import Sketch
from composer.draw.picture import Wish, draw
from composer.draw.svg import render_svg
from composer.index.networks import description
from composer.spec import zoo


def backbones(site: Site, names: list[str] | None = None) -> Iterator[Page]:
    """The table of the zoo's networks, and a page for each: its text, and its picture as a file of the site.

    names  only these
    """
    rows = []
    papers = set(zoo.papers())
    for name in [one for one in zoo.names() if one not in papers] if names is None else names:
        graph = composer.graph(name)
        site.files[f"networks/{name}.svg"] = render_svg(draw(Sketch.of(graph), Wish()), "auto").encode()
        about = description(name) or ""
        macs = "" if graph.num_macs is None else f"{graph.num_macs:,}"
        link = f'<a href="{name}.html">{escape(name)}</a>'
        rows.append((link, escape(about), f"{graph.num_parameters:,}", macs))
        yield Page(f"networks/{name}.html", name, _network(name, about), words=about)
    text = "<p>Networks of the zoo, at the size of image of their file.</p>"
    heads = ("name", "what it is", "parameters", "MACs")
    yield Page(
        "networks/index.html", "The zoo", text + table(heads, rows, {1: "words", 2: "number", 3: "number"}), "Networks"
    )


def _network(name: str, about: str) -> str:
    text = zoo.find(name)
    assert text is not None
    lines = [f"<p>{escape(about)}</p>"] if about else []
    lines.append(f'<figure><img src="{name.rpartition("/")[2]}.svg" alt="{escape(name)}"></figure>')
    lines.append(f"<h2>Its file</h2>{code(text.read_text(encoding='utf-8'), 'yaml')}")
    return "\n".join(lines)
