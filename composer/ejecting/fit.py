"""Writes a column of values by the arguments of the class: `planes * 4`, `stride != 1`, or a new argument."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from composer.ejecting.tree import ABSENT, Code, Column, same

# Parameters of layers that count channels: they are written by the argument `channels` also if all blocks are equal.
_WIDTHS = frozenset(
    [
        "in_channels",
        "out_channels",
        "num_features",
        "in_features",
        "out_features",
        "normalized_shape",
        "channels",
        "num_channels",
    ]
)
_FACTORS = (2, 3, 4, 6, 8)
# What arguments are called whose name in the layer says less.
_NAMES = {"in_channels": "channels", "num_features": "channels", "in_features": "features", "p": "drop"}
TAKEN = frozenset({"self", "torch", "nn", "F", "x", "Tensor", "cls", "type", "print"})


@dataclass
class Argument:
    """An argument of a class: its name, and its value in each block."""

    name: str
    values: tuple[Any, ...]
    used: bool = False
    # Its default, if it has one.
    default: Any = ABSENT


@dataclass
class Arguments:
    """The arguments of a class, found while its columns are written.

    atoms  what there is to write columns with, the best first
    """

    atoms: list[Argument]
    several: bool
    new: list[Argument] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def write(self, column: Column) -> str:
        """The expression for a column."""
        known = column.known
        if not known:
            return "None"
        if column.constant:
            return self._constant(column)
        for atom in self._known():
            if _equal(column.values, atom.values):
                return self._use(atom)
        numbers = all(type(value) in (int, float) for value in known)
        if numbers and (found := self._arithmetic(column)):
            return found
        if all(isinstance(value, bool) for value in known):
            found = self._condition(column)
            if found is not None:
                return found
        return self._use(self._named(column))

    def condition(self, column: Column) -> str:
        """The expression of whether a block has a part."""
        return self.write(column)

    def _known(self) -> list[Argument]:
        return [*self.atoms, *self.new]

    def _use(self, atom: Argument) -> str:
        atom.used = True
        self.taken.add(atom.name)
        return atom.name

    def _constant(self, column: Column) -> str:
        value = column.known[0]
        if self.several and column.role in _WIDTHS and type(value) is int and self.atoms:
            first = self.atoms[0]
            if first.name == "channels" and all(type(one) is int for one in first.values):
                lengths = set(first.values)
                if len(lengths) == 1:
                    (channels,) = lengths
                    if value == channels:
                        return self._use(first)
                    if value % channels == 0 and value // channels in _FACTORS:
                        return f"{value // channels} * {self._use(first)}"
        return literal(value)

    def _arithmetic(self, column: Column) -> str | None:
        atoms = [atom for atom in self._known() if _is_number(atom, column.values)]
        for factor in _FACTORS:
            for atom in atoms:
                if _holds(column.values, atom.values, partial(_is_multiple, factor)):
                    return f"{factor} * {self._use(atom)}"
        for factor in (2, 3, 4, 8, 16):
            for atom in atoms:
                if _holds(column.values, atom.values, partial(_is_part, factor)):
                    return f"{self._use(atom)} // {factor}"
        return None

    def _condition(self, column: Column) -> str | None:
        atoms = self._known()
        for atom in atoms:
            if _equal(column.values, tuple(not one if isinstance(one, bool) else None for one in atom.values)):
                return f"not {self._use(atom)}"
        tests = list(_tests(atoms))
        for test in tests:
            if test.holds(column.values):
                return test.write(self)
        for first in tests:
            for second in tests:
                joined = [one or other for one, other in zip(first.values, second.values, strict=True)]
                if first is not second and _equal(column.values, joined):
                    return f"{first.write(self)} or {second.write(self)}"
                joined = [one and other for one, other in zip(first.values, second.values, strict=True)]
                if first is not second and _equal(column.values, joined):
                    return f"{first.write(self)} and {second.write(self)}"
        return None

    def _named(self, column: Column) -> Argument:
        role = _NAMES.get(column.role, column.role)
        of = identifier(column.of)
        # A layer without a name of its own (`0` in a sequence) says nothing.
        candidates = [role] if role in ("kernel_size", "stride", "padding", "dilation", "groups", "num_heads") else []
        if not of.strip("_").isdigit():
            candidates += [f"{of}_{role}" if role and role != of else of]
        candidates += [role or "value"]
        names = {one.name for one in self._known()}
        name = next((one for one in candidates if one not in names and one not in TAKEN), None)
        number = 2
        while name is None:
            word = f"{candidates[-1]}{number}"
            name = word if word not in names else None
            number += 1
        made = Argument(name, column.values)
        self.new.append(made)
        return made


@dataclass(frozen=True)
class _Test:
    values: list[bool]
    text: str
    atoms: tuple[Argument, ...]

    def holds(self, wanted: Sequence[Any]) -> bool:
        return _equal(wanted, self.values)

    def write(self, arguments: Arguments) -> str:
        for atom in self.atoms:
            arguments._use(atom)
        return self.text


def _tests(atoms: Iterable[Argument]) -> Iterable[_Test]:
    atoms = [atom for atom in atoms if all(type(one) is int for one in atom.values)]
    for atom in atoms:
        if atom.name not in ("channels",):
            for number in (1, 0):
                if number in atom.values:
                    yield _Test([one != number for one in atom.values], f"{atom.name} != {number}", (atom,))
                    yield _Test([one == number for one in atom.values], f"{atom.name} == {number}", (atom,))
    for first in atoms:
        for second in atoms:
            pairs = list(zip(first.values, second.values, strict=True))
            if first.name == "channels" and second is not first and len(pairs) > 3:
                for factor in (1, 2, 4):
                    text = f"{factor} * {second.name}" if factor > 1 else second.name
                    different = [one != factor * other for one, other in pairs]
                    yield _Test(different, f"{first.name} != {text}", (first, second))
                    yield _Test([not one for one in different], f"{first.name} == {text}", (first, second))


def _is_multiple(factor: int, value: Any, one: Any) -> bool:
    return bool(value == factor * one)


def _is_part(factor: int, value: Any, one: Any) -> bool:
    return bool(value * factor == one)


def _is_number(atom: Argument, values: Sequence[Any]) -> bool:
    return all(type(one) in (int, float) and one for one in atom.values)


def _equal(values: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(one is ABSENT or same(one, other) for one, other in zip(values, others, strict=True))


def _holds(values: Sequence[Any], others: Sequence[Any], test: Callable[[Any, Any], bool]) -> bool:
    pairs = list(zip(values, others, strict=True))
    return all(one is ABSENT or (type(one) is type(other) and test(one, other)) for one, other in pairs)


def literal(value: Any) -> str:
    """A value as Python writes it, strings in double quotes."""
    if isinstance(value, Code):
        return value.text
    if isinstance(value, str):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
    if isinstance(value, tuple):
        inside = ", ".join(map(literal, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(one)}" for key, one in value.items()) + "}"
    if isinstance(value, float) and value in (float("inf"), -float("inf")):
        return f'float("{value}")'
    return repr(value)


def identifier(text: str) -> str:
    """The text as a valid Python name."""
    word = "".join(letter if f"_{letter}".isidentifier() else "_" for letter in text)
    return word if word.isidentifier() and not keyword.iskeyword(word) else f"_{word}"
