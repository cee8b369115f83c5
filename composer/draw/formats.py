"""The formats of `composer graph` by name. Imports no large library, so that a wrong name is reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from composer.errors import Diagnostic, InputError, did_you_mean, one_of

# The format of a page instead of a picture: see composer/page.
PAGE = "html"
SUFFIXES = {
    "svg": (".svg",),
    PAGE: (".html", ".htm"),
    "dot": (".dot", ".gv"),
    "mmd": (".mmd", ".mermaid"),
    "json": (".json",),
    "png": (".png",),
    "pdf": (".pdf",),
    "tex": (".tex", ".tikz"),
}
# Formats that show numbers of nodes as colours.
IN_COLOURS = (PAGE, "svg", "png", "pdf")
# Formats of figures of a fixed width.
OF_PRINT = ("svg", "png", "pdf", "tex")


def format_of(
    output: Path, asked: str | None, known: Mapping[str, tuple[str, ...]] = SUFFIXES, on_stdout: str = "svg"
) -> str:
    """The requested format, or the format of a file's suffix. Raises InputError."""
    if asked is not None:
        if asked not in known:
            raise InputError(_unknown(f"unknown format `{asked}`", did_you_mean(asked, known), known))
        return asked
    if str(output) == "-":
        return on_stdout
    suffix = output.suffix.lower()
    for name, suffixes in known.items():
        if suffix in suffixes:
            return name
    text = f"`{output}` ends in no format that is known" if suffix else f"`{output}` names no format"
    endings = one_of(ending for suffixes in known.values() for ending in suffixes)
    raise InputError(_unknown(text, (f"end it in {endings}, or say `--format`",), known))


def _unknown(text: str, help: tuple[str, ...], known: Mapping[str, tuple[str, ...]]) -> Diagnostic:
    return Diagnostic("format", text, label=f"one of {one_of(known)}", help=help)
