"""The differences between two networks, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from composer.dag.composition import Composition
from composer.difference.change import Change, NodePath


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two networks and the changes from the first to the second. True if there are any.

    pairs   path before -> path after, of every node that is in both; inputs of the networks by their names
    """

    before: Composition
    after: Composition
    changes: tuple[Change, ...]
    pairs: Mapping[NodePath, NodePath] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def totals(self) -> Sequence[tuple[str, int | None, int | None]]:
        """Totals of the networks: name, before, after."""
        before, after = self.before, self.after
        return [
            ("operations", len(before.operations), len(after.operations)),
            ("parameters", before.num_parameters, after.num_parameters),
            ("MACs", before.num_macs, after.num_macs),
        ]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values, each change by itself."""
        names = {"name": (self.before.spec.name, self.after.spec.name)}
        totals = {name.lower(): numbers for name, *numbers in self.totals}
        before, after = ({name: values[index] for name, values in (names | totals).items()} for index in (0, 1))
        return {
            "equal": not self,
            "before": before,
            "after": after,
            "changes": [change.to_json() for change in self.changes],
        }
