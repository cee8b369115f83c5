"""Times of operations from a file that `composer bench --nodes -o FILE` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from composer.errors import Diagnostic, InputError, one_of
from composer.paths import obstacle, reason

if TYPE_CHECKING:
    from composer.network import Graph

_FORM = "what `composer bench SPEC --nodes -o FILE` writes"


def read_times(path: Path, spec: str, graph: Graph) -> Mapping[str, float]:
    """Path of an operation -> seconds, of the network that was measured under this source or name.

    spec   the source as the command names it
    graph  the network
    A file with one network is taken as that one. Raises InputError if the file cannot be read, has no such network, or
    has an operation that the network does not have.
    """
    if problem := obstacle(path):
        raise InputError(Diagnostic("unreadable", f"`{path}` {problem}", label=_FORM))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(Diagnostic("unreadable", f"`{path}` cannot be read: {reason(error)}", label=_FORM)) from error
    except ValueError as error:
        raise InputError(Diagnostic("unreadable", f"`{path}` is not JSON: {error}", label=_FORM)) from error
    networks = found.get("nodes") if isinstance(found, dict) else None
    if not isinstance(networks, dict) or not networks or not all(map(_is_times, networks.values())):
        raise InputError(Diagnostic("unreadable", f"`{path}` holds no times of operations", label=_FORM))
    names = (spec, graph.spec.name)
    wanted = next(one for one in (*names, *networks) if one in networks)
    if wanted not in names and len(networks) > 1:
        text = f"`{path}` has no times of `{spec}`"
        raise InputError(Diagnostic("unknown-name", text, label=one_of(networks)))
    times: Mapping[str, float] = networks[wanted]
    has = {node.path for node, _ in graph.operations}
    if other := has ^ times.keys():
        text = f"`{path}` has the times of another network: only one of the two has the operation `{min(other)}`"
        raise InputError(Diagnostic("unknown-name", text, label=f"times of `{spec}`"))
    return times


def _is_times(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, int | float) and one >= 0 for one in value.values())
