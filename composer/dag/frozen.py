"""Parameters by place, and those that a spec freezes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from composer.dag.composition import Composition
from composer.dag.rules.match import unknown_place
from composer.dag.scope import Scope
from composer.errors import Diagnostic, GraphError, InputError
from composer.spec.freeze import FreezeSpec
from composer.spec.origin import Origin
from composer.spec.spec import Spec

# What rules inserted, and the rest.
INSERTED, BACKBONE = "inserted", "backbone"


class Below:
    """Whether a name of a parameter or a module is at or below the places that a word selects.

    graph   the network
    word    a site, a glob over paths, `inserted` (what attention rules put in), `backbone` (the rest)
    inside  the path of a network inside it, whose own place it is; by default the whole
    Raises InputError for a word that selects nothing.
    """

    def __init__(self, graph: Composition, word: str, inside: str = "") -> None:
        sites = graph.places.sites
        self.inverted = word == BACKBONE and word not in sites
        self.inside = _pattern([inside]) if inside else re.compile("")
        if word in (INSERTED, BACKBONE) and word not in sites:
            self.pattern = _pattern(list(graph.inserted))
            return
        written = f"{inside}.{word}" if inside and word not in sites else word
        found = [path for path in graph.places.select(written).paths if self.inside.match(path)]
        if not found:
            text, help = unknown_place(written, graph.places)
            label = "a site, a glob over paths, `inserted`, `backbone`"
            raise InputError(Diagnostic("no-match", text, label=label, help=help))
        self.pattern = _pattern(found)

    def __call__(self, name: str) -> bool:
        return self.inside.match(name) is not None and (self.pattern.match(name) is None) == self.inverted


class Frozen:
    """Whether a name of a parameter or a module is at or below places that stay as they are.

    graph   the network
    words   the places, as for Below
    but     they are all others
    inside  as for Below
    """

    def __init__(self, graph: Composition, words: Sequence[str], *, but: bool = False, inside: str = "") -> None:
        self.below = [Below(graph, word, inside) for word in words]
        self.inside, self.but = re.compile("") if not inside else _pattern([inside]), but

    def __call__(self, name: str) -> bool:
        return self.inside.match(name) is not None and any(one(name) for one in self.below) != self.but


def check_frozen(graph: Composition) -> None:
    """Raises GraphError, with each line, if a spec freezes places that do not exist."""
    if graph.spec.freezes:
        frozen_in_spec(graph)


def frozen_in_spec(graph: Composition) -> list[Frozen]:
    """What the file of a network freezes, and the files of networks inside it. Raises GraphError for no such place."""
    found, problems = list[Frozen](), list[Diagnostic]()
    for inside, written, origin in _written(graph.root, graph.spec):
        words = written.at or written.all_but or []
        for index, word in enumerate(words):
            try:
                Below(graph, word, inside)
            except InputError as error:
                one = error.diagnostics[0]
                problems.append(_place(origin, index).problem("no-match", one.message, one.label, one.help))
        if not problems:
            found.append(Frozen(graph, words, but=written.all_but is not None, inside=inside))
    GraphError.check(problems)
    return found


def _place(origin: Origin, index: int) -> Origin:
    """Where a word is written, in the short forms too."""
    base = next(one for one in (origin / "at", origin / "all_but", origin) if one.written.path == one.path)
    return (base / index).written


def _written(scope: Scope, spec: Spec | None) -> Iterator[tuple[str, FreezeSpec, Origin]]:
    """The path of a network, what its file freezes, and where; then of the networks inside it."""
    if spec is not None and spec.freeze is not None:
        yield (scope.path, *spec.freeze)
    if spec is None or spec.parts:
        for node in scope.parts.values():
            if isinstance(node.content, Scope) and node.owns:
                yield from _written(node.content, node.content.network)


def _pattern(paths: Sequence[str]) -> re.Pattern[str]:
    """Matches the names at or below some paths."""
    return re.compile(rf"(?:{'|'.join(map(re.escape, paths))})(?:\.|$)" if paths else r"(?!)")
