"""What is declared in a folder before its first training, and must not change before the last."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from composer.errors import Diagnostic, InputError
from composer.paths import PATH_ERRORS, reason


def declaration_text(wanted: Mapping[str, Any]) -> str:
    """The text of a declaration's file."""
    return f"{json.dumps(wanted, indent=1, ensure_ascii=False)}\n"


def read_declaration(path: Path) -> dict[str, Any] | None:
    """What a folder declares; None where there is no such file. Raises InputError if it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
        why = "it holds no declaration"
    except FileNotFoundError:
        return None
    except (*PATH_ERRORS, ValueError) as error:
        why = reason(error)
    raise InputError(Diagnostic("comparison", f"cannot read `{path}`: {why}", help=("choose another folder",)))


def declared_threads(path: Path) -> int | None:
    """The threads of each training that a file declares; None where it says nothing. Raises InputError."""
    found = (read_declaration(path) or {}).get("threads")
    return found if isinstance(found, int) else None


def changes(before: Mapping[str, Any], now: Mapping[str, Any], keys: Iterable[str]) -> Iterator[str]:
    """A sentence for each of these keys whose value was another."""
    for key in keys:
        if before.get(key) != now.get(key):
            yield f"`{key}` was {json.dumps(before.get(key))}, and is {json.dumps(now.get(key))}"
