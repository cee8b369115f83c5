"""Adds a note to an exception from a network: the path of the node that ran, and its line in the spec."""

from __future__ import annotations

import linecache
from types import TracebackType

from torch import nn

from composer.dag.composition import Composition
from composer.dag.scope import Node, Scope


def explain(error: BaseException, model: nn.Module, graph: Composition) -> None:
    """Add a note to an exception from a network's forward: which node ran, and where the spec writes it."""
    path = ran(error, model)
    # The network itself was called wrongly: what Python says has its name.
    if not path or any("in the network" in note for note in getattr(error, "__notes__", ())):
        return
    node = node_at(graph.root, path)
    where = node.origin.location(key=True) if node is not None else None
    name = f"`{node.path}` ({node.op})" if node is not None else f"`{path}`"
    error.add_note(f"in the network `{graph.spec.name}`: {name}" + (f", {where}" if where else ""))


def ran(error: BaseException, model: nn.Module) -> str | None:
    """Path of the node of a network that ran last before an exception; empty for the network itself, None for none."""
    return _innermost(error.__traceback__, {id(module): name for name, module in model.named_modules()})


def _innermost(trace: TracebackType | None, names: dict[int, str]) -> str | None:
    """Path of the node that ran last: from the `self` of each frame; for a function, from its line's comment."""
    path: str | None = None
    while trace is not None:
        frame = trace.tb_frame
        owner = frame.f_locals.get("self")
        if isinstance(owner, nn.Module) and id(owner) in names:
            path = names[id(owner)]
            if frame.f_code.co_filename.startswith("<composed "):
                # A module's call has its own frame; a function's line names its node in a comment.
                line = linecache.getline(frame.f_code.co_filename, trace.tb_lineno)
                _, mark, node = line.rstrip().rpartition("  # ")
                path = (f"{path}.{node}" if path else node) if mark else path
        trace = trace.tb_next
    return path


def node_at(root: Scope, path: str) -> Node | None:
    """The node at a path, or the innermost node around it."""
    found = None
    for node in root.walk():
        inside = path == node.path or path.startswith(f"{node.path}.")
        found = node if inside and (found is None or len(node.path) > len(found.path)) else found
    return found
