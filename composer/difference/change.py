"""A difference between two networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

NodePath = str
Kind = Literal["removed", "added", "moved", "changed"]


@dataclass(frozen=True)
class Change:
    """A difference. If a whole scope was added, removed or moved, only the scope is named.

    before, after      paths; None if the node is not there. The network's inputs go by their names, outputs by
                       `outputs.name`
    op                 the operation or block, after the change (before, if it was removed)
    size               number of operations
    sources            the nodes that feed it, after the change (before, if it was removed)
    details            each change, before and after: `op`, `options.NAME`, `input` and `output` (shapes), `from`
    parameters, macs   before and after; MACs None if not known
    """

    kind: Kind
    before: NodePath | None
    after: NodePath | None
    op: str
    size: int = 0
    sources: tuple[NodePath, ...] = ()
    details: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    parameters: tuple[int, int] = (0, 0)
    macs: tuple[int | None, int | None] = (0, 0)

    @property
    def path(self) -> NodePath:
        """The path after the change; before it, if the node was removed."""
        found = self.before if self.after is None else self.after
        assert found is not None
        return found

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {
            "kind": self.kind,
            "before": self.before,
            "after": self.after,
            "op": self.op,
            "operations": self.size,
            "sources": list(self.sources),
            "details": {name: list(values) for name, values in self.details.items()},
            "parameters": list(self.parameters),
            "macs": list(self.macs),
        }
