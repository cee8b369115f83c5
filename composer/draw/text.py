"""Widths of text without a font engine: advance widths of Helvetica, which Arial and Liberation Sans share."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

# Width in thousandths of the font size -> characters.
_REGULAR = {
    191: "'",
    222: "ijl",
    260: "|",
    278: " !,./:;I[\\]ft",
    333: "()-`r·",
    334: "{}",
    355: '"',
    389: "*",
    469: "^",
    500: "Jcksvxyz",
    556: "#$0123456789?L_abdeghnopqu–",
    584: "+<=>~×",
    611: "FTZ",
    667: "&ABEKPSVXY",
    722: "CDHNRUw",
    778: "GOQ",
    833: "Mm",
    889: "%",
    944: "W",
    1000: "—…→",
    1015: "@",
}
_BOLD = {
    238: "'",
    278: " ,./I\\ijl",
    280: "|",
    333: "!():;-[]`ft",
    389: "*r{}",
    474: '"',
    500: "z",
    556: "#$0123456789J_aceksvxy–",
    584: "+<=>^~×",
    611: "?FLTZbdghnopqu",
    667: "EPSVXY",
    722: "&ABCDHKNRU",
    778: "GOQw",
    833: "M",
    889: "%m",
    944: "W",
    975: "@",
    1000: "—…→",
}
_WIDTHS = [
    {character: width for width, characters in table.items() for character in characters} for table in (_REGULAR, _BOLD)
]
_UNKNOWN = 667
# Class in the style sheet -> font size, and whether it is bold; text without a class has the usual size.
USUAL = 11
# In print, all text has one size: class `print`, or `name` in bold.
PRINT_SIZE = 12
PRINT_KINDS = {"print": (PRINT_SIZE, False), "name": (PRINT_SIZE, True)}
KINDS = {"name": (12, True), "label": (10, False), "title": (17, True), "badge": (10, True)}


@lru_cache(maxsize=4096)
def width(text: str, size: float, *, bold: bool = False) -> int:
    """The width of a line of text in pixels, rounded up."""
    thousandths = sum(advance(character, bold=bold) for character in text)
    return -int(-thousandths * size // 1000)


def advance(character: str, *, bold: bool = False) -> int:
    """The width of a character in thousandths of the font size."""
    known = _WIDTHS[bold].get(character)
    if known is not None:
        return known
    if unicodedata.combining(character):
        return 0
    return 1000 if unicodedata.east_asian_width(character) in "WF" else _UNKNOWN


def size_of(kind: str) -> tuple[int, bool]:
    """The font size of text with these classes, and whether it is bold."""
    known = {**KINDS, **PRINT_KINDS}
    return next((known[one] for one in kind.split() if one in known), (USUAL, False))


def fit(text: str, size: float, limit: int, *, bold: bool = False) -> str:
    """The text, with `…` in place of its middle if it is wider than the limit."""
    if width(text, size, bold=bold) <= limit:
        return text
    kept = min(len(text), int(4000 * limit / (1000 * size)) + 2)
    while kept > 1:
        kept -= 1
        shown = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if width(shown, size, bold=bold) <= limit:
            return shown
    return "…"


def wrap(text: str, size: float, limit: int, lines: int) -> list[str]:
    """The text in at most this many lines, the last line shortened."""
    found: list[str] = []
    current = ""
    for word in text.split():
        candidate = f"{current} {word}" if current else word
        if current and width(candidate, size) > limit:
            found.append(current)
            current = word
        else:
            current = candidate
    found.append(current)
    kept, rest = found[: lines - 1], " ".join(found[lines - 1 :])
    return [fit(line, size, limit) for line in (*kept, rest) if line]
