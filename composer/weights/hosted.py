"""Weights for a model that composer did not write: everything is filled but what was inserted, if anything was."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import nn

from composer.hosts.journal import journals
from composer.spec.sources import wrapped
from composer.spec.spec import Spec
from composer.weights.names import Shapes
from composer.weights.wanted import Wanted


@dataclass(frozen=True)
class WantedOfHost(Wanted):
    """Name -> shape of a model's tensors, of those that were inserted, and of those that insertions took out."""

    graph: Any = None
    added_later: frozenset[str] = frozenset()
    taken_out: Shapes = field(default_factory=dict)

    @property
    def spec(self) -> Spec | None:
        """No spec describes the model."""
        return None

    @cached_property
    def backbone(self) -> Shapes:
        """Name -> shape of every tensor of the model without insertions."""
        return {name: shape for name, shape in self.own.items() if name not in self.added_later} | self.taken_out

    @cached_property
    def inserted(self) -> frozenset[str]:
        """Names of the tensors that were inserted."""
        return self.added_later

    @cached_property
    def added(self) -> frozenset[str]:
        """Nothing stands on the model but what was inserted."""
        return frozenset()

    @cached_property
    def heads(self) -> dict[str, list[str]]:
        """Nobody says which modules are classifiers."""
        return {}

    @cached_property
    def of_heads(self) -> frozenset[str]:
        """As `heads`."""
        return frozenset()


def wanted_of(model: nn.Module) -> WantedOfHost | None:
    """What a model can take from a file; None for a wrapper without insertions, whose names are not those of files."""
    found = journals(model)
    if not found and wrapped(model):
        return None
    state = model.state_dict(keep_vars=True)
    own = {name: tuple(tensor.shape) for name, tensor in state.items()}
    added: set[str] = set()
    gone: Shapes = {}
    for around, journal in found.items():
        start = f"{around}." if around else ""
        paths = [f"{start}{path}" for path in journal.added]
        added |= {name for name in own if any(f"{name}.".startswith(f"{path}.") for path in paths)}
        for edited in journal.edited:
            inside = start + (f"{edited.path}." if edited.path else "")
            for name, module in edited.gone.items():
                tensors = module.state_dict().items()
                gone |= {f"{inside}{name}.{key}": tuple(tensor.shape) for key, tensor in tensors}
    # A module with two names in the model has its tensors under both.
    inserted = {id(state[name]) for name in added}
    added |= {name for name, tensor in state.items() if id(tensor) in inserted}
    return WantedOfHost(own, added_later=frozenset(added), taken_out=gone)
