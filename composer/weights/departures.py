"""Finds what a network computes differently from the network its weights were made in, and which var changes that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from composer.dag.composition import Composition
from composer.errors import ComposerError
from composer.spec.load import load_spec
from composer.spec.model import InputSpec
from composer.weights.facts import uses_in
from composer.weights.uses import BEFORE, Uses

if TYPE_CHECKING:
    from composer.dag.composition import Composition

# Setting of a layer -> the var of the zoo's families that sets it in every layer.
_VARS = {"eps": "norm_eps", "momentum": "norm_momentum"}


@dataclass(frozen=True)
class Difference:
    """A setting that differs between two networks, and the layers that have it."""

    setting: str
    theirs: Any
    ours: Any
    layers: tuple[str, ...]

    @property
    def key(self) -> str:
        """The setting and its two values: equal for the same difference in any layers."""
        return repr((self.setting, self.theirs, self.ours))

    def __str__(self) -> str:
        where = (
            f"`{self.layers[0]}`" if len(self.layers) == 1 else f"{len(self.layers)} layers such as `{self.layers[0]}`"
        )
        if self.setting != BEFORE:
            return f"{self.setting} {_value(self.theirs)}, not {_value(self.ours)}, in {where}"
        theirs, ours = (_value([one for one in a if one not in b]) for a, b in self._both)
        return f"{theirs or 'nothing'}, not {ours or 'nothing'}, before {where}"

    @property
    def _both(self) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        return (self.theirs, self.ours), (self.ours, self.theirs)


@dataclass(frozen=True)
class Departure:
    """Differences with one cause, and the var that removes them, as a spec writes it; empty if no var does."""

    differences: tuple[Difference, ...]
    mend: str = ""

    def __str__(self) -> str:
        return "; ".join(map(str, self.differences))


def departures(graph: Composition, theirs: Uses, image: InputSpec | None = None) -> list[Departure]:
    """What the plain backbone computes differently with the tensors that it shares with another network.

    theirs  how the other network uses each tensor, by our names
    image   the input of the other network
    """
    found = {one.key: one for one in compare_uses(uses_in(graph, image), theirs)}
    departures: list[Departure] = []
    vars: dict[str, Any] = {}
    for name, value in _candidates(graph.spec.vars, [*found.values()]):
        left = _left(graph, {**vars, name: value}, theirs, image)
        mended = tuple(one for key, one in found.items() if left is not None and key not in left)
        if mended and left is not None and left <= set(found):
            departures.append(Departure(mended, f"{name}: {str(value).lower() if value in (True, False) else value}"))
            found = {key: one for key, one in found.items() if key in left}
            vars[name] = value
    return [*departures, *(Departure((one,)) for one in found.values())]


def compare_uses(ours: Uses, theirs: Uses) -> list[Difference]:
    """The differences in how two networks use tensors of the same names; equal differences are grouped."""
    groups: dict[str, tuple[Difference, dict[str, None]]] = {}
    for name, use in ours.items():
        other = theirs.get(name, {})
        for setting, value in use.items():
            if setting in other and other[setting] != value:
                one = Difference(setting, other[setting], value, ())
                groups.setdefault(one.key, (one, {}))[1][name.rpartition(".")[0] or name] = None
    return [Difference(one.setting, one.theirs, one.ours, tuple(layers)) for one, layers in groups.values()]


def _left(graph: Composition, vars: Mapping[str, Any], theirs: Uses, image: InputSpec | None) -> set[str] | None:
    """Keys of the differences that remain with other values of vars; None if these vars give no network."""
    try:
        other = Composition.of(load_spec(graph.spec, vars=vars), graph.limits)
        return {one.key for one in compare_uses(uses_in(other, image), theirs)}
    except (ComposerError, RuntimeError, ValueError):
        return None


def _candidates(vars: Mapping[str, Any], found: list[Difference]) -> Iterator[tuple[str, Any]]:
    """Vars that might remove a difference, each with another value: vars that set all layers, and true/false vars."""
    for one in found:
        if _VARS.get(one.setting) in vars:
            yield _VARS[one.setting], one.theirs
    if any(one.setting not in _VARS for one in found):
        yield from ((name, not value) for name, value in vars.items() if isinstance(value, bool))


def _value(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
