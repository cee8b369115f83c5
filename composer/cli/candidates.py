"""`composer list mechanisms --on NETWORK`: what each would cost at the same places, or why it does not fit."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from composer.amounts import share, size, thousands
from composer.cli.options import TableFormat, say
from composer.cli.progress import counted, stage
from composer.cli.screen import print_json
from composer.cli.tables import print_csv, print_markdown, print_table

if TYPE_CHECKING:
    from composer.candidates import Candidate, Candidates
    from composer.index.card import Card


class Sort(enum.StrEnum):
    """The order of the rows: as they are listed, or what costs least first."""

    GROUP = "group"
    NAME = "name"
    PARAMETERS = "parameters"
    MACS = "macs"
    MEMORY = "memory"


COSTS = ("parameters", "macs", "memory")


def print_candidates(
    context: typer.Context,
    network: str,
    place: Mapping[str, str],
    cards: Sequence[Card],
    sort: Sort,
    format: TableFormat,
    *,
    allow_code: bool,
) -> None:
    """Print a row for each mechanism. Raises SpecError or GraphError if the network or the place is wrong."""
    with stage(context, f"composing {network}") as tell:
        from composer import registry
        from composer.candidates import Candidates
        from composer.contract.block import mechanism_of

        known = Candidates(network, place, allow_code=allow_code)
        # Told once, in place of once a mechanism.
        known.check_place()
        entries = [entry for one in cards if (entry := registry.get(one.name)) is not None]
        asked = counted(map(mechanism_of, entries), tell, f"{len(entries)} mechanisms")
        found = _sorted(known.of(asked), sort)
    rows = [_row(one, known) for one in found]
    if format is TableFormat.JSON:
        print_json(rows)
    elif format is TableFormat.CSV:
        print_csv(
            [{**row, "place": " ".join(f"{key}: {value}" for key, value in row["place"].items())} for row in rows]
        )
    elif rows:
        heads = ("name", "group", *(() if place else ("place",)), "places", *COSTS, "why not")
        cells = [[_cell(head, one, known) for head in heads] for one in found]
        (print_markdown if format is TableFormat.MD else print_table)(heads, cells, ("places", *COSTS))
    if format is TableFormat.TEXT:
        costs = ", ".join(f"{_amount(head, _plain(known)[head])} {_word(head)}" for head in COSTS)
        say(context, f"\n{network} alone: {costs}; memory is that of an example in a training step")


def _sorted(found: Any, sort: Sort) -> list[Candidate]:
    rows: list[Candidate] = list(found)
    if sort is Sort.NAME:
        return sorted(rows, key=lambda one: one.name)
    if sort is Sort.GROUP:
        return rows
    # What is not known, or fits nowhere, comes last.
    return sorted(rows, key=lambda one: (getattr(one, sort.value) is None, getattr(one, sort.value) or 0))


def _plain(known: Candidates) -> dict[str, int | None]:
    graph = known.plain.graph
    return {"parameters": graph.num_parameters, "macs": graph.num_macs, "memory": known.plain.memory}


def _row(one: Candidate, known: Candidates) -> dict[str, Any]:
    plain = _plain(known)
    percent = {f"{head}_percent": _percent(getattr(one, head), plain[head]) for head in COSTS}
    return {**vars(one), "place": dict(one.place), **percent}


def _percent(part: int | None, whole: int | None) -> float | None:
    return 100 * part / whole if part is not None and whole else None


def _cell(head: str, one: Candidate, known: Candidates) -> str:
    if head == "place":
        return _words_of(one.place)
    if head == "places":
        return f"{one.fitted} of {one.asked}" if one.asked else ""
    if head == "why not":
        return one.reason
    if head in COSTS:
        value = getattr(one, head)
        if value is None:
            return "?" if one.fitted else ""
        return f"{_amount(head, value)} {share(value, _plain(known)[head])}".strip()
    return str(getattr(one, head))


def _words_of(place: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in place.items())


def _amount(head: str, value: int | None) -> str:
    return size(value) if head == "memory" else thousands(value)


def _word(head: str) -> str:
    return "MACs" if head == "macs" else head
