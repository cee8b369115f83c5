"""Text that shows what it is: it cannot move a terminal's cursor, hide, or turn the direction of what follows."""

from __future__ import annotations

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def visible(text: str) -> str:
    """One line of text, U+FFFD for each character that does not print; XML can hold all of it.

    >>> visible("a\\x1b[31mb\\u202ec")
    'a�[31mb�c'
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _REPLACEMENT for character in text)


def visible_lines(text: str) -> str:
    """The same of several lines, their ends kept and their tabs as spaces."""
    return "\n".join(visible(line.expandtabs()) for line in text.split("\n"))
