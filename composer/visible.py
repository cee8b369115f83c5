"""Makes text safe to show: it cannot move a terminal's cursor, hide text, or change the direction of text."""

from __future__ import annotations

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def visible(text: str) -> str:
    """A line of text with U+FFFD for each character that does not print; XML can contain all of it.

    >>> visible("a\\x1b[31mb\\u202ec")
    'a�[31mb�c'
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _REPLACEMENT for character in text)


def one_line(text: str | None) -> str:
    """A text of several lines, or none, as a single line that is safe to show."""
    return visible(" ".join((text or "").split()))


def visible_lines(text: str) -> str:
    """Several lines of text, each as by `visible`; line ends are kept, tabs become spaces."""
    return "\n".join(visible(line.expandtabs()) for line in text.split("\n"))
