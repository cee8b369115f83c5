"""Sections as one page that stands alone: text, tables, and figures as images inside it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape

from composer.draw.text import visible
from composer.html import document
from composer.looking.plates import Finding, Plate, Section, Table, grouped

STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --paper: #fff; --faint: #6b6b70; --line: #d8d8dc; --mark: #0072b2 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8ea; --paper: #17181a; --faint: #a0a0a6; --line: #3a3b3f; --mark: #56b4e9 }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: break-word }
h1 { font-size: 1.6rem; margin: 0 0 .25rem } h2 { font-size: 1.2rem; margin: 3rem 0 .5rem;
  border-top: 1px solid var(--line); padding-top: 1.5rem } h3 { font-size: 1rem; margin: 1.75rem 0 .5rem }
p { margin: .5rem 0; max-width: 46rem } nav ul { padding: 0; list-style: none; columns: 2 16rem }
a { color: var(--mark) } small, figcaption { color: var(--faint) }
figure { margin: 0 0 1rem } figure img { display: block; max-width: 100%; height: auto; background: #fff;
  border-radius: 4px } figcaption { font-size: .87rem; max-width: 46rem; margin-top: .35rem }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .75rem .2rem 0; text-align: left; vertical-align: top; white-space: nowrap }
th { border-bottom: 1px solid var(--line); font-weight: 600 } .right { text-align: right }
.words td { white-space: normal } .wide td:first-child, code { font-family: ui-monospace, monospace; font-size: .95em }
li { margin: .15rem 0 }
"""


def page(title: str, lead: Sequence[str], sections: Sequence[Section], images: Mapping[str, bytes]) -> str:
    """A whole page.

    lead    paragraphs below the title
    images  PNG of each plate by name
    """
    linked = [(f"section-{number}", section) for number, section in enumerate(sections, 1)]
    entries = "".join(f'<li><a href="#{anchor}">{_text(section.title)}</a></li>' for anchor, section in linked)
    body = "\n".join(
        [
            f"<main><h1>{_text(title)}</h1>",
            *(f"<p>{_prose(text)}</p>" for text in lead),
            *_first([finding for section in sections for finding in section.findings]),
            f'<nav aria-label="Sections"><ul>{entries}</ul></nav>',
            *(_section(anchor, section, images) for anchor, section in linked),
            "</main>",
        ]
    )
    return document(title, body, styles=[STYLE])


def _first(findings: Sequence[Finding]) -> list[str]:
    groups = grouped(one for one in findings if one.notable)
    if not groups:
        return []
    rows = tuple((group.what, str(len(group.findings)), group.places()) for group in groups)
    table = _table(Table(("finding", "sites", "where"), rows, ("sites",)))
    return ["<h2>Most notable</h2>", table.replace('class="wide"', 'class="words"')]


def _section(anchor: str, section: Section, images: Mapping[str, bytes]) -> str:
    parts = [f'<section id="{anchor}"><h2>{_text(section.title)}</h2>', f"<p>{_prose(section.text)}</p>"]
    parts += [_plate(plate, images[plate.name]) for plate in section.plates]
    if section.findings:
        parts.append(f"<h3>What was found</h3>{_list(section.findings)}")
    if section.table is not None:
        parts.append(f"<h3>Numbers</h3>{_table(section.table)}")
    return "\n".join([*parts, "</section>"])


def _plate(plate: Plate, image: bytes) -> str:
    data = base64.b64encode(image).decode()
    width, height = (int.from_bytes(image[at : at + 4], "big") for at in (16, 20))
    return (
        f'<h3>{_text(plate.title)}</h3><figure><img src="data:image/png;base64,{data}" width="{width}" '
        f'height="{height}" alt="{_text(plate.alternative)}"><figcaption>{_text(plate.caption)} '
        f"<code>{_text(plate.name)}.png</code></figcaption></figure>"
    )


def _list(findings: Sequence[Finding]) -> str:
    rows = []
    for group in grouped(findings):
        places = ", ".join(
            f"<code>{_text(one.where)}</code>" + (f" ({_text(one.detail)})" if one.detail else "")
            for one in group.findings
        )
        rows.append(f"<li>{_text(group.what)}: {places}</li>")
    return f"<ul>{''.join(rows)}</ul>"


def _table(table: Table) -> str:
    sides = [' class="right"' if head in table.right else "" for head in table.heads]
    heads = "".join(f'<th scope="col"{side}>{_text(head)}</th>' for head, side in zip(table.heads, sides, strict=True))
    rows = "".join(
        f"<tr>{''.join(f'<td{side}>{_text(cell)}</td>' for cell, side in zip(row, sides, strict=True))}</tr>"
        for row in table.rows
    )
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _prose(text: str) -> str:
    """Text in which backticks stand around what is code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", _text(text))


def _text(text: str) -> str:
    return escape(visible(text))
