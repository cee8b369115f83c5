"""One difference between two networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

NodePath = str
Kind = Literal["removed", "added", "moved", "changed"]


@dataclass(frozen=True)
class Change:
    """One difference. Of a scope that was added, removed or moved as a whole, the scope alone.

    before, after      paths; None where the node is not. Inputs of the network go by their name, its outputs by
                       `outputs.name`
    op                 the operation or block, as it is after (before, when it was removed)
    size               how many operations it is
    sources            what feeds it, as it is after (before, when it was removed)
    details            what changed, each before and after: `op`, `options.NAME`, `input` and `output` (shapes), `from`
    parameters, macs   before and after; MACs None where they are not known
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
        """Where it is after; before, when it was removed."""
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
