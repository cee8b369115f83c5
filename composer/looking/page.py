"""Sections as a self-contained page: text, tables, and figures as embedded images."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence

from composer.html import document, words
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
.wide, .words { overflow-x: auto }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .75rem .2rem 0; text-align: left; vertical-align: top; white-space: nowrap }
th { border-bottom: 1px solid var(--line); font-weight: 600 } .right { text-align: right }
.words td { white-space: normal } .wide td:first-child, code { font-family: ui-monospace, monospace; font-size: .95em }
li { margin: .15rem 0 }
@media print {
  body { max-width: none; padding: 0 } .wide, .words { overflow: visible } th, td { white-space: normal }
  figure, tr { break-inside: avoid }
}
"""


def page(
    title: str,
    lead: Sequence[str],
    sections: Sequence[Section],
    images: Mapping[str, bytes],
    scripts: Sequence[str] = (),
) -> str:
    """The HTML of a whole page.

    lead     paragraphs below the title
    images   name of a plate -> its PNG
    scripts  as `composer.html.document` takes them
    """
    linked = [(f"section-{number}", section) for number, section in enumerate(sections, 1)]
    entries = "".join(f'<li><a href="#{anchor}">{words(section.title)}</a></li>' for anchor, section in linked)
    body = "\n".join(
        [
            f"<main><h1>{words(title)}</h1>",
            *(f"<p>{_prose(text)}</p>" for text in lead),
            *_first(sections),
            f'<nav aria-label="Sections"><ul>{entries}</ul></nav>',
            *(_section(anchor, section, images) for anchor, section in linked),
            "</main>",
        ]
    )
    return document(title, body, styles=[STYLE], scripts=scripts)


def cell(title: str, lead: Sequence[str], sections: Sequence[Section], images: Mapping[str, bytes]) -> str:
    """The same for a notebook's cell, with paragraphs, tables and images only.

    An untrusted notebook, or a website that shows it, removes frames, styles and scripts; this uses none.
    """
    first = _notable(sections)
    parts = [_bold(title), *(f"<p>{_prose(text)}</p>" for text in lead)]
    parts += [] if first is None else [_bold("Most notable"), _table(first, "Most notable")]
    for section in sections:
        parts += [_bold(section.title), f"<p>{_prose(section.text)}</p>"]
        for plate in section.plates:
            parts.append(f"{_bold(plate.title)}<p>{_image(plate, images[plate.name], 'width')}</p>")
            parts.append(f"<p><em>{words(plate.caption)}</em></p>")
        found = [(one.where, one.what, one.detail) for one in section.findings]
        tables = {"What was found": Table(("where", "what", "how much"), tuple(found))} if found else {}
        tables |= {"Numbers": section.table} if section.table is not None else {}
        parts += [_bold(name) + _table(table, f"{name}: {section.title}") for name, table in tables.items()]
    return f"<div>{''.join(parts)}</div>"


def _bold(text: str) -> str:
    return f"<p><b>{words(text)}</b></p>"


def _first(sections: Sequence[Section]) -> list[str]:
    table = _notable(sections)
    return [] if table is None else ["<h2>Most notable</h2>", _table(table, "Most notable", "words")]


def _notable(sections: Sequence[Section]) -> Table | None:
    groups = grouped(one for section in sections for one in section.findings if one.notable)
    rows = tuple((group.what, str(len(group.findings)), group.places()) for group in groups)
    return Table(("finding", "sites", "where"), rows, ("sites",)) if rows else None


def _section(anchor: str, section: Section, images: Mapping[str, bytes]) -> str:
    parts = [f'<section id="{anchor}"><h2>{words(section.title)}</h2>', f"<p>{_prose(section.text)}</p>"]
    parts += [_plate(plate, images[plate.name]) for plate in section.plates]
    if section.findings:
        parts.append(f"<h3>What was found</h3>{_list(section.findings)}")
    if section.table is not None:
        parts.append(f"<h3>Numbers</h3>{_table(section.table, f'Numbers: {section.title}')}")
    return "\n".join([*parts, "</section>"])


def _plate(plate: Plate, image: bytes) -> str:
    return (
        f"<h3>{words(plate.title)}</h3><figure>{_image(plate, image, 'width', 'height')}"
        f"<figcaption>{words(plate.caption)} <code>{words(plate.name)}.png</code></figcaption></figure>"
    )


def _image(plate: Plate, image: bytes, *sides: str) -> str:
    """The HTML of a figure, with the named sides (`width`, `height`) of its image."""
    data = base64.b64encode(image).decode()
    pixels = {"width": int.from_bytes(image[16:20], "big"), "height": int.from_bytes(image[20:24], "big")}
    own = "".join(f' {side}="{pixels[side]}"' for side in sides)
    return f'<img src="data:image/png;base64,{data}"{own} alt="{words(plate.alternative)}">'


def _list(findings: Sequence[Finding]) -> str:
    rows = []
    for group in grouped(findings):
        places = ", ".join(
            f"<code>{words(one.where)}</code>" + (f" ({words(one.detail)})" if one.detail else "")
            for one in group.findings
        )
        rows.append(f"<li>{words(group.what)}: {places}</li>")
    return f"<ul>{''.join(rows)}</ul>"


def _table(table: Table, label: str, kind: str = "wide") -> str:
    """A table that scrolls sideways if it is too wide, also with the keyboard."""
    sides = [' class="right"' if head in table.right else "" for head in table.heads]
    heads = "".join(f'<th scope="col"{side}>{words(head)}</th>' for head, side in zip(table.heads, sides, strict=True))
    rows = "".join(
        f"<tr>{''.join(f'<td{side}>{words(cell)}</td>' for cell, side in zip(row, sides, strict=True))}</tr>"
        for row in table.rows
    )
    region = f'<div class="{kind}" role="region" tabindex="0" aria-label="{words(label)}">'
    return f"{region}<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"


def _prose(text: str) -> str:
    """The HTML of text with code in backticks."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", words(text))
