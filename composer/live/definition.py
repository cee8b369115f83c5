"""Where what stands at a position is defined: in this text, in a file that it refers to, in a file of the zoo."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from composer.errors import Location, Source
from composer.index.card import card, shown
from composer.live.cursor import Spot
from composer.live.reading import Reading
from composer.spec import zoo
from composer.spec.document import Keys
from composer.spec.model import POSITIONS
from composer.spec.origin import Origin

_WORD = re.compile(r"[A-Za-z_]\w*")
_PLACE = re.compile(r"(.+):(\d+)")


@dataclass(frozen=True)
class Definition:
    """Answers for places of one text; `reading` is the last of it with a spec, or the last one."""

    reading: Reading

    def at(self, spot: Spot, column: int) -> list[Location]:
        """The places of what stands there, each once; the names of their sources are paths."""
        found = dict.fromkeys(one for one in self._found(spot, column) if one is not None)
        return list(found)

    def _found(self, spot: Spot, column: int) -> Iterator[Location | None]:
        path, value = spot.path, spot.value.data
        names = [step for step in path if isinstance(step, str)]
        key = names[-1] if names else ""
        if spot.is_key:
            if path[-2:-1] == ("vars",):
                yield from self._declaration(key, spot)
            return
        if not isinstance(value, str):
            return
        if "$" in value or key == "where":
            yield from self._variable(spot, column)
        elif key == "backbone":
            yield from self._backbone(path)
        elif key in ("block", "use") and value in self._blocks():
            yield self._blocks()[value].location(key=True)
        elif key in ("use", "op") or path[-2:-1] == ("nodes",):
            yield from _code(value)
        elif key == "from" or (key == "share" and "attention" not in path):
            yield from self._node(path, value)
        elif key in POSITIONS and "attention" in path:
            yield from self._places(value)

    def _blocks(self) -> dict[str, Origin]:
        spec = self.reading.spec
        if spec is None:
            return {}
        return {**{name: part.origin for name, part in spec.parts.items()}, **spec.block_origins}

    def _declaration(self, name: str, spot: Spot) -> Iterator[Location | None]:
        """Where a var is declared: in the file nearest to the nodes that has it."""
        spec = self.reading.spec
        for file in reversed(spec.files if spec is not None else ()):
            location = (file.origin / "vars" / name).location(key=True)
            if name in file.content.vars and location != spot.location and location is not None:
                yield location
                return

    def _variable(self, spot: Spot, column: int) -> Iterator[Location | None]:
        """Where the var that a position in an expression reads is set."""
        spec = self.reading.spec
        line = spot.location.source.line(spot.location.line)
        word = next((one[0] for one in _WORD.finditer(line) if one.start() < column <= one.end() + 1), "")
        if spec is not None and word in spec.var_origins:
            yield spec.var_origins[word].location(key=True)

    def _backbone(self, path: Keys) -> Iterator[Location | None]:
        """The file that a `backbone` names: the first line of it."""
        spec = self.reading.spec
        if spec is None:
            return
        files = spec.files
        if path != ("backbone",):
            around = path[:-1]
            files = next((part.files for part in spec.parts.values() if part.origin.path == around), ())
        if len(files) > 1 and files[1].path is not None:
            source = files[1].origin.document.source
            yield Location(source, 1, 1, 1)

    def _node(self, path: Keys, value: str) -> Iterator[Location | None]:
        """A node of the same scope, which a `from` names."""
        step = len(path) - 1 - path[::-1].index("nodes") if "nodes" in path else -1
        document = self.reading.document
        if document is None or step < 0:
            return
        name = value.partition(".")[0]
        scope = document.nearest(path[: step + 1])
        child = scope.child(name)
        yield child.key_location if child is not None else None

    def _places(self, selector: str) -> Iterator[Location | None]:
        """The lines that write the nodes which a rule selects."""
        graph = self.reading.graph
        if graph is not None:
            for place in graph.plain.places.select(selector):
                yield place.node.origin.location(key=True)


def _code(name: str) -> Iterator[Location | None]:
    """The class or function of a mechanism or layer, in its file."""
    known = card(name)
    place = _PLACE.fullmatch(str(shown(known)["source"])) if known is not None else None
    if place is not None:
        yield Location(Source(place[1]), int(place[2]), 1, 1)


def file_of(location: Location) -> Path | None:
    """The file that a location is in; None if its source is no file."""
    path = Path(location.source.name)
    found = path if path.is_file() else zoo.find_path(path)
    return found.resolve() if found is not None else None
