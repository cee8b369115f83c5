"""The content of a weights file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from composer.weights.facts import Facts


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and what is known of their source.

    `tensors`, `entry` and `prefix` are the most usual reading of the file; `held` has the other readings.

    name     the source, as messages write it
    ordered  whether the tensors stand in the order in which they were saved
    classes  names of the classes, where the source has them
    entry    the entry of the file that holds the tensors, for example `state_dict_ema`
    prefix   what each name in the file began with; `tensors` has the names without it
    sets     every entry of the file that holds tensors -> its tensors, under the file's own names
    facts    what the source says besides tensors
    prefers_averaged  whether averaged weights are taken where plain ones fit too
    """

    name: str
    tensors: Mapping[str, Tensor]
    ordered: bool = True
    classes: tuple[str, ...] | None = None
    entry: str = ""
    prefix: str = ""
    sets: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    prefers_averaged: bool = False

    @property
    def held(self) -> Mapping[str, Mapping[str, Tensor]]:
        """Entry -> tensors under the file's own names; the usual entry first."""
        return self.sets or {self.entry: {f"{self.prefix}{name}": tensor for name, tensor in self.tensors.items()}}
