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
    """The format that is asked for, by its name or a suffix, or that of a file's suffix. Raises InputError."""
    of_suffix = {suffix: name for name, suffixes in known.items() for suffix in suffixes}
    if asked is not None:
        if asked in known:
            return asked
        if (found := of_suffix.get(f".{asked.lower()}")) is not None:
            return found
        raise InputError(_unknown(f"unknown format `{asked}`", did_you_mean(asked, known), known))
    if str(output) == "-":
        return on_stdout
    suffix = output.suffix.lower()
    if suffix in of_suffix:
        return of_suffix[suffix]
    text = f"`{output}` ends in no format that is known" if suffix else f"`{output}` names no format"
    raise InputError(_unknown(text, (f"end it in {one_of(of_suffix)}, or say `--format`",), known))


def _unknown(text: str, help: tuple[str, ...], known: Mapping[str, tuple[str, ...]]) -> Diagnostic:
    return Diagnostic("format", text, label=f"one of {one_of(known)}", help=help)
