"""Several items on a sheet, in columns or rows."""

from __future__ import annotations

from collections.abc import Sequence


def flow(sizes: Sequence[tuple[int, int]], limit: int, gap: tuple[int, int], *, rows: bool) -> list[tuple[int, int]]:
    """Corners of items of these sizes, column by column, or row by row.

    limit  length at which a new column or row begins
    gap    between items in a column, and between columns
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
