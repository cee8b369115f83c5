"""Sections as a self-contained page: text, tables, and figures as embedded images."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from composer.amounts import plural
from composer.html import STYLE, document, table, words
from composer.looking.plates import Finding, Group, Plate, Section, Table, grouped


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


@dataclass(frozen=True)
class Side:
    """A network on a page: its name, what is said of it, its sections, and the PNG of each plate by its name."""

    name: str
    lead: Sequence[str]
    sections: Sequence[Section]
    images: Mapping[str, bytes]

    @property
    def opening(self) -> Plate | None:
        """The first maps over a photograph; None without any."""
        return next((plate for one in self.sections for plate in one.plates if plate.is_map), None)


def folded(title: str, sides: Sequence[Side]) -> str:
    """The HTML of a page that begins with maps over the photograph and a line for each finding; the rest is folded."""
    several = len(sides) > 1
    tops = [_top(side, several=several) for side in sides]
    body = "\n".join(
        [
            f"<main><h1>{words(title)}</h1>",
            *([f'<div class="sides">{"".join(tops)}</div>'] if several else tops),
            *(_fold(side, section, several=several) for side in sides for section in side.sections),
            "</main>",
        ]
    )
    return document(title, body, styles=[STYLE])


def _top(side: Side, *, several: bool) -> str:
    plate = side.opening
    parts = [f"<section><h2>{words(side.name)}</h2>"] if several else ["<section>"]
    groups = grouped(one for section in side.sections for one in section.findings if one.notable)
    lines = "".join(f"<li>{_line(group)}</li>" for group in groups)
    parts.append(f"<ul>{lines}</ul>" if lines else "<p>Nothing notable.</p>")
    if plate is not None:
        parts.append(_figure(plate, side.images[plate.name]))
    parts += [f"<p><small>{_prose(text)}</small></p>" for text in side.lead]
    return "".join([*parts, "</section>"])


def _line(group: Group) -> str:
    first = group.findings[0]
    detail = f" ({words(first.detail)})" if first.detail and len(group.findings) == 1 else ""
    return f"{words(group.what)}{detail}: {plural(len(group.findings), 'site')}, <code>{words(group.places())}</code>"


def _fold(side: Side, section: Section, *, several: bool) -> str:
    parts = [f"<p>{_prose(section.text)}</p>"]
    parts += [_plate(plate, side.images[plate.name]) for plate in section.plates if plate is not side.opening]
    if section.findings:
        parts.append(f"<h3>What was found</h3>{_list(section.findings)}")
    if section.table is not None:
        parts.append(f"<h3>Numbers</h3>{_table(section.table, f'Numbers: {section.title}, {side.name}')}")
    of = f"<small>{words(side.name)}</small>" if several else ""
    return f"<details><summary><h2>{words(section.title)}</h2>{of}</summary>{''.join(parts)}</details>"


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
    return f"<h3>{words(plate.title)}</h3>{_figure(plate, image)}"


def _figure(plate: Plate, image: bytes) -> str:
    return (
        f"<figure>{_image(plate, image, 'width', 'height')}"
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


def _table(found: Table, label: str, kind: str = "wide") -> str:
    """A table that scrolls sideways if it is too wide, also with the keyboard."""
    return table(found.heads, found.rows, found.right, label, kind)


def _prose(text: str) -> str:
    """The HTML of text with code in backticks."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", words(text))
