"""Containers with modules that rules put beside their own: loops, lengths and indices leave those out.

Generated classes of containers derive from one of these, and `beside` has the names. Pickled networks name these
classes in their texts: never rename or move them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn

from composer.torch_private import children


class _Beside:
    """What both containers share: their own children, without those that stand beside them."""

    beside: frozenset[str] = frozenset()

    def _own(self) -> dict[str, nn.Module]:
        assert isinstance(self, nn.Module)
        found = children(self).items()
        return {name: child for name, child in found if name not in self.beside}  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._own())


class BesideSequence(_Beside):
    """Of an nn.Sequential or an nn.ModuleList: iterating, indexing and slicing give its own children."""

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self._own().values())

    def __getitem__(self, index: Any) -> Any:
        own = self._own()
        if not isinstance(index, slice):
            return list(own.values())[index]
        # A slice is a container of the kind that was there, without what stands beside.
        if isinstance(self, nn.Sequential):
            return nn.Sequential(OrderedDict(list(own.items())[index]))
        return nn.ModuleList(list(own.values())[index])

    def __setitem__(self, index: int, module: nn.Module) -> None:
        setattr(self, list(self._own())[index], module)

    def __delitem__(self, index: Any) -> None:
        names = list(self._own())[index]
        for name in names if isinstance(index, slice) else [names]:
            delattr(self, name)


class BesideDict(_Beside):
    """Of an nn.ModuleDict: its names and items are its own children's."""

    def __iter__(self) -> Iterator[str]:
        return iter(self._own())

    def __contains__(self, key: str) -> bool:
        return key in self._own()

    def keys(self) -> Iterable[str]:
        return self._own().keys()

    def items(self) -> Iterable[tuple[str, nn.Module]]:
        return self._own().items()

    def values(self) -> Iterable[nn.Module]:
        return self._own().values()


# Not `modules`, which has the module itself too, so that nobody calls them all; torch's transformer layers ask it.
_LOOPS = frozenset({"children", "named_children", "_modules"})


def hider_of(made: type[nn.Module]) -> str | None:
    """The name of the class here that hides children of such a container; None for a class that does not iterate."""
    if issubclass(made, nn.Sequential | nn.ModuleList):
        return BesideSequence.__name__
    return BesideDict.__name__ if issubclass(made, nn.ModuleDict) else None


def loops_over_children(made: type[nn.Module]) -> bool:
    """Whether the forward of a class that is no container calls all children, so that one more would run too."""
    names = _names(made, "forward")
    return hider_of(made) is None and not _LOOPS.isdisjoint(names.union(*(_names(made, name) for name in names)))


def _names(made: type[nn.Module], method: str) -> frozenset[str]:
    """The names that a method of a class reads, as its code has them; none of what nn.Module itself has."""
    found = getattr(made, method, None)
    code = getattr(found, "__code__", None)
    if code is None or found is getattr(nn.Module, method, None):
        return frozenset()
    return frozenset(code.co_names)
