"""Finds mechanisms by any words: of a name, an alias, a paper, or of what they do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from composer.errors import one_of
from composer.registry.block import BlockEntry
from composer.registry.entry import ModuleEntry
from composer.registry.lookup import entries

Mechanism = ModuleEntry | BlockEntry


def find_mechanisms(words: str) -> Sequence[Mechanism]:
    """Mechanisms for which `words` is a name, a glob over names (`cbam*`) or an alias, such as `SE-Net`; if there are
    none, those that have every one of the words in their name, aliases, first line or paper. Sorted by name.
    """
    every = _every()
    if not {*"*?["}.isdisjoint(words):
        return [one for one in every if fnmatchcase(one.name, words)]
    plain = _letters(words)
    return [one for one in every if plain in _names(one)] or [one for one in every if _has_all(one, words)]


def called(name: str) -> Sequence[Mechanism]:
    """Mechanisms that people call so, by an alias and not by their own name: `psa` is a name of several."""
    plain = _letters(name)
    return [one for one in _every() if one.name != name and plain in {_letters(alias) for alias in one.aliases}]


def hint(name: str) -> tuple[str, ...]:
    """Help lines for an unknown name that people use for mechanisms; none if nobody does."""
    found = called(name)
    return (f"{one_of(one.name for one in found)} is what `{name}` is called here",) if found else ()


def paper(entry: Mechanism) -> str:
    """Where a mechanism is from, as its docstring says first; empty if it does not say."""
    found = re.search(r"^Source:\s+(.*?)(?:\.\s|$)", entry.doc, re.MULTILINE)
    return found[1] if found else ""


def _every() -> list[Mechanism]:
    """Every mechanism, also blocks of plugins in YAML."""
    return [one for one in entries("mechanism") if isinstance(one, Mechanism)]


def _letters(text: str) -> str:
    """Letters and digits alone, so that `SE-Net`, `se net` and `SENet` are the same."""
    return re.sub(r"[\W_]+", "", text).lower()


def _names(entry: Mechanism) -> set[str]:
    return {_letters(name) for name in (entry.name, *entry.aliases)}


def _has_all(entry: Mechanism, words: str) -> bool:
    source = re.search(r"^Source:(.*?)^\S", f"{entry.doc}\n.", re.MULTILINE | re.DOTALL)
    text = " ".join((entry.name, *entry.aliases, entry.summary, source[1] if source else "")).lower()
    wanted = re.findall(r"\w+", words.lower())
    return bool(wanted) and all(re.search(rf"\b{word}", text) for word in wanted)
