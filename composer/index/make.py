"""Writes the index anew: python -m composer.index.make"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from composer import registry
from composer.index.card import INDEX, PACKAGE, SCHEMA, SIZE, Card
from composer.index.described import described
from composer.index.text import lines
from composer.registry import Entry
from composer.schema import schema
from composer.spec import zoo
from composer.spec.catalogue import description, experiments

# What a card has itself, or its file has.
_ELSEWHERE = ("doc", "sections", "source")


def made() -> dict[str, Any]:
    """The index, from the registry and the zoo."""
    networks = [*zoo.backbones(), *zoo.others()]
    return {
        "entries": [_entry(one) for one in registry.entries() if one.is_own],
        "descriptions": {name: description(name) for name in networks},
        "papers": [one.to_row() for one in experiments()],
    }


def texts() -> dict[Path, str]:
    """File -> what it holds."""
    return {
        INDEX: lines(made()),
        SCHEMA: lines(schema()),
    }


def _entry(entry: Entry) -> dict[str, Any]:
    shown = {name: value for name, value in described(entry, SIZE).items() if name not in _ELSEWHERE}
    place = {"file": Path(entry.file).relative_to(PACKAGE).as_posix(), "factory": entry.factory.__name__}
    return {**asdict(Card.of(entry)), "shown": {**place, "entry": shown}}


if __name__ == "__main__":
    for file, text in texts().items():
        file.write_text(text, encoding="utf-8")
        print(f"wrote {file}")
