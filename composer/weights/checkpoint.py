"""What a weights file holds, once it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from composer.weights.facts import Facts


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and what is known of where they come from.

    `tensors`, `entry` and `prefix` are the most usual reading of the file; a network that is filled from it may take
    another one of `held`.

    name     of the source, as messages write it
    ordered  whether the tensors stand as they were saved
    classes  names of the classes, where the source carries them
    entry    the entry of a wrapped file that they were taken from, `state_dict_ema` for example
    prefix   what each of the file's names began with, and was taken off
    sets     every entry of the file that holds tensors, with them under the file's own names
    facts    what the source says besides tensors
    """

    name: str
    tensors: Mapping[str, Tensor]
    ordered: bool = True
    classes: tuple[str, ...] | None = None
    entry: str = ""
    prefix: str = ""
    sets: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)

    @property
    def held(self) -> Mapping[str, Mapping[str, Tensor]]:
        """Entry -> tensors under the file's own names; the usual entry first."""
        return self.sets or {self.entry: {f"{self.prefix}{name}": tensor for name, tensor in self.tensors.items()}}
