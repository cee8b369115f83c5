"""Shows a problem at the line that sets a var, if a var set elsewhere causes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import dropwhile
from typing import Any

from composer.errors import Diagnostic, Location
from composer.spec import zoo
from composer.spec.document import Keys
from composer.spec.expression import is_dynamic, parse_template
from composer.spec.origin import Origin, walk_strings
from composer.spec.tokens import ExpressionError


def shown_where_set(problem: Diagnostic, files: Sequence[Origin], vars: Mapping[str, Origin]) -> Diagnostic:
    """The problem, moved to the line of the var that its expression reads; unchanged if it reads none.

    files  the files of the network, from the requested one to the backbone
    vars   where the value of each var is set; vars set in the problem's own file, or in one below, do not count
    """
    if problem.location is None:
        return problem
    source = problem.location.source
    # The problem's own file, and those that it builds on.
    below = list(dropwhile(lambda one: one.document.source is not source, files))
    if not below:
        return problem
    file, documents = below[0], {id(one.document) for one in below}
    elsewhere = {name: one for name, one in vars.items() if id(one.document) not in documents}
    if not elsewhere:
        return problem
    for text, origin in walk_strings(file.document.plain(), file):
        if _covers(origin, problem.location):
            name = next((one for one in _roots(text, origin, set()) if one in elsewhere), None)
            return problem if name is None else _moved(problem, name, elsewhere[name])
    return _with_help(problem, file, elsewhere)


def _with_help(problem: Diagnostic, file: Origin, elsewhere: Mapping[str, Origin]) -> Diagnostic:
    """The problem of a whole node, with the lines of the vars that its options read: they may be the cause."""
    node = next(_at_key(file, problem.location), None)
    texts = walk_strings(_plain(node), node) if node else ()
    names = dict.fromkeys(name for text, origin in texts for name in _roots(text, origin, set()) if name in elsewhere)
    lines = (f"`{name}` is set at {_set_at(elsewhere[name])}" for name in names)
    return replace(problem, help=(*problem.help, *lines))


def _at_key(origin: Origin, location: Location | None) -> Iterator[Origin]:
    """The value whose key is at a location."""
    data = origin.document.nearest(origin.path).data
    for step, child in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        if child.key_location == location:
            yield origin / step
        yield from _at_key(origin / step, location)


def _plain(origin: Origin) -> Any:
    return origin.document.nearest(origin.path).plain()


def _set_at(origin: Origin) -> str:
    return str(origin.location() or origin.location(key=True) or f"`{origin.dotted}`")


def _covers(origin: Origin, location: Location) -> bool:
    """Whether a location is inside the text of a string."""
    own = origin.location()
    return own is not None and own.line == location.line and own.column <= location.column < own.end_column


def _roots(text: str, origin: Origin, seen: set[str]) -> Iterator[str]:
    """The vars that a string reads, and the vars from which these are computed."""
    try:
        reads = [name.partition(".")[0] for name, _ in parse_template(text).reads] if is_dynamic(text) else []
    except ExpressionError:
        return
    for name in reads:
        if name in seen:
            continue
        seen.add(name)
        yield name
        if name in ("index", "repeat"):
            # How far `index` runs is what the node around says of its copies.
            copies = (_node(origin) / "repeat").written
            yield from _roots(str(_plain(copies)), copies, seen)
        for scope in _scopes(origin.path):
            written = (Origin(origin.document, scope) / "vars" / name).written
            if written.path == (*scope, "vars", name):
                for child, place in walk_strings(_plain(written), written):
                    yield from _roots(child, place, seen)
                break


def _node(origin: Origin) -> Origin:
    """The node in which something is written."""
    return Origin(origin.document, origin.path[: 4 if origin.path[:1] == ("blocks",) else 2])


def _scopes(path: Keys) -> list[Keys]:
    """Where the vars of an expression may be written: in the block around it, then in the file."""
    return [path[:2], ()] if path[:1] == ("blocks",) else [()]


def _moved(problem: Diagnostic, name: str, origin: Origin) -> Diagnostic:
    read = f"`{name}` is read at {zoo.portable(str(problem.location))}"
    location = origin.location() or origin.location(key=True)
    return replace(problem, location=location, help=(*problem.help, read))
