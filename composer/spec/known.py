"""What the index knows of a mechanism that a rule uses, for advice; it knows composer's own, without torch."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from typing import Any


def usual_place(name: str) -> str:
    """Advice on where to put what a rule uses."""
    places = _known(name).get("places")
    if not places:
        return "say where it goes, such as `after: branch`"
    written = [", ".join(f"{key}: {text}" for key, text in place.items()) for place in places]
    return f"write {' or '.join(f'`{one}`' for one in written)}, where {name} usually goes"


def options_of(name: str) -> Collection[str]:
    """The options of a mechanism or layer; none if it is not known."""
    return _known(name).get("options") or ()


def _known(name: str) -> dict[str, Any]:
    card = importlib.import_module("composer.index.card").composers_own().get(name)
    return card.shown["entry"] if card else {}
