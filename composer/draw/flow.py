"""Several things on one sheet: one after the other in columns or rows."""

from __future__ import annotations

from collections.abc import Sequence


def flow(sizes: Sequence[tuple[int, int]], limit: int, gap: tuple[int, int], *, rows: bool) -> list[tuple[int, int]]:
    """Corners of things of these sizes, column by column (or row by row); a new one begins where `limit` is passed.

    gap  between two things of a column, and between two columns
    """
    corners: list[tuple[int, int]] = []
    along = across = thickest = 0
    for size in sizes:
        length, thickness = size if rows else size[::-1]
        if along and along + length > limit:
            along, across, thickest = 0, across + thickest + gap[1], 0
        corners.append((along, across) if rows else (across, along))
        along += length + gap[0]
        thickest = max(thickest, thickness)
    return corners
