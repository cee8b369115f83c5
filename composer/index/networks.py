"""What the zoo's files say of networks, from the index where it has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from composer.index.card import read
from composer.spec import zoo


def description(name: str) -> str | None:
    """What the file of a network of the zoo says of it, in one line; None if it says nothing."""
    known: Mapping[str, str | None] = read()["descriptions"]
    if name in known:
        return known[name]
    from composer.spec import catalogue

    return catalogue.description(name)


def papers(pattern: str, filters: Mapping[str, str | None]) -> Sequence[dict[str, Any]]:
    """Rows of the papers' networks, as `composer.spec.catalogue.experiments` finds them."""
    known: Sequence[dict[str, Any]] = read()["papers"]
    plain = all(value is None for value in filters.values())
    if plain and {row["name"] for row in known} == set(zoo.papers()):
        return [row for row in known if fnmatchcase(row["name"], pattern)]
    from composer.spec.catalogue import experiments

    return [one.to_row() for one in experiments(pattern, **filters)]
