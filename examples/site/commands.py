"""The command line: every verb with its arguments and options."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import typer
from pages import Page
from prose import html

from composer.cli.app import app


def pages() -> Iterator[Page]:
    """A page for each verb."""
    for name, command in typer.main.get_command(app()).commands.items():  # type: ignore[attr-defined]
        yield Page(f"commands/{name}.html", f"composer {name}", _command(command), "Commands")


def _command(command: Any) -> str:
    parts = [html(command.help or "")]
    for heading, is_option in (("Arguments", False), ("Options", True)):
        entries = [_parameter(one) for one in command.params if hasattr(one, "is_flag") == is_option and not one.hidden]
        if entries:
            parts.append(f"<h2>{heading}</h2><dl>{''.join(entries)}</dl>")
    return "".join(parts)


def _parameter(found: Any) -> str:
    names = ", ".join([*found.opts, *found.secondary_opts]) if hasattr(found, "is_flag") else ""
    value = "" if getattr(found, "is_flag", False) else found.metavar or (found.name.upper() if found.name else "")
    shown = found.default not in (None, False, (), []) and not callable(found.default)
    default = f" Default: <code>{escape(str(getattr(found.default, 'value', found.default)))}</code>." if shown else ""
    return f"<dt>{escape(' '.join(filter(None, (names, value))))}</dt><dd>{html(found.help or '')}{default}</dd>"
