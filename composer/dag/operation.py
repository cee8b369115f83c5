"""The content of a node that computes: an entry of the registry with its arguments."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from composer.registry import Entry


@dataclass(frozen=True, eq=False)
class Operation:
    """The content of a node that computes: an entry of the registry with its arguments.

    Only `key` and `==` compare operations, and only `make` calls the factory, so that an operation can later become
    something else than a factory with arguments. With `part` it is that child of the module, which others share.
    """

    entry: Entry
    arguments: Mapping[str, Any]
    num_parameters: int = 0
    part: str = ""

    @cached_property
    def key(self) -> Hashable:
        """Equal for operations that compute the same, apart from the values of their parameters."""
        return self.entry, repr(sorted(self.arguments.items())), self.part

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Operation) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def make(self) -> Any:
        """A new module, function of tensors or parameter."""
        made = self.entry.make(self.arguments)
        return made.get_submodule(self.part) if self.part else made

    @cached_property
    def options(self) -> dict[str, Any]:
        """The arguments that a person would write: options that differ from the entry's defaults, without facts."""
        fields = self.entry.options.model_fields
        return {k: v for k, v in self.arguments.items() if k in fields and v != fields[k].default}
