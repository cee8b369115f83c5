"""What the network is at the lines that write it: `256×56×56` at a node, `16 places, +2.53 M` at a rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from composer.amounts import plural, three_figures
from composer.live.reading import Instance, Reading
from composer.spec.document import Document, Keys
from composer.spec.model import POSITIONS

if TYPE_CHECKING:
    from composer.dag.scope import Node
    from composer.dag.tensor import TensorSpec

# Different shapes of one node that are told: the first ones, and the last.
MOST_SHAPES = 3


@dataclass(frozen=True)
class Inlay:
    """A few words at the end of what a line and column, both from 1, end; `about` tells more."""

    line: int
    column: int
    text: str
    about: str = ""


def inlays(document: Document, now: Reading, good: Reading | None = None) -> list[Inlay]:
    """The inlays of a text, in its order.

    document  the text, or what can be read of it
    now       its reading
    good      the last reading with a network: its values stand where the text has no network now, as what they were
    """
    known = now if now.graph is not None else good
    if known is None:
        return []
    was = "" if known is now else "was "
    texts = {**dict(_of_nodes(known)), **dict(_of_rules(known))}
    found = [_placed(document, path, f"{was}{text}", about) for path, (text, about) in texts.items()]
    return sorted(filter(None, found), key=lambda one: (one.line, one.column))


def shape(tensor: TensorSpec) -> str:
    """The shape of an example: `256×56×56`.

    >>> from composer.dag.tensor import TensorSpec
    >>> shape(TensorSpec((2, 256, 56, 56), "b c h w"))
    '256×56×56'
    """
    return "×".join(map(str, tensor.without_batch)) or "a scalar"


def result(node: Node) -> str:
    """The shape of what a node gives; of several outputs, each with its name."""
    if node.result is not None:
        return shape(node.result)
    outputs = node.output.items() if isinstance(node.output, Mapping) else ()
    return ", ".join(f"{name} {shape(tensor)}" for name, tensor in outputs)


def shapes(instances: Sequence[Instance]) -> str:
    """The different shapes that the instances of a node give, in running order; few of many."""
    found = list(dict.fromkeys(result(one.node) for one in instances))
    return ", ".join(found if len(found) <= MOST_SHAPES else [*found[: MOST_SHAPES - 1], "…", found[-1]])


def grown(number: int) -> str:
    """A change of a number of parameters, with three figures and its sign.

    >>> grown(2_532_576), grown(-42)
    ('+2.53 M', '−42')
    """
    return f"{'−' if number < 0 else '+'}{three_figures(abs(number))}"


def _of_nodes(reading: Reading) -> Iterator[tuple[Keys, tuple[str, str]]]:
    for path, instances in reading.instances.items():
        count = f"{len(instances)} of them" if len(instances) > 1 else ""
        yield path, (shapes(instances), count)


def _of_rules(reading: Reading) -> Iterator[tuple[Keys, tuple[str, str]]]:
    for path, number in reading.rules.items() if reading.added else ():
        added = reading.added[number]
        change = grown(added.parameters)
        # What a rule takes out is in the network no more.
        text = f"{plural(len(added.places), 'place')}, {change}" if added.places else change
        yield path, (text, f"{added.parameters:+,} parameters")


def _placed(document: Document, path: Keys, text: str, about: str) -> Inlay | None:
    """The inlay behind a value that ends on its line, else behind the key of it; None if the text has none."""
    value = document.root
    for step in path:
        child = value.child(step)
        if child is None:
            return None
        value = child
    location, key = value.location, value.key_location
    if location is None or not text:
        return None
    if "attention" in path[-2:-1] and not (isinstance(value.data, dict) and value.data.keys() & set(POSITIONS)):
        return None
    end = location.end_column
    if key is not None and key.line != location.line:
        location, end = key, len(location.source.line(key.line).rstrip()) + 1
    return Inlay(location.line, end, text, about)
