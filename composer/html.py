"""Pages that stand alone: one file, no request to anywhere, and nothing runs in it but what it was written with."""

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
    """A whole HTML page.

    body     markup, escaped already; it may hold neither scripts nor `style` and `on…` attributes: they would not work
    styles   style sheets; scripts: classic scripts, which run when the body is there, in this order
    data     plain JSON values, for scripts to read from the element `data`

    Its policy lets nothing else in: no connection, no frame, no other script or style; images as `data:` alone.
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
        # Without one, browsers ask the server for /favicon.ico.
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
    """Text as markup."""
    return escape(visible(text))


def _json(data: Any) -> str:
    """JSON that holds nothing which could end its element or start a comment in it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hashes(sources: Sequence[str]) -> str:
    """The only sources of a kind that may be used, by their content; `'none'` without any."""
    found = []
    for source in sources:
        if "</" in source or "<!--" in source:
            raise ValueError("a script or style of a page holds `</` or `<!--`, which could end its element")
        found.append(f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'")
    return " ".join(found) or "'none'"


__all__ = ["document", "words"]
