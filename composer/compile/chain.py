"""A sequence of layers with others among them that do not count."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from composer.torch_private import children


class Chain(nn.Sequential):
    """An nn.Sequential that counts its own children only: `len`, indices, slices and loops leave out what is beside.

    It runs them all, in order. So `model.layer1[-1]` is the last block, whatever attention follows it.

    beside  names of the children that rules put among its own
    """

    beside: frozenset[str] = frozenset()

    def forward(self, x: Tensor) -> Tensor:
        for layer in children(self).values():
            x = layer(x)  # type: ignore[misc]
        return x

    def __iter__(self) -> Iterator[nn.Module]:
        return iter([self.get_submodule(name) for name in self._names])

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return nn.Sequential(OrderedDict((name, self.get_submodule(name)) for name in self._names[index]))
        return self.get_submodule(self._names[index])

    def __setitem__(self, index: int, module: nn.Module) -> None:
        setattr(self, self._names[index], module)

    def __delitem__(self, index: Any) -> None:
        for name in self._names[index] if isinstance(index, slice) else [self._names[index]]:
            delattr(self, name)

    @property
    def _names(self) -> list[str]:
        return [name for name in children(self) if name not in self.beside]


# The classes whose forward runs every child.
RUN_ALL: tuple[type[nn.Module], ...] = (nn.Sequential, Chain)
