"""The networks of a comparison as the cells of a table, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from composer.amounts import duration, share, size, thousands
from composer.comparing.costs import Row
from composer.comparing.plan import Plan
from composer.spec.dump import flow

RIGHT = ("#", "places", "parameters", "MACs", "memory", "latency")


def heads(plan: Plan) -> list[str]:
    """The columns of a table for people."""
    latency = ["latency", "ratio"] if plan.measured else []
    return ["#", "network", "places", "parameters", "MACs", "memory", *latency, "note"]


def cells(plan: Plan) -> list[list[str]]:
    """A row of text for each network, numbered from 1; costs with what they are more than the plain network's."""
    return [_cells(plan, number, row) for number, row in enumerate(plan.rows, 1)]


def note(plan: Plan, row: Row) -> str:
    """Why a network is not trained, or what it is compared with."""
    if row.reason:
        return row.reason
    if row.over:
        return f"over the budget: {'; '.join(row.over)}"
    pairs = [one for one in plan.pairs if one.backbone == row.arm.backbone]
    if row.arm.kind == "control":
        beside = [one for one in pairs if one.against == row.arm.variant]
        match = plan.file.content.control.match
        word = "MACs" if match == "macs" else match
        return "; ".join(f"{word} of `{one.variant}` {_miss(one.miss)}" for one in beside)
    return "; ".join(
        f"no {one.kind} control: {one.reason}" for one in pairs if one.variant == row.arm.variant and one.reason
    )


def flat(plan: Plan) -> list[dict[str, Any]]:
    """A row for each network as single values, for CSV."""
    return [_flat(plan, row) for row in plan.rows]


def _cells(plan: Plan, number: int, row: Row) -> list[str]:
    plain = plan.plain_of(row)
    costs = [_cost(name, row, plain) for name in ("parameters", "macs", "memory")]
    places = f"{row.fitted} of {row.asked}" if row.asked else ""
    label = plan.label(row.arm.backbone, row.arm.variant)
    return [str(number), label, places, *costs, *_latency(plan, row), note(plan, row)]


def _cost(name: str, row: Row, plain: Row) -> str:
    value, before = getattr(row, name), getattr(plain, name)
    if row.graph is None:
        return ""
    amount = size(value) if name == "memory" else "?" if value is None else thousands(value)
    return amount if row is plain or value is None or before is None else f"{amount} {share(value - before, before)}"


def _latency(plan: Plan, row: Row) -> Sequence[str]:
    if not plan.measured:
        return []
    found = plan.measured.get(row.arm.key)
    return ["", ""] if found is None else [duration(found.latency), str(found.ratio or "1")]


def _miss(value: float | None) -> str:
    return "not known how near" if value is None else f"{100 * value:+.2f} %"


def _flat(plan: Plan, row: Row) -> dict[str, Any]:
    found = plan.values(row)
    ratio = found.pop("latency_ratio") or {}
    found |= {f"latency_ratio{'' if key == 'value' else f'_{key}'}": ratio.get(key) for key in ("value", "low", "high")}
    found["values"] = flow(found["values"])
    found["rules"] = flow(found["rules"])
    found["over_budget"] = "; ".join(found["over_budget"])
    return {**found, "note": note(plan, row)}
