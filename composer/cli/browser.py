"""Opens what a command drew in the browser."""

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from composer.cli.options import say

Open = Annotated[bool, typer.Option("--open", help="Open it in the browser; without -o, from a temporary file.")]


def page_to_open(name: str) -> Path:
    """A new temporary file for a page, which stays until the system removes it."""
    return Path(tempfile.mkdtemp(prefix="composer-")) / f"{Path(name).stem or 'network'}.html"


def open_page(context: typer.Context, path: Path) -> None:
    """Open a file in the browser; without one, say where it is."""
    if not webbrowser.open(path.resolve().as_uri()):
        say(context, f"no browser could be started; open {path}")


def open_address(context: typer.Context, address: str) -> None:
    """Open an address in the browser; without one, say so."""
    if not webbrowser.open(address):
        say(context, "no browser could be started; open the address above")
