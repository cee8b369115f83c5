"""A module in the place of one that another module owns: one set of weights, called from several places."""

from __future__ import annotations

from typing import Any

from torch import nn

# The attributes of a Shared that say whom it calls.
_HOLDER, _NAME = "holder", "name"


class Shared(nn.Module):
    """Calls a child of another module, its holder. The weights are the holder's alone: one key, saved and sharded once.

    It looks the child up at each call, so it follows if another is put there: by hand, by a quantiser, by fully_shard.
    Copies and pickles of the network keep it, among the copied modules. Other attributes are the child's.

    Pickled networks name this class: never rename or move it.
    """

    def call(self, holder: nn.Module, name: str) -> None:
        """Call the holder's child of this name from now on."""
        # In a list, since a module that is an attribute would be a child of this one too, and have a second key.
        self.__dict__.update({_HOLDER: [holder], _NAME: name})

    @property
    def module(self) -> nn.Module:
        """The module that it calls."""
        (holder,) = self.__dict__[_HOLDER]
        found: nn.Module = holder.get_submodule(self.__dict__[_NAME])
        return found

    def forward(self, *inputs: Any, **options: Any) -> Any:
        return self.module(*inputs, **options)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            # Python's own protocols look for methods on objects that are not complete yet.
            if _HOLDER not in self.__dict__ or name.startswith("__"):
                raise
            return getattr(self.module, name)

    def extra_repr(self) -> str:
        return str(self.__dict__.get(_NAME, ""))
