"""Plain networks that cost as much as a variant: wider or deeper ones, found by composing them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal

from composer.candidates import memory_of
from composer.comparing.arms import Arm
from composer.comparing.costs import Composer, Row
from composer.comparing.file import PLAIN, ControlSpec
from composer.errors import Diagnostic, GraphError, InputError, SpecError, did_you_mean, one_of
from composer.network import Graph
from composer.spec.dump import flow
from composer.spec.origin import Origin
from composer.spec.spec import Spec

Kind = Literal["wider", "deeper"]
# Vars that make a network of the zoo wider or deeper, the likeliest first.
_KNOWN: Mapping[Kind, Sequence[str]] = {
    "wider": ("widths", "width", "dim", "embed_dim", "growth"),
    "deeper": ("depths", "depth", "blocks", "layers"),
}
# Four times as wide is the most that is tried; so many networks are composed to come near a cost.
_WIDEST, _TRIES, _MOST_BLOCKS = 4.0, 16, 64


@dataclass(frozen=True)
class Pair:
    """A variant and the network beside it, which share seeds: a comparison that is declared before the first run.

    against  the name of the network beside it; None where there is none
    kind     `plain`, or how the control was made
    miss     the cost of the network beside it over the variant's, less 1, for a control
    reason   why there is none
    """

    backbone: str
    variant: str
    against: str | None
    kind: str
    miss: float | None = None
    reason: str = ""


class Controls:
    """Finds the controls of variants; what was composed for one is known for the next.

    composer  makes the networks
    wanted    what is asked for
    origin    where
    """

    def __init__(self, composer: Composer, wanted: ControlSpec, origin: Origin) -> None:
        self.composer, self.wanted, self.origin = composer, wanted, origin
        self.known: dict[tuple[str, str, str], tuple[Spec, Graph] | None] = {}

    def check(self, plains: Iterable[Row]) -> None:
        """Raises SpecError for a var that a plain network does not have, or that holds no numbers."""
        problems: list[Diagnostic] = []
        for row in plains:
            assert row.graph is not None
            vars = row.graph.spec.vars
            for kind, var in self.wanted.wanted.items():
                here = self.origin / kind
                if isinstance(var, str) and var not in vars:
                    hint = did_you_mean(var, vars, f"its vars are {one_of(vars)}")
                    text = f"`{row.arm.backbone}` has no var `{var}`"
                    problems.append(here.problem("unknown-var", text, "a var of the network", hint))
                elif isinstance(var, str) and not _numbers(vars[var]):
                    text = f"the var `{var}` of `{row.arm.backbone}` holds no numbers, so nothing grows with it"
                    problems.append(here.problem("var-kind", text, "a number, or a list of numbers"))
        SpecError.check(problems)

    def of(self, row: Row, plain: Row) -> Iterator[tuple[Pair, Row | None]]:
        """The controls of a variant: who is compared with whom, and the row of the control, if there is one."""
        target = getattr(row, self.wanted.match)
        for kind, var in self.wanted.wanted.items():
            pair = Pair(row.arm.backbone, row.arm.variant, None, kind)
            assert plain.graph is not None
            found = var if isinstance(var, str) else _var(kind, plain.graph.spec.vars)
            if found is None:
                reason = f"`{plain.arm.backbone}` has no var that is known to make it {kind}; name one: `{kind}: VAR`"
                yield replace(pair, reason=reason), None
            elif target is None:
                yield replace(pair, reason=f"the {self.wanted.match} of `{row.arm.variant}` are not known"), None
            else:
                yield self._nearest(pair, found, target, plain)

    def _nearest(self, pair: Pair, var: str, target: int, plain: Row) -> tuple[Pair, Row | None]:
        """The plain network whose cost is nearest to a target."""
        assert plain.graph is not None
        value = plain.graph.spec.vars[var]

        def cost(other: Any) -> int | None:
            made = self._composed(plain.arm, var, other)
            return None if made is None else getattr(made[1], f"num_{self.wanted.match}")

        tried = _deeper(value, cost, target) if pair.kind == "deeper" else _wider(value, cost, target)
        found = [(abs(got - target), index) for index, (_, got) in enumerate(tried) if got is not None]
        if not found:
            return replace(pair, reason=f"the {self.wanted.match} of `{plain.arm.backbone}` are not known"), None
        other, got = tried[min(found)[1]]
        pair = replace(pair, miss=(got or 0) / target - 1 if target else None)
        if other == value:
            reason = f"the plain network is nearer than any with more `{var}` ({_percent(pair.miss)})"
            return replace(pair, reason=reason), None
        made = self._composed(plain.arm, var, other)
        assert made is not None, "what has a cost was composed"
        arm = replace(plain.arm.with_vars({var: other}), variant=f"{PLAIN}, {var}: {flow(other)}", kind="control")
        return replace(pair, against=arm.variant), Row(arm, *made, memory_of(made[1], self.composer.traces))

    def _composed(self, arm: Arm, var: str, value: Any) -> tuple[Spec, Graph] | None:
        """The plain network with another value of a var; None if it does not compose so."""
        key = arm.backbone, var, repr(value)
        if key not in self.known:
            try:
                self.known[key] = self.composer.composed(arm.with_vars({var: value}))
            except (SpecError, GraphError, InputError):
                self.known[key] = None
        return self.known[key]


Tried = list[tuple[Any, int | None]]
Cost = Callable[[Any], int | None]


def _wider(value: Any, cost: Cost, target: int) -> Tried:
    """Values between one and four times the var, with their costs, nearer and nearer to the target."""
    for unit in _units(value):
        tried: Tried = [(value, cost(value))]
        low, high = 1.0, _WIDEST
        for _ in range(_TRIES):
            scale = (low + high) / 2
            other = _scaled(value, scale, unit)
            got = cost(other)
            if got is None:
                break
            tried.append((other, got))
            low, high = (scale, high) if got < target else (low, scale)
        else:
            return tried
    return [(value, cost(value))]


def _units(value: Any) -> Iterator[int]:
    """What numbers of channels are multiples of, the finest first: heads and groups need equal parts."""
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(one, float) for one in numbers):
        yield 0
        return
    common = reduce(math.gcd, numbers)
    yield from (unit for unit in range(1, common + 1) if common % unit == 0)


def _scaled(value: Any, scale: float, unit: int) -> Any:
    if isinstance(value, list):
        return [_scaled(one, scale, unit) for one in value]
    return round(value * scale, 4) if not unit else max(unit, round(value * scale / unit) * unit)


def _deeper(value: Any, cost: Cost, target: int) -> Tried:
    """Values with more and more blocks, each where it brings the cost nearest to the target."""
    if isinstance(value, float):
        return _wider(value, cost, target)
    tried: Tried = [(value, cost(value))]
    for _ in range(_MOST_BLOCKS):
        stages = range(len(value)) if isinstance(value, list) else [None]
        more = [(other, cost(other)) for other in (_one_more(tried[-1][0], stage) for stage in stages)]
        known = [(abs(got - target), index) for index, (_, got) in enumerate(more) if got is not None]
        before = tried[-1][1]
        if not known or (before is not None and min(known)[0] >= abs(before - target)):
            break
        tried.append(more[min(known)[1]])
    return tried


def _one_more(value: Any, stage: int | None) -> Any:
    if stage is None:
        return value + 1
    return [one + (index == stage) for index, one in enumerate(value)]


def _var(kind: Kind, vars: Mapping[str, Any]) -> str | None:
    return next((name for name in _KNOWN[kind] if _numbers(vars.get(name))), None)


def _numbers(value: Any) -> bool:
    """Whether a var holds a number above 0, or a list of such whole numbers."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in value)
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _percent(miss: float | None) -> str:
    return "?" if miss is None else f"{100 * miss:+.2f} %"
