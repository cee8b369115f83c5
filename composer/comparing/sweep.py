"""A sweep: a rule whose lists are axes -> every combination, each with a name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from composer.comparing.file import ComparisonFile
from composer.errors import SpecError
from composer.spec.document import Keys, Value
from composer.spec.dump import flow
from composer.spec.origin import Origin

# Keys of a rule that hold a mapping of further keys, whose lists are axes too.
_DEEPER = ("with", "from")


@dataclass(frozen=True)
class Combination:
    """A rule of a sweep.

    name    of the values that vary, such as `se, reduction: 4`
    rule    the rule, each value where the text writes it
    values  axis -> the value here
    origin  of the sweep in the file
    """

    name: str
    rule: Value
    values: Mapping[str, Any]
    origin: Origin


def combinations(file: ComparisonFile) -> Iterator[Combination]:
    """All rules of all sweeps of a comparison, in the order of the text; the last axis varies fastest."""
    for here in _origins(file):
        yield from _combinations(file.document.nearest(here.path), here)


def count(file: ComparisonFile) -> int:
    """How many there are, without making them. Raises SpecError for an axis without a value."""
    axes = [dict(_axes(file.document.nearest(here.path))) for here in _origins(file)]
    SpecError.check(
        _place(here, path).problem("empty", f"`{path[-1]}` has no value to try", "at least one", key=True)
        for here, one in zip(_origins(file), axes, strict=True)
        for path, values in one.items()
        if not values
    )
    return sum(math.prod(map(len, one.values())) for one in axes)


def _origins(file: ComparisonFile) -> list[Origin]:
    """Where each sweep is."""
    written, origin = file.content.sweep, file.origin / "sweep"
    return [origin / index for index in range(len(written))] if isinstance(written, list) else [origin] * bool(written)


def _place(origin: Origin, path: Keys) -> Origin:
    return Origin(origin.document, (*origin.path, *path))


def _combinations(rule: Value, origin: Origin) -> Iterator[Combination]:
    axes = dict(_axes(rule))
    for chosen in product(*axes.values()):
        made, values = rule, dict[str, Any]()
        for path, value in zip(axes, chosen, strict=True):
            made = _with(made, path, value)
            values[str(path[-1])] = value.plain()
        yield Combination(_name(rule, values), made, values, origin)


def _axes(rule: Value) -> Iterator[tuple[Keys, list[Value]]]:
    """Path within the rule -> the values of its list."""
    for key, value in rule.data.items():
        if isinstance(value.data, list):
            yield (key,), value.data
        elif key in _DEEPER and isinstance(value.data, dict):
            yield from (((key, inner), one.data) for inner, one in value.data.items() if isinstance(one.data, list))


def _with(rule: Value, path: Keys, value: Value) -> Value:
    """The rule with a value in place of a list; without the key where the value is null."""
    step, *rest = path
    child = rule.data[step]
    if rest:
        return replace(rule, data={**rule.data, step: _with(child, tuple(rest), value)})
    if value.data is None:
        return replace(rule, data={key: one for key, one in rule.data.items() if key != step})
    return replace(rule, data={**rule.data, step: replace(value, key_location=child.key_location)})


def _name(rule: Value, values: Mapping[str, Any]) -> str:
    """The mechanism, and what else varies."""
    use = values.get("use", rule.plain().get("use"))
    others = [f"{key}: {_text(value)}" for key, value in values.items() if key != "use"]
    return ", ".join([*([str(use)] if use is not None else []), *others])


def _text(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else flow(value)
