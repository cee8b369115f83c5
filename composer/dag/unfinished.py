"""What is left when a network cannot be elaborated: scopes as far as they came, and the nodes that they lack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from composer.dag.scope import Scope
from composer.errors import Diagnostic
from composer.spec.model import NodeSpec


@dataclass(frozen=True)
class Missing:
    """A node that could not be made: what it would take, and its own problems; none if it only needs such a node."""

    spec: NodeSpec
    inputs: tuple[str, ...]
    failed: bool
    problems: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True)
class Unfinished:
    """A scope as far as it could be elaborated, and the nodes that it lacks, in the order they would run."""

    scope: Scope
    missing: Mapping[str, Missing]


def circle(
    scope: Scope, specs: Mapping[str, NodeSpec], written: Mapping[str, tuple[str, ...]], problem: Diagnostic, start: str
) -> Unfinished:
    """A scope whose nodes feed one another in a circle: none of them can be made, the problem is at one."""
    missing = {
        name: Missing(specs[name], references, name == start, (problem,) if name == start else ())
        for name, references in written.items()
    }
    return Unfinished(scope, missing)
