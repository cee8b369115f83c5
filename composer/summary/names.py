"""Many names in few words."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_PARTS = 4


def ranges(names: Iterable[str]) -> str:
    """Names, with consecutive numbers as ranges; a long text loses its middle.

    >>> ranges(["0", "1", "2", "4"]), ranges(["cbam", "cbam_2", "cbam_3"])
    ('0-2, 4', 'cbam, cbam_2-3')
    """
    runs: list[tuple[str, int | None, int | None]] = []
    for name in names:
        prefix, number = _split(name)
        if runs and number is not None and runs[-1][0] == prefix and runs[-1][2] == number - 1:
            runs[-1] = (prefix, runs[-1][1], number)
        else:
            runs.append((prefix, number, number))
    parts = [_part(*run) for run in runs]
    return ", ".join(parts if len(parts) <= MAX_PARTS else [*parts[:2], "…", parts[-1]])


def _split(name: str) -> tuple[str, int | None]:
    """A name without its final number, and the number; None without a number."""
    match = re.fullmatch(r"(.*?)(0|[1-9][0-9]{0,8})", name)
    return (match[1], int(match[2])) if match else (name, None)


def _part(prefix: str, first: int | None, last: int | None) -> str:
    if first is None:
        return prefix
    return f"{prefix}{first}" if first == last else f"{prefix}{first}-{last}"
