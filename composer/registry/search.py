"""Finds registered mechanisms by any words, see `composer.finding`."""

from __future__ import annotations

from collections.abc import Sequence

from composer import finding
from composer.registry.block import BlockEntry
from composer.registry.entry import ModuleEntry
from composer.registry.lookup import entries

Mechanism = ModuleEntry | BlockEntry


def find_mechanisms(words: str) -> Sequence[Mechanism]:
    """Mechanisms of this name, glob or alias; if there are none, those that have all the words. Sorted by name."""
    return finding.find(_every(), words)


def called(name: str) -> Sequence[Mechanism]:
    """Mechanisms that people call so, by an alias and not by their own name."""
    return finding.called(_every(), name)


def hint(name: str) -> tuple[str, ...]:
    """Help lines for an unknown name that people use for mechanisms; none if nobody does."""
    return finding.hint(_every(), name)


def paper(entry: Mechanism) -> str:
    """Where a mechanism is from, as its docstring says first; empty if it does not say."""
    return finding.paper(entry.doc)


def _every() -> list[Mechanism]:
    """Every mechanism, also blocks of plugins in YAML."""
    return [one for one in entries("mechanism") if isinstance(one, Mechanism)]
