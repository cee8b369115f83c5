"""Many paths in few words: a glob, if it matches exactly these nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice, product

from composer.dag.rules.globs import Glob
from composer.dag.scope import Scope
from composer.difference.change import NodePath
from composer.summary.names import ranges

MAX_GLOBS = 16


def label(paths: Sequence[NodePath], root: Scope) -> str:
    """Paths of nodes below a scope, as a glob that matches only these, a range of names, or the first and the last."""
    first, last = paths[0], paths[-1]
    if len(paths) == 1:
        return first
    columns = list(zip(*(path.split(".") for path in paths), strict=False))
    if any(path.count(".") + 1 != len(columns) for path in paths):
        return f"{first} … {last}"
    for glob in _globs(columns):
        if _is_exact(glob, len(paths), root):
            return glob
    varying = [index for index, names in enumerate(columns) if len(set(names)) > 1]
    if len(varying) == 1:
        parts = [names[0] for names in columns]
        parts[varying[0]] = ranges(columns[varying[0]])
        return ".".join(parts)
    return f"{first} … {last}"


def _globs(columns: Sequence[Sequence[str]]) -> Iterable[str]:
    """Globs for the names at each level, those with the most stars first."""
    parts = product(*(dict.fromkeys((_star(names), _digits(names))) for names in columns))
    return sorted((".".join(one) for one in islice(parts, MAX_GLOBS)), key=lambda glob: glob.count("["))


def _star(names: Sequence[str]) -> str:
    """`layer*` for layer1, layer3; `at*_se` for at1_se, at4_se."""
    if len(set(names)) == 1:
        return names[0]
    start = _shared_start(names)
    end = _shared_start([name.removeprefix(start)[::-1] for name in names])[::-1]
    return f"{start}*{end}"


def _shared_start(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    length = next((index for index, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return first[:length]


def _digits(names: Sequence[str]) -> str:
    """`layer[1-3]` for layer1, layer2, layer3; otherwise a star."""
    prefix = _shared_start(names)
    found = sorted({name.removeprefix(prefix) for name in names})
    digits = all(re.fullmatch("[0-9]", one) for one in found)
    if digits and len(found) > 1 and int(found[-1]) - int(found[0]) == len(found) - 1:
        return f"{prefix}[{found[0]}-{found[-1]}]"
    return _star(names)


def _is_exact(glob: str, count: int, root: Scope) -> bool:
    """Whether a glob matches exactly `count` nodes; False if the search takes too long."""
    parts = glob.split(".")
    open_scopes, tried = [root], 0
    for depth, part in enumerate(parts, 1):
        pattern = Glob(part)
        found = []
        for scope in open_scopes:
            names = [part] if "*" not in part and "[" not in part else scope.nodes
            tried += len(names)
            if tried > 20 * count + 500:
                return False
            found += [scope.nodes[name] for name in names if name in scope.nodes and pattern.matches(name)]
        found = [node for node in found if node.content is not None]
        if depth == len(parts):
            return len(found) == count
        open_scopes = [node.content for node in found if isinstance(node.content, Scope)]
    raise AssertionError("a glob has parts")
