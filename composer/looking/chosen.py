"""The patch to look from, in every grid of a network."""

from __future__ import annotations

from dataclasses import dataclass

from composer.errors import Diagnostic, InputError
from composer.looking.forms import TokenMaps, WindowMaps
from composer.looking.gather import Gathered
from composer.looking.nodes import Grid
from composer.looking.queries import Looks, Patch, check_patch, finest, in_grid


@dataclass(frozen=True)
class Chosen:
    """The chosen patch: row and column in the finest grid on which the network's token attention works."""

    patch: Patch
    grid: Grid

    def within(self, other: Grid | None) -> Patch:
        """The patch of another grid at the same place."""
        return in_grid(self.patch, self.grid, other or self.grid)

    def __str__(self) -> str:
        return f"patch {self.patch[0]},{self.patch[1]} of {self.grid[0]}×{self.grid[1]}"


def choose(gathered: Gathered, patch: Patch | None) -> Chosen | None:
    """The requested patch, or the patch at the centre; None if the network has no grid. Raises InputError."""
    grid = finest(looks_of(gathered))
    if grid is not None:
        return Chosen(check_patch(patch, grid), grid)
    if patch is not None:
        text = f"`{gathered.model.spec.name}` has no attention between positions, so no patch looks anywhere"
        raise InputError(Diagnostic("patch", text, help=("leave out the patch",)))
    return None


def looks_of(gathered: Gathered) -> list[Looks]:
    """Token attention and window attention."""
    return [*gathered.of(TokenMaps), *gathered.of(WindowMaps)]
