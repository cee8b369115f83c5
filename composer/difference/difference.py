"""Two sources -> what differs between their networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from composer import api
from composer.alike import Alike
from composer.dag.graph import Graph
from composer.difference.change import Change
from composer.difference.changes import changes
from composer.difference.match import match
from composer.difference.render import styled
from composer.difference.side import read
from composer.lines import plain


@dataclass(frozen=True, repr=False)
class Difference:
    """What differs between two networks. True when something does; prints with changes of one sort in one line."""

    before: Graph
    after: Graph
    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        return plain(styled(self)) if self else "no difference"

    __repr__ = __str__

    @property
    def totals(self) -> Sequence[tuple[str, int, int]]:
        """What the whole networks are, before and after."""
        before, after = self.before, self.after
        return [
            ("operations", len(before.operations), len(after.operations)),
            ("parameters", before.num_parameters, after.num_parameters),
            ("MACs", before.num_macs, after.num_macs),
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON values: each change by itself."""
        names = {"name": (self.before.spec.name, self.after.spec.name)}
        totals = {name.lower(): numbers for name, *numbers in self.totals}
        before, after = ({name: values[index] for name, values in (names | totals).items()} for index in (0, 1))
        return {
            "equal": not self,
            "before": before,
            "after": after,
            "changes": [change.to_json() for change in self.changes],
        }


def diff(before: api.Source | Graph, after: api.Source | Graph) -> Difference:
    """Compare what two networks compute: their nodes, options, shapes and wiring; not their names, sites or lines.

    before, after  paths, zoo names, mappings, Specs, or graphs that are already composed

    Nodes at one path are one; of the others, those with the same content, best where the same nodes feed them. What
    was put in between two nodes, or taken out, does not count as a change of what feeds the second.
    Raises SpecError or GraphError.

    >>> rules = [{"use": "se", "after": "branch", "where": "stage == 4"}]
    >>> [change.after for change in diff("resnet18", {"backbone": "resnet18", "attention": rules}).changes]
    ['layer4.0.se', 'layer4.1.se']
    """
    one, other = (source if isinstance(source, Graph) else api.graph(source) for source in (before, after))
    alike = Alike()
    return Difference(one, other, tuple(changes(match(read(one, alike), read(other, alike)))))
