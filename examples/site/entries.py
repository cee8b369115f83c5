"""A page for each mechanism, with its equation, its options and a picture of its steps; and the layers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from pages import Page, Site, table
from prose import code

import composer
from composer import registry
from composer.dag.operation import Operation
from composer.dag.sketch import Sketch
from composer.docstring import link, sections
from composer.draw.build import build_view
from composer.draw.picture import Wish, draw
from composer.draw.svg import render_svg
from composer.draw.view import num_boxes
from composer.errors import ComposerError
from composer.hosts.primitives import primitives
from composer.index.card import Card, cards, shown
from composer.mathml import mathml
from composer.page.insides import MOST

_PARAGRAPHS = re.compile(r"\n\s*\n")
# Where a mechanism is drawn: a map, or what its place asks for.
_PLACES: tuple[Mapping[str, Any], ...] = (
    {"backbone": "resnet18", "attention": [{"after": "layer1.0.bn2"}]},
    {"backbone": "resnet18", "attention": [{"replace": "layer1.0.conv2"}]},
    {"backbone": "vit_tiny_patch16_224", "attention": [{"replace": "blocks.0.attn"}]},
    {"backbone": "resnet18", "attention": [{"after": "layer3"}]},
)


def mechanisms(site: Site) -> Iterator[Page]:
    """The table of all mechanisms, and a page for each; their pictures become files of the site."""
    found = cards("mechanism")
    yield Page("mechanisms/index.html", "All mechanisms", _overview(found), "Mechanisms")
    for card in found:
        picture = _picture(card.name)
        if picture:
            site.files[f"mechanisms/{card.name}.svg"] = picture
        body = _mechanism(card, has_picture=picture is not None)
        yield Page(f"mechanisms/{card.name}.html", card.name, body, "Mechanisms", " ".join(card.aliases))


def layers() -> Iterator[Page]:
    """One page for each kind of layer."""
    kinds: dict[str, list[Card]] = {}
    for card in cards("layer"):
        kinds.setdefault(card.kind, []).append(card)
    for kind, some in kinds.items():
        body = "".join(f'<h2 id="{card.name}">{card.name}</h2>{_text(card)}{_options(shown(card))}' for card in some)
        yield Page(f"layers/{kind}.html", kind, body, "Layers", " ".join(card.name for card in some))


def _overview(found: list[Card]) -> str:
    rows = []
    for card in found:
        cost = shown(card)["cost"] or {}
        numbers = [f"{cost[key]:,}" if cost.get(key) is not None else "" for key in ("parameters", "macs")]
        name = f'<a href="{card.name}.html">{card.name}</a>'
        rows.append((name, escape(card.summary), escape(card.kind), *numbers, _paper(sections(card.doc))))
    at = next(shown(card)["cost"]["at"] for card in found if shown(card)["cost"])
    text = f"<p>What can be inserted, and what each costs on a map of {at}.</p>"
    heads = ("name", "what it does", "kind", "parameters", "MACs", "paper")
    return text + table(heads, rows, {1: "words", 3: "number", 4: "number", 5: "words"})


def _mechanism(card: Card, *, has_picture: bool) -> str:
    found, parts = shown(card), sections(card.doc)
    lines = [f"<p>{escape(card.summary)}</p>"]
    lines += [f'<div class="equation" tabindex="0">{mathml(parts["Math"])}</div>'] if "Math" in parts else []
    rows = [(name, _words(parts[name])) for name in ("Shape", "Params", "MACs", "Departs", "Start") if name in parts]
    rows += [("Paper", _paper(parts))] if "Source" in parts else []
    rows += [("Also called", escape(", ".join(card.aliases)))] if card.aliases else []
    rows += [("Works on", escape(", ".join(map(str, found["layouts"]))))] if found["layouts"] else []
    if found["cost"]:
        at, parameters, macs = found["cost"].values()
        macs = "MACs not known" if macs is None else f"{macs:,} MACs"
        rows.append(("Cost", f"{parameters:,} parameters, {macs} at {at}"))
    lines.append(table(("", ""), rows))
    lines.append(_options(found))
    lines.append(f"<h2>In a spec</h2>{code(found['yaml'], 'yaml')}")
    lines += [f"<h2>In Python</h2>{code(found['python'], 'python')}"] if found["python"] else []
    if has_picture:
        lines.append(f'<h2>Its steps</h2><figure><img src="{card.name}.svg" alt="The steps of {card.name}"></figure>')
    return "\n".join(lines)


def _options(found: Mapping[str, Any]) -> str:
    if not found["options"]:
        return ""
    rows = [
        (
            f"<code>{name}</code>",
            escape(one["type"]),
            "required" if one["required"] else escape(json.dumps(one["default"])),
        )
        for name, one in found["options"].items()
    ]
    return table(("option", "type", "default"), rows)


def _text(card: Card) -> str:
    """What the docstring says, paragraph by paragraph; examples of Python as code."""
    parts = []
    for text in _PARAGRAPHS.split(card.doc):
        is_code = text.lstrip().startswith(">>>") or text.startswith("  ")
        parts.append(code(text, "pycon") if is_code else f"<p>{_words(text)}</p>")
    return "".join(parts)


def _words(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)).replace("\n", "<br>")


def _paper(parts: Mapping[str, str]) -> str:
    source = parts.get("Source", "")
    address = link(source)
    return f'<a href="{address}">{escape(source)}</a>' if address else escape(source)


def _picture(name: str) -> bytes | None:
    """The steps of a mechanism as SVG; None for more than anybody could read."""
    for graph in _graphs(name):
        node, taken = next((node, taken) for node, taken in graph.operations if node.op == name)
        assert isinstance(node.content, Operation)
        steps = primitives(node.content, taken)
        sketch = Sketch(graph.spec, steps) if steps is not None else None
        if sketch is None or num_boxes(build_view(sketch)) > MOST:
            return None
        return render_svg(draw(sketch, Wish(depth=9, insets=False)), "auto").encode()
    return None


def _graphs(name: str) -> Iterator[composer.Graph]:
    """Networks that hold a mechanism, as far as it fits."""
    entry = registry.get_mechanism(name)
    for stride in (1, 2) if len(entry.tensors) > 1 else ():
        other = {"op": "conv2d", "from": "input", "out_channels": 64, "kernel_size": 3, "stride": stride}
        nodes = {"other": other, "gate": {"op": name, "from": ["input", "other"]}}
        yield from _composed({"input": [64, 56, 56], "nodes": nodes})
    for place in _PLACES:
        (rule,) = place["attention"]
        yield from _composed({**place, "attention": [{"use": name, **rule}]})


def _composed(spec: Mapping[str, Any]) -> Iterator[composer.Graph]:
    try:
        yield composer.graph(spec)
    except ComposerError:
        return
