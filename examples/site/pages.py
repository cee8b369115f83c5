"""A page of the site, and the frame around every page: navigation, style, search."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
_TAGS = re.compile(r"<(math|pre|svg)\b.*?</\1>|<[^>]+>", re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A page.

    path     where it stands in the site, such as `mechanisms/cbam.html`
    title    its heading, as plain text
    body     its content as HTML, without the heading
    room     the entry of the navigation that it belongs to; empty for pages that are only linked to
    words    what else the search finds it by
    """

    path: str
    title: str
    body: str
    room: str = ""
    words: str = ""


@dataclass
class Site:
    """All pages, and the files that stand beside them, by path."""

    pages: dict[str, Page] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, pages: Iterable[Page]) -> None:
        """Add pages; two at one path are a mistake of the script."""
        for page in pages:
            assert page.path not in self.pages, f"two pages at {page.path}"
            self.pages[page.path] = page

    def write(self, folder: Path) -> None:
        """Write the whole site into a folder."""
        rooms = self._rooms()
        for page in self.pages.values():
            _put(folder / page.path, _framed(page, rooms).encode())
        for path, content in self.files.items():
            _put(folder / path, content)
        _put(folder / "style.css", (HERE / "style.css").read_bytes())
        _put(folder / "search.js", (HERE / "search.js").read_bytes())
        _put(folder / "found.js", f"const PAGES = {json.dumps(list(self._found()), ensure_ascii=False)};".encode())

    def _rooms(self) -> dict[str, list[Page]]:
        rooms: dict[str, list[Page]] = {}
        for page in self.pages.values():
            if page.room:
                rooms.setdefault(page.room, []).append(page)
        return rooms

    def _found(self) -> Iterable[list[str]]:
        """What the search reads of each page: path, title, and the beginning of its text."""
        for page in self.pages.values():
            text = " ".join(f"{page.words} {_TAGS.sub(' ', page.body)}".split())
            yield [page.path, page.title, text[:400]]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], classes: Mapping[int, str] | None = None) -> str:
    """A table of cells that are HTML already.

    classes  column -> `number`, which stands at the right, or `words`, which needs room
    """
    given = classes or {}
    kinds = [f' class="{given[column]}"' if column in given else "" for column in range(len(heads))]
    head = "".join(f"<th{one}>{escape(text)}</th>" for text, one in zip(heads, kinds, strict=True))
    lines = ("".join(f"<td{one}>{cell}</td>" for cell, one in zip(row, kinds, strict=True)) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def relative(path: str, from_page: str) -> str:
    """A path of the site as a link from a page."""
    target, hash_sign, anchor = path.partition("#")
    return os.path.relpath(target, os.path.dirname(from_page) or ".") + hash_sign + anchor


def _framed(page: Page, rooms: dict[str, list[Page]]) -> str:
    root = relative(".", page.path)
    title = "composer" if page.path == "index.html" else f"{escape(page.title)} · composer"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<link rel="icon" href="data:,"><title>{title}</title>',
            f'<link rel="stylesheet" href="{root}/style.css"></head><body>',
            f'<header><a class="name" href="{root}/index.html">composer</a>',
            f'<search><input id="query" type="search" data-root="{root}" placeholder="Search" aria-label="Search">',
            '<ul id="found" hidden></ul></search></header>',
            '<div class="columns"><nav aria-label="Pages">',
            *(_entries(room, pages, page) for room, pages in rooms.items()),
            f"</nav><main><h1>{escape(page.title)}</h1>",
            page.body,
            "</main></div>",
            f'<script src="{root}/found.js"></script><script src="{root}/search.js"></script></body></html>\n',
        ]
    )


def _entries(room: str, pages: Sequence[Page], page: Page) -> str:
    """A part of the navigation; its pages are listed where one of them is shown."""
    links = []
    for one in pages:
        current = ' aria-current="page"' if one is page else ""
        links.append(f'<li><a href="{relative(one.path, page.path)}"{current}>{escape(one.title)}</a></li>')
    is_open = " open" if page.room == room else ""
    return f"<details{is_open}><summary>{escape(room)}</summary><ul>{''.join(links)}</ul></details>"


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
