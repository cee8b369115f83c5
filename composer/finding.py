"""Finds mechanisms by any words: of a name, an alias, a paper, or of what they do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar

from composer.errors import one_of

# What a mechanism is looked for by: what it tells apart, or what it takes the place of.
GROUPS = ("channel", "spatial", "both", "global", "kernel", "token", "fusion")


class Named(Protocol):
    """A mechanism, as far as people look for it."""

    @property
    def name(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...
    @property
    def summary(self) -> str: ...
    @property
    def doc(self) -> str: ...


Mechanism = TypeVar("Mechanism", bound=Named)


def find(every: Sequence[Mechanism], words: str) -> Sequence[Mechanism]:
    """Mechanisms for which `words` is a name, a glob over names (`cbam*`) or an alias, such as `SE-Net`; if there are
    none, those that have every one of the words in their name, aliases, first line or paper.
    """
    if not {*"*?["}.isdisjoint(words):
        return [one for one in every if fnmatchcase(one.name, words)]
    plain = _letters(words)
    return [one for one in every if plain in _names(one)] or [one for one in every if _has_all(one, words)]


def called(every: Iterable[Mechanism], name: str) -> Sequence[Mechanism]:
    """Mechanisms that people call so, by an alias and not by their own name: `psa` is a name of several."""
    plain = _letters(name)
    return [one for one in every if one.name != name and plain in {_letters(alias) for alias in one.aliases}]


def hint(every: Iterable[Mechanism], name: str) -> tuple[str, ...]:
    """Help lines for an unknown name that people use for mechanisms; none if nobody does."""
    found = called(every, name)
    is_or_are = "is" if len(found) == 1 else "are"
    return (f"{one_of(one.name for one in found)} {is_or_are} what `{name}` is called here",) if found else ()


def paper(doc: str) -> str:
    """Where a mechanism is from, as its docstring says first; empty if it does not say."""
    found = re.search(r"^Source:\s+(.*?)(?:\.\s|$)", doc, re.MULTILINE)
    return found[1] if found else ""


def _letters(text: str) -> str:
    """Letters and digits alone, so that `SE-Net`, `se net` and `SENet` are the same."""
    return re.sub(r"[\W_]+", "", text).lower()


def _names(entry: Named) -> set[str]:
    return {_letters(name) for name in (entry.name, *entry.aliases)}


def _has_all(entry: Named, words: str) -> bool:
    source = re.search(r"^Source:(.*?)^\S", f"{entry.doc}\n.", re.MULTILINE | re.DOTALL)
    text = " ".join((entry.name, *entry.aliases, entry.summary, source[1] if source else "")).lower()
    wanted = re.findall(r"\w+", words.lower())
    return bool(wanted) and all(re.search(rf"\b{word}", text) for word in wanted)
