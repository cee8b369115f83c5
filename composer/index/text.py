"""JSON as the index has it."""

from __future__ import annotations

import json
from typing import Any


def lines(value: Any, depth: int = 2) -> str:
    """JSON with a line for each thing down to a depth, so that a change of one is a change of a line."""
    if not depth or not isinstance(value, dict | list) or not value:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        inside = [f"{json.dumps(key)}: {lines(one, depth - 1)}" for key, one in value.items()]
    else:
        inside = [lines(one, depth - 1) for one in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([first, ",\n".join(inside), last])
