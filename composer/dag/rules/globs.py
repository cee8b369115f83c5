"""Globs over dotted paths. The time of a match is at most proportional to path times glob, with any number of stars."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import takewhile

_TOKEN = re.compile(r"\*\*|\*|\?|\[!?[^\]]+\]|.", re.DOTALL)
_WILD = {"**": ".", "*": "[^.]", "?": "[^.]"}
# A pattern for the letters that a token matches, and whether it matches any number of them.
_Step = tuple[str, bool]


class Glob:
    """A pattern for paths.

    `*` matches any part of one name, `**` any part of a path, `?` a letter of a name, `[a-c]` one of these letters and
    `[!a-c]` any letter but these. A bracket that is never closed matches itself.

    >>> [path for path in ("layer1.conv1", "layer2.0.conv1", "stem") if Glob("layer[12].*").matches(path)]
    ['layer1.conv1']
    """

    def __init__(self, text: str) -> None:
        tokens = _TOKEN.findall(text)
        # This beginning rules out most paths quickly.
        self._head = "".join(takewhile(_is_letter, tokens))
        self._tail = "".join(takewhile(_is_letter, reversed(tokens)))[::-1]
        try:
            self._steps = _merged(_step(token) for token in tokens)
            self._letters = {letters: re.compile(letters, re.DOTALL) for letters, _ in self._steps}
        except re.error:
            self._steps = [(re.escape(letter), False) for letter in text]
            self._letters = {letters: re.compile(letters) for letters, _ in self._steps}
        self._stars = _bits(star for _, star in self._steps)
        self._known: dict[str, tuple[int, int]] = {}

    def matches(self, path: str) -> bool:
        """Whether the glob matches the whole path."""
        if not (path.startswith(self._head) and path.endswith(self._tail)):
            return False
        # Bit i: the path so far matches the first i steps. This follows all ways to match the stars at the same time.
        reached = 1 | (1 & self._stars) << 1
        for letter in path:
            if letter not in self._known:
                self._known[letter] = self._moves(letter)
            once, again = self._known[letter]
            reached = (reached & once) << 1 | reached & again
            reached |= (reached & self._stars) << 1
            if not reached:
                return False
        return bool(reached >> len(self._steps))

    def may_match_below(self, path: str) -> bool:
        """Whether the glob may match a path that begins with this one; False only if it matches none."""
        start = f"{path}."
        return self._head.startswith(start) or start.startswith(self._head)

    def _moves(self, letter: str) -> tuple[int, int]:
        """The steps that match a letter once, and the stars that match it and continue; both as bits."""
        alike = {letters for letters, pattern in self._letters.items() if pattern.fullmatch(letter)}
        once = _bits(letters in alike and not star for letters, star in self._steps)
        return once, _bits(letters in alike and star for letters, star in self._steps)


@lru_cache(maxsize=256)
def glob(text: str) -> Glob:
    """The glob of a text, cached."""
    return Glob(text)


def _is_letter(token: str) -> bool:
    return len(token) == 1 and token not in _WILD


def _step(token: str) -> _Step:
    if token in _WILD:
        return _WILD[token], token != "?"
    if _is_letter(token):
        return re.escape(token), False
    inside = re.escape(token[1:-1].lstrip("!")).replace(r"\-", "-")
    return f"[{'^' * token.startswith('[!')}{inside}]", False


def _merged(steps: Iterable[_Step]) -> list[_Step]:
    """The steps; of adjacent stars, only the widest."""
    found: list[_Step] = []
    for step in steps:
        if step[1] and found and found[-1][1]:
            found[-1] = min(found[-1], step)  # `.` sorts before `[^.]`
        else:
            found.append(step)
    return found


def _bits(flags: Iterable[bool]) -> int:
    # Through text, because adding bit by bit takes quadratic time.
    return int("".join("01"[flag] for flag in flags)[::-1] or "0", 2)
