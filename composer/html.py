"""HTML pages in a single file: they make no requests, and run only their own scripts."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from composer.visible import visible

# Of pages that are read: headings, paragraphs, tables and figures, in light and dark, on screen and on paper.
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
details { border-top: 1px solid var(--line) } summary { cursor: pointer; padding: .6rem 0 }
summary h2 { display: inline; border: 0; margin: 0; padding: 0; font-size: 1.05rem }
summary small { margin-left: .5rem }
body:has(.sides) { max-width: 100rem }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 0 1.5rem }
@media print {
  body { max-width: none; padding: 0 } .wide, .words { overflow: visible } th, td { white-space: normal }
  figure, tr { break-inside: avoid }
}
"""


def document(
    title: str,
    body: str,
    *,
    styles: Sequence[str],
    scripts: Sequence[str] = (),
    data: Any = None,
    language: str = "en",
) -> str:
    """A whole HTML page. Raises ValueError for a style or script that contains `</` or `<!--`.

    body     markup, already escaped; scripts and `style` and `on…` attributes in it would not work
    styles   style sheets; scripts: classic scripts, which run after the body, in this order
    data     plain JSON values, which scripts read from the element `data`: JSON, by DEFLATE, in base64

    Its content policy forbids all else: connections, frames, other scripts and styles; images only as `data:`.
    """
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src {_hashes(styles)}",
            f"script-src {_hashes(scripts)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    text = "" if data is None else packed(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
    parts = [
        "<!doctype html>",
        f'<html lang="{escape(language)}">',
        '<head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        # Without an icon, browsers ask the server for /favicon.ico.
        '<link rel="icon" href="data:,">',
        f"<title>{words(title)}</title>",
        *(f"<style>{style}</style>" for style in styles),
        "</head>",
        f"<body>{body}",
        *([] if data is None else [f'<script type="application/octet-stream" id="data">{text}</script>']),
        *(f"<script>{script}</script>" for script in scripts),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str], label: str, kind: str) -> str:
    """A table that scrolls sideways if it is too wide, also with the keyboard.

    right  the columns that are aligned to the right
    label  what it is, for those who do not see it
    kind   `wide`, or `words` where lines may break
    """
    sides = [' class="right"' if head in right else "" for head in heads]
    top = "".join(f'<th scope="col"{side}>{words(head)}</th>' for head, side in zip(heads, sides, strict=True))
    lines = "".join(
        f"<tr>{''.join(f'<td{side}>{words(cell)}</td>' for cell, side in zip(row, sides, strict=True))}</tr>"
        for row in rows
    )
    region = f'<div class="{kind}" role="region" tabindex="0" aria-label="{words(label)}">'
    return f"{region}<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"


def words(text: str) -> str:
    """Text as escaped markup, U+FFFD for each character that does not print."""
    return escape(visible(text))


def packed(text: str) -> str:
    """Text in a seventh of its length, of letters that cannot end an element; `page/client/src/unpack.js` reads it."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return base64.b64encode(packer.compress(text.encode("utf-8", "replace")) + packer.flush()).decode()


def _hashes(sources: Sequence[str]) -> str:
    """The allowed sources of a policy, as hashes of their content; `'none'` if there are none."""
    found = []
    for source in sources:
        if "</" in source or "<!--" in source:
            raise ValueError("a script or style of a page holds `</` or `<!--`, which could end its element")
        found.append(f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'")
    return " ".join(found) or "'none'"


__all__ = ["STYLE", "document", "packed", "table", "words"]
