"""HTML pages in a single file: they make no requests, and run only their own scripts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from typing import Any

from composer.visible import visible


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
    data     plain JSON values, which scripts read from the element `data`

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
        *([] if data is None else [f'<script type="application/json" id="data">{_json(data)}</script>']),
        *(f"<script>{script}</script>" for script in scripts),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def words(text: str) -> str:
    """Text as escaped markup, U+FFFD for each character that does not print."""
    return escape(visible(text))


def _json(data: Any) -> str:
    """JSON without characters that could end its element or start a comment in it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hashes(sources: Sequence[str]) -> str:
    """The allowed sources of a policy, as hashes of their content; `'none'` if there are none."""
    found = []
    for source in sources:
        if "</" in source or "<!--" in source:
            raise ValueError("a script or style of a page holds `</` or `<!--`, which could end its element")
        found.append(f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'")
    return " ".join(found) or "'none'"


__all__ = ["document", "words"]
