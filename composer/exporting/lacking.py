"""Operators that engines have no kernel or translation of; refused at the node that calls them, before conversion."""

from __future__ import annotations

from collections.abc import Iterator

from torch import fx

from composer.errors import Diagnostic, InputError
from composer.exporting import blame
from composer.exporting.format import FORMATS, Format
from composer.exporting.subject import Subject

# Format -> operator -> why. tests/export/test_lacking.py converts each, so that no entry outlives its reason.
LACKING: dict[str, dict[str, str]] = {"coreml": {"unfold": "which Core ML's converter does not know"}}


def check_operators(subject: Subject, graph: fx.Graph, format: Format) -> None:
    """Raises InputError for each node of a recorded network that calls an operator which the format lacks."""
    InputError.check(_problems(subject, graph, format))


def _problems(subject: Subject, graph: fx.Graph, format: Format) -> Iterator[Diagnostic]:
    seen = set()
    for node in graph.nodes:
        if node.op != "call_function":
            continue
        operator, path = blame.operator_of(node), blame.path_of(node)
        why = LACKING.get(format.name, {}).get(operator)
        if why is not None and (operator, path) not in seen:
            seen.add((operator, path))
            yield refusal(subject, format, operator, path, why)


def refusal(subject: Subject, format: Format, operator: str, path: str | None, why: str) -> Diagnostic:
    """The problem of a node that calls an operator which a format does not take."""
    where = blame.named(subject, path) if path else f"`{subject.name}`"
    text = f"`{format.name}` cannot take {where}: it calls `{operator}`, {why}"
    others = [name for name in FORMATS if name != format.name and operator not in LACKING.get(name, {})]
    help = (f"put another node there, or export to {' or '.join(f'`{name}`' for name in others[:2])}",)
    return blame.at_node(subject, path, text, f"a node that `{format.name}` takes", help)
