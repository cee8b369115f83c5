"""What may be typed at a position: keys and words of the language, and names that only this network knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from composer.amounts import plural
from composer.errors import Location, Source
from composer.index.card import cards
from composer.live.cursor import Typing, bounds, typing
from composer.live.grammar import Grammar
from composer.live.inlays import shapes
from composer.live.reading import Reading
from composer.spec.check import PLACE
from composer.spec.functions import FUNCTIONS
from composer.spec.model import POSITIONS
from composer.spec.sites import MEANINGS


@dataclass(frozen=True)
class Completion:
    """A word, what it is in a few words, and more about it. `is_key` if a colon follows it."""

    label: str
    about: str = ""
    more: str = ""
    is_key: bool = False


@dataclass(frozen=True)
class Completer:
    """Answers for places of one text.

    reading  the last reading of it that has a network, or the last one
    grammar  of the language
    """

    reading: Reading
    grammar: Grammar

    def at(self, source: Source, index: int, *, beyond_schema: bool = False) -> list[Completion]:
        """What may be typed at an index of a text, each word once.

        beyond_schema  without what the JSON Schema knows: yaml-language-server offers that
        """
        found: dict[str, Completion] = {}
        known: set[str] = set()
        for place in typing(source, index):
            own = list(self._keys(place) if place.is_key else self._words(place))
            known |= {one.label for one in own}
            for one in [*self._of_network(place), *([] if beyond_schema else own)]:
                found.setdefault(one.label, one)
        return [one for one in found.values() if not beyond_schema or one.label not in known]

    def _keys(self, place: Typing) -> Iterator[Completion]:
        """The keys of the language that the mapping does not have yet."""
        around, root = place.path[:-1], place.document.plain()
        written = _written(place)
        keys = self.grammar.keys(around, root)
        if "attention" in place.path and written & set(POSITIONS):
            # A rule has one position.
            keys = {name: one for name, one in keys.items() if name not in POSITIONS}
        for name in keys:
            if name not in written:
                about, kinds = self.grammar.meaning((*around, name), root)
                yield Completion(name, kinds, about, is_key=True)

    def _words(self, place: Typing) -> Iterator[Completion]:
        """The words of the language that the value may be."""
        for word in self.grammar.words(place.path, place.document.plain()):
            text = str(word).lower() if isinstance(word, bool) else word
            yield Completion(text, self._summaries.get(text, ""))

    @cached_property
    def _summaries(self) -> Mapping[str, str]:
        return {one.name: one.summary for one in cards()}

    def _of_network(self, place: Typing) -> Iterator[Completion]:
        path = place.path
        names = [step for step in path if isinstance(step, str)]
        key = names[-1] if names else ""
        if place.is_key:
            if path[-2:-1] == ("vars",):
                yield from self._vars(_written(place))
            elif path[-2:-1] in (("args",), ("with",)):
                yield from self._arguments(place)
        elif "$" in place.before or key == "where":
            yield from self._readable(key)
        elif key in POSITIONS and "attention" in path:
            yield from self._places(place.before)
        elif key in ("block", "use"):
            yield from self._blocks()
        elif key in ("from", "share") and "nodes" in path:
            yield from self._nodes(place)
        elif path[-2:-1] == ("vars",):
            yield from self._choices(key)

    def _vars(self, written: set[str]) -> Iterator[Completion]:
        spec = self.reading.spec
        for name, kind in (spec.kinds if spec is not None else {}).items():
            if name not in written:
                assert spec is not None, "it has kinds"
                yield Completion(name, f"now {spec.vars.get(name)}", kind.description or "", is_key=True)

    def _choices(self, name: str) -> Iterator[Completion]:
        spec = self.reading.spec
        kind = spec.kinds.get(name) if spec is not None else None
        schema: Mapping[str, Any] = kind.schema() if kind is not None else {}
        given = [*schema.get("enum", ()), *([True, False] if schema.get("type") == "boolean" else [])]
        for one in given:
            yield Completion(str(one).lower() if isinstance(one, bool) else str(one))

    def _arguments(self, place: Typing) -> Iterator[Completion]:
        """The arguments of the block that a node or a rule names."""
        spec, around = self.reading.spec, place.document.nearest(place.path[:-2]).plain()
        name = around.get("block", around.get("use")) if isinstance(around, dict) else None
        block = spec.blocks.get(name) if spec is not None and isinstance(name, str) else None
        for argument, default in (block.args if block is not None else {}).items():
            if argument not in _written(place):
                about = "must be given" if default is None else f"by default {default}"
                yield Completion(argument, about, is_key=True)

    def _readable(self, key: str) -> Iterator[Completion]:
        """The names that an expression may read."""
        spec = self.reading.spec
        for name, value in (spec.vars if spec is not None else {}).items():
            yield Completion(name, f"var, now {value}")
        for name in PLACE:
            yield Completion(name, "of the place" if key == "where" else "of what arrives, or of the place")
        for name in FUNCTIONS:
            yield Completion(name, "function")

    def _places(self, before: str) -> Iterator[Completion]:
        """The sites of the network, then its paths, a step at a time."""
        graph = self.reading.graph
        if graph is None:
            return
        places = graph.plain.places
        for site, count in places.sites.items():
            yield Completion(site, plural(count, "place"), MEANINGS.get(site, "a site of this network"))
        steps: dict[str, int] = {}
        for path in places.paths:
            names = path.split(".")
            for length in range(1, len(names) + 1):
                start = ".".join(names[:length])
                steps[start] = steps.get(start, 0) + 1
        for path, count in steps.items():
            yield Completion(path, "node" if count == 1 else f"{plural(count, 'place')} from here on")

    def _blocks(self) -> Iterator[Completion]:
        spec = self.reading.spec
        for name in spec.names_of_blocks if spec is not None else ():
            block = spec.blocks.get(name) if spec is not None else None
            yield Completion(name, "block", (block.description if block is not None else None) or "")

    def _nodes(self, place: Typing) -> Iterator[Completion]:
        """The nodes of the scope that stand before this one, and what the scope takes."""
        step = len(place.path) - 1 - place.path[::-1].index("nodes")
        scope, own = place.path[: step + 1], place.path[step + 1]
        written = place.document.nearest(scope).plain()
        for name in written if isinstance(written, dict) else ():
            if name == own:
                break
            instances = self.reading.instances.get((*scope, name), ())
            yield Completion(name, shapes(instances))
        for name in _taken(place.document.nearest(scope[:-1]).plain()):
            yield Completion(name, "what comes in")


def _taken(around: Any) -> list[str]:
    """The names of what a scope takes."""
    inputs = around.get("inputs") if isinstance(around, dict) else None
    if isinstance(inputs, str):
        return [inputs]
    return [str(one) for one in inputs] if isinstance(inputs, list | dict) else ["input"]


def _written(place: Typing) -> set[str]:
    """The keys that the mapping around has besides the one that is being typed."""
    mapping = place.document.nearest(place.path[:-1]).plain()
    return set(mapping) - {place.path[-1]} if isinstance(mapping, dict) else set()


def word_at(source: Source, index: int) -> Location:
    """The word that a completion at an index replaces."""
    start, end = bounds(source.text, index)
    line, column = source.position(start)
    return Location(source, line, column, column + end - start)
