"""Kernels with a middle."""

from __future__ import annotations


def check_odd(name: str, kernel_size: int, so_that: str = "the map keeps its size") -> None:
    """Raises ValueError for an even kernel; `so_that` says what an odd one is for."""
    if kernel_size % 2 == 0:
        raise ValueError(f"{name}: kernel_size={kernel_size} is even; use an odd number, so that {so_that}")
