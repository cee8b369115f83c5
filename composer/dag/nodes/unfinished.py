"""The remains of a network that cannot be elaborated: its scopes so far, and the nodes that they lack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from composer.dag.scope import Scope
from composer.errors import Diagnostic
from composer.spec.model import NodeSpec


@dataclass(frozen=True)
class Missing:
    """A node that could not be made: its inputs and its own problems; none if it only needs another missing node."""

    spec: NodeSpec
    inputs: tuple[str, ...]
    failed: bool
    problems: tuple[Diagnostic, ...] = ()

    @property
    def op(self) -> str:
        """The operation or block as written, or the node whose module it would call."""
        shared = f"shares {self.spec.share}" if isinstance(self.spec.share, str) else ""
        return self.spec.op or self.spec.block or shared


@dataclass(frozen=True)
class Unfinished:
    """An incomplete scope, and the nodes that it lacks, in the order in which they would run."""

    scope: Scope
    missing: Mapping[str, Missing]


def circle(
    scope: Scope, specs: Mapping[str, NodeSpec], written: Mapping[str, tuple[str, ...]], problem: Diagnostic, start: str
) -> Unfinished:
    """A scope whose nodes form a cycle: none can be made, and the problem is reported at `start`."""
    missing = {
        name: Missing(specs[name], references, name == start, (problem,) if name == start else ())
        for name, references in written.items()
    }
    return Unfinished(scope, missing)
