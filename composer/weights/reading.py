"""One way to read a file: an entry, a prefix to remove, and a key map. Names and shapes decide whether it fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from composer.errors import Diagnostic, WeightsError
from composer.weights.keys import KeyMap, part_of
from composer.weights.names import Shapes
from composer.weights.tensor import is_whole
from composer.weights.wanted import Wanted

AS_THEY_ARE = KeyMap("", {})


@dataclass(frozen=True)
class Reading:
    """Our name -> names in the file: several where our tensor is the file's tensors, concatenated.

    dropped  names in the file that the key map knows and our network lacks
    outside  names in the file that do not begin with the prefix
    """

    entry: str
    prefix: str
    keys: KeyMap
    held: Mapping[str, Tensor]
    names: Mapping[str, tuple[str, ...]]
    wanted: Wanted
    dropped: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Entry and prefix, dotted."""
        return f"{self.entry}.{self.prefix}"

    @cached_property
    def origin(self) -> dict[str, tuple[str, ...]]:
        """Our name, if the network or its backbone has it -> where its numbers are in the file."""
        known = {ours: theirs for ours, theirs in self.names.items() if self.wanted.knows(ours)}
        return {ours: tuple(f"{self.entry}:{name}" for name in theirs) for ours, theirs in known.items()}

    def names_all(self, needed: Shapes) -> bool:
        """Whether the file has a tensor of any shape for each of these names."""
        return bool(needed) and all(name in self.names for name in needed)

    def fills(self, needed: Shapes) -> bool:
        """Whether the file has a tensor of the right shape for each of these names."""
        return self.names_all(needed) and self.fitting(needed) == len(needed)

    def fitting(self, needed: Shapes) -> int:
        """The number of these names for which the file has a tensor of the right shape."""
        return sum(self._fits(name, shape) for name, shape in needed.items())

    def tensor(self, ours: str, shape: tuple[int, ...] | None) -> Tensor:
        """The tensor for our name; under a key map reshaped to `shape` if only axes are joined or have length 1."""
        parts = [self.held[name] for name in self.names[ours]]
        tensor = parts[0] if len(parts) == 1 else torch.cat(parts)
        # Another library may write a 1×1 convolution as a linear layer.
        same = self.keys.pairs and shape is not None and same_numbers(tuple(tensor.shape), shape)
        return tensor.reshape(shape) if same and shape is not None else tensor

    def _fits(self, ours: str, shape: tuple[int, ...]) -> bool:
        if ours not in self.names:
            return False
        first, *rest = (tuple(self.held[name].shape) for name in self.names[ours])
        found = (first[0] + sum(one[0] for one in rest), *first[1:]) if rest else first
        return found == shape or (bool(self.keys.pairs) and same_numbers(found, shape))


def read(entry: str, held: Mapping[str, Tensor], prefix: str, keys: KeyMap, wanted: Wanted) -> Reading | None:
    """The reading with this entry, prefix and key map; None if two names of the file would become the same name."""
    try:
        return read_strictly(entry, held, prefix, keys, wanted, "")
    except WeightsError:
        return None


def read_strictly(
    entry: str, held: Mapping[str, Tensor], prefix: str, keys: KeyMap, wanted: Wanted, source: str
) -> Reading:
    """As `read`, but raises WeightsError if two names of the file would become the same name."""
    found: dict[str, dict[tuple[int, int], str]] = {}
    dropped, outside = [], []
    for name in held:
        if not name.startswith(prefix):
            outside.append(name)
            continue
        ours = keys.rename(name[len(prefix) :])
        if ours is None:
            dropped.append(name)
            continue
        ours, part = part_of(ours)
        others = found.setdefault(ours, {})
        if part in others:
            text = f"under the key map `{keys.name}`, `{others[part]}` and `{name}` of {source} are one"
            raise WeightsError(Diagnostic("weights-keys", text, label=f"one tensor for `{ours}`"))
        others[part] = name
    for ours, name in _classifiers(outside, keys, wanted):
        if ours not in found:
            found[ours] = {(1, 1): name}
            outside.remove(name)
    names = dict(_whole(found, held))
    return Reading(entry, prefix, keys, held, names, wanted, tuple(dropped), tuple(outside))


def _classifiers(outside: list[str], keys: KeyMap, wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Our name and the file's name of each classifier tensor that lies outside the prefix."""
    for name in list(outside):
        ours = keys.rename(name)
        if ours in wanted.of_heads:
            yield ours, name


def _whole(
    found: Mapping[str, Mapping[tuple[int, int], str]], held: Mapping[str, Tensor]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for ours, parts in found.items():
        names = [parts[part] for part in sorted(parts)]
        number = next(iter(parts))[1]
        if number == 1 and len(parts) == 1:
            yield ours, (names[0],)
        elif sorted(parts) == [(k, number) for k in range(1, number + 1)] and _stackable(names, held):
            yield ours, tuple(names)
        else:
            # Some parts are missing: the others keep the file's names.
            yield from ((name, (name,)) for name in names)


def _stackable(names: list[str], held: Mapping[str, Tensor]) -> bool:
    shapes = [tuple(held[name].shape) for name in names]
    return all(is_whole(held[name]) for name in names) and all(shape and shape[1:] == shapes[0][1:] for shape in shapes)


def same_numbers(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes hold the same numbers in the same order: neighbouring axes are joined, or have length 1.

    >>> same_numbers((4096, 25088), (4096, 512, 7, 7)), same_numbers((96, 1, 1), (96,)), same_numbers((2, 3), (3, 2))
    (True, True, False)
    """
    fewer, more = sorted(([n for n in shape if n != 1] for shape in (one, other)), key=len)
    for length in fewer:
        joined = 1
        while more and joined < length:
            joined *= more.pop(0)
        if joined != length:
            return False
    return not more
