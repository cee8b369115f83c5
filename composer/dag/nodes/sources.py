"""What a node takes: its `from` with all expressions evaluated, and for each copy of a repeat what that copy takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from composer.dag.nodes.reader import Reader
from composer.dag.nodes.step import Body, Stop
from composer.spec.evaluate import show
from composer.spec.expression import is_dynamic, parse_template
from composer.spec.model import NodeSpec
from composer.spec.origin import Origin


@dataclass(frozen=True)
class Reference:
    """A written reference, and the number of the item of `from` that it is of.

    With `own`, the item says something else for each copy of a repeat.
    """

    text: str
    item: int
    own: bool = False


@dataclass(frozen=True)
class Sources:
    """What a node takes; of a repeat whose `from` reads `index`, what each copy takes.

    `problem` says why it cannot be read.
    """

    copies: tuple[tuple[Reference, ...], ...]
    problem: Stop | None = None

    @property
    def references(self) -> tuple[str, ...]:
        """All references as written, in order."""
        return tuple(one.text for copy in self.copies for one in copy)


def read_sources(reader: Reader, body: Body) -> dict[str, Sources]:
    """Node -> its sources: those written, or the node before it. Problems are noted."""
    found: dict[str, Sources] = {}
    before = next(iter(body.inputs if body.begun is None else body.begun.outputs.values()))
    for name, spec in body.specs.items():
        try:
            found[name] = Sources(tuple(_copies(reader, body, name, spec, before)))
        except Stop as stop:
            found[name] = Sources((), stop)
        before = name
    return found


def _copies(reader: Reader, body: Body, name: str, spec: NodeSpec, before: str) -> Iterator[tuple[Reference, ...]]:
    items = [before] if spec.sources is None else spec.sources
    if not any(map(is_dynamic, items)):
        yield tuple(Reference(text, item) for item, text in enumerate(items))
        return
    origin, path = body.origin_of(name), f"{body.path}.{name}" if body.path else name
    here = [(origin / "from" / item).written for item in range(len(items))]
    if not all(map(reader.spec.is_sound, here)):
        raise Stop
    own = [spec.repeat is not None and _reads_index(text) for text in items]
    count = _count(reader, body, spec, origin, path) if any(own) else 1
    for index in range(count):
        names = {**body.names, "index": index, "repeat": count} if any(own) else body.names
        yield tuple(
            Reference(reference, item, own[item])
            for item, text in enumerate(items)
            for reference in _evaluated(reader, text, names, here[item], path)
        )


def _reads_index(text: str) -> bool:
    return is_dynamic(text) and any(name == "index" for name, _ in parse_template(text).reads)


def _evaluated(reader: Reader, text: str, names: Mapping[str, Any], origin: Origin, path: str) -> tuple[str, ...]:
    value = reader.evaluate(text, names, origin, path)
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise reader.note(
            origin.problem("wrong-type", f"`from` is {show(value)}", "a name or a list of names", path=path)
        )
    return tuple(found)


def _count(reader: Reader, body: Body, spec: NodeSpec, origin: Origin, path: str) -> int:
    """The value of `repeat`, before it is known what arrives at the node. Raises Stop."""
    here = origin / "repeat"
    if not reader.spec.is_sound(here):
        raise Stop
    count = reader.evaluate(spec.repeat, body.names, here, path)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        text = f"`repeat` is {show(count)}, and `from` says what each copy takes"
        raise reader.note(here.problem("repeat", text, "a whole number, 1 or more", path=path))
    if problem := reader.limits.exceeded(reader.num_nodes + count, 0, origin, path):
        raise reader.note(problem)
    return count
