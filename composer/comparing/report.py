"""The report of a comparison as a single HTML page that asks nobody for anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from composer import __version__
from composer.comparing import forest, scatter
from composer.comparing.costs import Row
from composer.comparing.plan import Plan
from composer.comparing.scatter import Axis, Point
from composer.comparing.table import RIGHT, cells, heads
from composer.html import STYLE, document, table, words

_DETAILS = """
details { margin: .4rem 0 } summary { cursor: pointer }
pre { overflow-x: auto; font-size: .82rem; margin: .3rem 0 0 1rem }
figure { overflow-x: auto }
"""


def report(plan: Plan, specs: Mapping[str, str], parts: Sequence[str] = ()) -> str:
    """The HTML of a whole page.

    specs  name of a file -> the spec of a network, as text
    parts  further sections, as markup, in front of the costs
    """
    content = plan.file.content
    lead = [*([content.description] if content.description else []), *map(full, plan.sentences())]
    body = "\n".join(
        [
            f"<main><h1>{words(plan.file.name)}</h1>",
            *(f"<p>{prose(one)}</p>" for one in lead),
            *parts,
            *_costs(plan),
            *_specs(specs),
            f"<p><small>composer {words(__version__)}</small></p>",
            "</main>",
        ]
    )
    return document(plan.file.name, body, styles=[STYLE, scatter.STYLE, forest.STYLE, _DETAILS])


def prose(text: str) -> str:
    """Text with code in backticks, as markup."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", words(text))


def full(text: str) -> str:
    """A sentence with its capital and its full stop."""
    return f"{text[0].upper()}{text[1:]}."


def section(title: str, *parts: str) -> str:
    """A section with its heading, as markup."""
    return "\n".join([f"<section><h2>{words(title)}</h2>", *parts, "</section>"])


def figure(picture: str, caption: str) -> str:
    """A picture with its caption, as markup; empty without a picture."""
    return f"<figure>{picture}<figcaption>{prose(caption)}</figcaption></figure>" if picture else ""


def _costs(plan: Plan) -> list[str]:
    text = (
        "Counted without training: parameters are learnable numbers, MACs the multiply-accumulates for an example, "
        "memory what an example keeps for a training step; behind each, the difference to the plain network of its "
        "backbone. Places are those at which a variant fits, of those that its rules ask for."
    )
    if plan.settings is not None:
        how = ", ".join([*plan.settings.words(), f"{plan.settings.runs} runs in turn"])
        text += f" Latency is that of a forward pass: {how}."
    plots = [figure(picture, caption) for picture, caption in _plots(plan)]
    rows, notes = [row[:-1] for row in cells(plan)], [[*row[:2], row[-1]] for row in cells(plan) if row[-1]]
    parts = [*plots, table(heads(plan)[:-1], rows, RIGHT, "Networks and their costs", "wide")]
    if notes:
        parts += ["<h3>Notes</h3>", table(("#", "network", "note"), notes, RIGHT, "Notes", "words")]
    return [section("Costs", f"<p>{prose(text)}</p>", *parts)]


def _plots(plan: Plan) -> list[tuple[str, str]]:
    x = Axis("parameters, against the plain network", _percent)
    kinds = {"macs": "MACs", "memory": "memory"}
    found = []
    for name, word in kinds.items():
        points = [point for number, row in enumerate(plan.rows, 1) if (point := _point(plan, number, row, name))]
        picture = scatter.scatter(points, x, Axis(f"{word}, against the plain network", _percent), upward=False)
        found.append((picture, _caption(f"Parameters and {word}")))
    points = [point for number, row in enumerate(plan.rows, 1) if (point := _slow(plan, number, row))]
    picture = scatter.scatter(points, x, Axis("latency, against the plain network", _percent), upward=False)
    return [*found, (picture, _caption("Parameters and latency, with its 95 % interval"))]


def _caption(what: str) -> str:
    return (
        f"{what}, in percent of the plain network (square). The dashed line joins the variants (discs) that no other "
        "variant beats in both; diamonds are plain networks that cost as much. Numbers are those of the table."
    )


def _point(plan: Plan, number: int, row: Row, name: str) -> Point | None:
    plain = plan.plain_of(row)
    shares = [_share(getattr(row, one), getattr(plain, one)) for one in ("parameters", name)]
    if shares[0] is None or shares[1] is None:
        return None
    return Point(number, plan.label(row.arm.backbone, row.arm.variant), row.arm.kind, shares[0], shares[1])


def _slow(plan: Plan, number: int, row: Row) -> Point | None:
    measured = plan.measured.get(row.arm.key)
    x = _share(row.parameters, plan.plain_of(row).parameters)
    if measured is None or x is None:
        return None
    label, ratio = plan.label(row.arm.backbone, row.arm.variant), measured.ratio
    if ratio is None:
        return Point(number, label, row.arm.kind, x, 0.0)
    low, high = 100 * (ratio.low - 1), 100 * (ratio.high - 1)
    return Point(number, label, row.arm.kind, x, 100 * (ratio.value - 1), low, high)


def _share(value: int | None, plain: int | None) -> float | None:
    return 100 * (value / plain - 1) if value is not None and plain else None


def _percent(value: float) -> str:
    return f"{round(value, 6) + 0.0:+.4g} %" if round(value, 6) else "0 %"


def _specs(specs: Mapping[str, str]) -> list[str]:
    if not specs:
        return []
    text = "Each network as a spec, which all verbs of composer take; the files are in `specs`, beside this page."
    shown = [
        f"<details><summary><code>{words(name)}</code></summary><pre>{_lines(spec)}</pre></details>"
        for name, spec in specs.items()
    ]
    return [section("Specs", f"<p>{prose(text)}</p>", *shown)]


def _lines(text: str) -> str:
    return "\n".join(words(line) for line in text.rstrip("\n").split("\n"))
