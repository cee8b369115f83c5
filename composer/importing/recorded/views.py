"""Tensors whose axes were split, merged and reordered, which is written only where an operation needs it.

A chain such as `reshape(B, N, 3, H, P).permute(2, 0, 3, 1, 4)` changes no number. A view remembers it, so that what
undoes it leaves nothing to write, and what is left is one `rearrange`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from composer.dag.tensor import TensorSpec

_DEFAULT_LAYOUTS = {1: "c", 2: "b c", 3: "b n c", 4: "b c h w", 5: "b c t h w"}
# What an axis is split into: the part that keeps its name, which is not written as a size, comes at the marked place.
_PARTS = {
    "c": ("g", "k"),
    "h": ("p", "r"),
    "w": ("q", "s"),
    "b": ("h", "w", "p"),
    "n": ("h", "w", "p", "q"),
    "t": ("p", "q", "r"),
    "l": ("p", "q"),
}


@dataclass(frozen=True, eq=False)
class Atom:
    """A factor of an axis, which no step has split further."""

    size: int


Axes = tuple[tuple[Atom, ...], ...]


@dataclass(frozen=True)
class Ref:
    """A tensor that a node, or an input, of the scope gives."""

    name: str
    spec: TensorSpec


class NotAView(Exception):
    """A step is no change of axes alone."""


@dataclass(frozen=True)
class View:
    """A tensor that has the numbers of `ref` in other axes.

    parts     the factors of each axis of `ref`
    axes      the factors of each axis of the tensor
    expanded  the lengths to which axes of length 1 were expanded; None if none was
    """

    ref: Ref
    parts: Axes
    axes: Axes
    expanded: tuple[int, ...] | None = field(default=None)

    @classmethod
    def of(cls, ref: Ref) -> View:
        """The tensor as it is."""
        axes = tuple((Atom(length),) for length in ref.spec.shape)
        return cls(ref, axes, axes)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.expanded or tuple(map(_product, self.axes))

    @property
    def is_plain(self) -> bool:
        """Whether it is `ref` itself."""
        return self.axes == self.parts and self.expanded is None

    def permuted(self, order: Sequence[int]) -> View:
        """With its axes in another order."""
        expanded = None if self.expanded is None else tuple(self.expanded[one] for one in order)
        return replace(self, axes=tuple(self.axes[one] for one in order), expanded=expanded)

    def reshaped(self, shape: Sequence[int]) -> View:
        """With axes of these lengths. Raises NotAView if a factor would have to be cut that is in two of them."""
        if self.expanded is not None:
            raise NotAView
        view = self
        made: list[tuple[Atom, ...]] = []
        for old, new in _groups(self.shape, shape):
            atoms = [atom for index in old for atom in view.axes[index]]
            if not atoms:
                raise NotAView
            view, axes = view._cut(atoms, [shape[index] for index in new])
            made += axes
        return replace(view, axes=tuple(made))

    def expand(self, shape: Sequence[int]) -> View:
        """With axes of length 1 repeated."""
        shape = tuple(shape)
        if len(shape) != len(self.shape):
            raise NotAView
        return self if shape == self.shape else replace(self, expanded=shape)

    def outermost(self, dim: int) -> int | None:
        """The axis of `ref` of which an axis of the tensor is the first factor; None if it is none."""
        axis = self.axes[dim]
        return next((i for i, part in enumerate(self.parts) if axis and part[: len(axis)] == axis), None)

    def _cut(self, atoms: list[Atom], lengths: Sequence[int]) -> tuple[View, list[tuple[Atom, ...]]]:
        view, left = self, list(atoms)
        made: list[tuple[Atom, ...]] = []
        for length in lengths:
            taken: list[Atom] = []
            while _product(taken) < length or (length == 1 and not taken):
                if length == 1 and not (left and left[0].size == 1):
                    unit = Atom(1)
                    anchor = taken or [one for axis in made for one in axis][-1:] or left[:1]
                    view = view._with_unit(unit, anchor[0], before=bool(left) and anchor[0] is left[0])
                    taken.append(unit)
                    continue
                atom = left.pop(0)
                need = length // _product(taken)
                if atom.size > need:
                    if length % _product(taken) or atom.size % need:
                        raise NotAView
                    first, second = Atom(need), Atom(atom.size // need)
                    view = view._split(atom, (first, second))
                    made = [tuple(view._now(axis, atom, (first, second))) for axis in made]
                    atom = first
                    left.insert(0, second)
                taken.append(atom)
            if _product(taken) != length:
                raise NotAView
            made.append(tuple(taken))
        if any(atom.size > 1 for atom in left):
            raise NotAView
        made[-1] = (*made[-1], *left)
        return view, made

    def _with_unit(self, unit: Atom, anchor: Atom, *, before: bool) -> View:
        pair = (unit, anchor) if before else (anchor, unit)
        return replace(self, parts=tuple(tuple(self._now(part, anchor, pair)) for part in self.parts))

    def _split(self, atom: Atom, into: tuple[Atom, ...]) -> View:
        return replace(
            self,
            parts=tuple(tuple(self._now(part, atom, into)) for part in self.parts),
            axes=tuple(tuple(self._now(axis, atom, into)) for axis in self.axes),
        )

    @staticmethod
    def _now(axis: Iterable[Atom], atom: Atom, into: tuple[Atom, ...]) -> Iterable[Atom]:
        return itertools.chain.from_iterable(into if one is atom else (one,) for one in axis)

    def pattern(self, wanted: str | None = None) -> tuple[str, dict[str, int]]:
        """The pattern of a `rearrange` that makes the tensor of `ref`, and the sizes that it must be told.

        With names that make its layout the wanted one; the caller checks whether they fit `ref`.
        """
        names = self._names() if wanted is None else self._wanted_names(wanted.split())
        used = {atom for axis in self.axes for atom in axis}
        parts = [[atom for atom in part if atom in used] for part in self.parts]
        axes = [list(axis) for axis in self.axes]
        for part, whole in zip(parts, self.parts, strict=True):
            # An axis of length 1 that is gone is merged with its neighbour.
            if not part:
                part.extend(whole[:1])
                axes[-1].append(whole[0])
        sizes: dict[str, int] = {}
        for axis, part in enumerate(parts):
            kept = self._kept(axis, part)
            sizes.update((names[atom], atom.size) for atom in part if len(part) > 1 and atom is not kept)
        left, right = (" ".join(_merged([names[atom] for atom in one]) for one in side) for side in (parts, axes))
        return f"{left} -> {right}", sizes

    def _kept(self, axis: int, part: Sequence[Atom]) -> Atom:
        """The factor of an axis whose size follows from the others."""
        name = self._letters()[axis]
        large = [atom for atom in part if atom.size > 1] or list(part)
        return large[-1] if name in ("c", "n") else large[0]

    def _letters(self) -> list[str]:
        layout = self.ref.spec.layout
        if layout is not None:
            return layout.split()
        default = _DEFAULT_LAYOUTS.get(len(self.parts), "")
        return default.split() or [f"d{number}" for number in range(len(self.parts))]

    def _wanted_names(self, wanted: Sequence[str]) -> Mapping[Atom, str]:
        names: dict[Atom, str] = {}
        for axis, letter in zip(self.axes, wanted, strict=True):
            large = [atom for atom in axis if atom.size > 1] or list(axis)
            names[large[0] if letter in "bhw" else large[-1]] = letter
        rest = (one for one in ("p", "q", "g", "k", *(f"x{number}" for number in range(99))) if one not in wanted)
        for atom in (atom for part in self.parts for atom in part):
            if atom not in names:
                names[atom] = next(rest)
        return names

    def _names(self) -> Mapping[Atom, str]:
        atoms = [atom for part in self.parts for atom in part]
        default = _DEFAULT_LAYOUTS.get(len(self.axes), "").split()
        if self.ref.spec.layout is None and default and all(len(axis) == 1 for axis in self.axes):
            return _named_as(self.axes, default, atoms)
        letters = self._letters()
        names: dict[Atom, str] = {}
        taken: set[str] = set(letters)
        for axis, part in enumerate(self.parts):
            if len(part) == 1:
                names[part[0]] = letters[axis]
        for axis, part in enumerate(self.parts):
            if len(part) == 1:
                continue
            letter = letters[axis]
            grid = self.ref.spec.grid
            sides = [atom for atom in part if atom.size > 1]
            is_grid = letter == "n" and grid is not None and [one.size for one in sides] == [grid.height, grid.width]
            if not is_grid or {"h", "w"} & taken:
                kept = self._kept(axis, part)
                names[kept] = letter
            for atom in part:
                if atom not in names:
                    wanted = _PARTS.get(letter, ())
                    names[atom] = next(
                        one for one in (*wanted, *(f"x{number}" for number in range(99))) if one not in taken
                    )
                    taken.add(names[atom])
        return names


def _named_as(axes: Axes, default: Sequence[str], atoms: Iterable[Atom]) -> Mapping[Atom, str]:
    names = {axis[0]: name for axis, name in zip(axes, default, strict=True)}
    rest = (f"x{number}" for number in itertools.count())
    return names | {atom: next(rest) for atom in atoms if atom not in names}


def _merged(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"({' '.join(names)})"


def _product(atoms: Iterable[Atom]) -> int:
    return math.prod(atom.size for atom in atoms)


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Runs of axes before and after a reshape that hold equally many numbers, as short as possible."""
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) and j < len(new):
        mine, theirs = [i], [j]
        have, want = old[i], new[j]
        i, j = i + 1, j + 1
        while have != want:
            if have < want and i < len(old):
                have *= old[i]
                mine.append(i)
                i += 1
            elif want < have and j < len(new):
                want *= new[j]
                theirs.append(j)
                j += 1
            else:
                raise NotAView
        found.append((mine, theirs))
    if not found:
        raise NotAView
    found[-1][0].extend(range(i, len(old)))
    found[-1][1].extend(range(j, len(new)))
    return found
