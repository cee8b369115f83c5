"""Writes the index anew: python -m composer.index.make"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from composer import registry
from composer.index.card import INDEX, PACKAGE, SCHEMA, SIZE, Card
from composer.index.described import described
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
        INDEX: _lines(made()),
        SCHEMA: _lines(schema()),
    }


def _lines(value: Any, depth: int = 2) -> str:
    """JSON with a line for each thing down to a depth, so that a change of one is a change of a line."""
    if not depth or not isinstance(value, dict | list) or not value:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        inside = [f"{json.dumps(key)}: {_lines(one, depth - 1)}" for key, one in value.items()]
    else:
        inside = [_lines(one, depth - 1) for one in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([first, ",\n".join(inside), last])


def _entry(entry: Entry) -> dict[str, Any]:
    shown = {name: value for name, value in described(entry, SIZE).items() if name not in _ELSEWHERE}
    place = {"file": Path(entry.file).relative_to(PACKAGE).as_posix(), "factory": entry.factory.__name__}
    return {**asdict(Card.of(entry)), "shown": {**place, "entry": shown}}


if __name__ == "__main__":
    for file, text in texts().items():
        file.write_text(text, encoding="utf-8")
        print(f"wrote {file}")
