"""Whether a node is fed by the same nodes in two networks, apart from what was put in between or taken out."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from composer.difference.change import NodePath
from composer.difference.pairing import Pairing
from composer.difference.side import Side


@dataclass(frozen=True)
class Wiring:
    """Compares what feeds nodes. What has no pair stands for its own first source: an insertion rewires nothing."""

    found: Pairing
    before: dict[NodePath, NodePath | None] = field(default_factory=dict)
    after: dict[NodePath, NodePath | None] = field(default_factory=dict)

    def differs(self, before: Sequence[NodePath], after: Sequence[NodePath]) -> bool:
        """Whether sources in the one network are others than those in the other."""
        found = self.found
        ours = [_resolved(found.before, found.pairs, path, self.before) for path in before]
        theirs = [_resolved(found.after, found.back, path, self.after) for path in after]
        return [found.pairs[path] if path is not None else None for path in ours] != theirs


def _resolved(
    side: Side, paired: Container[NodePath], path: NodePath, known: dict[NodePath, NodePath | None]
) -> NodePath | None:
    """The first node with a pair on the way back along first sources; None where the way ends without one."""
    trail: list[NodePath] = []
    current: NodePath | None = path
    while current is not None and current not in paired:
        if current in known:
            current = known[current]
            break
        trail.append(current)
        sources = side.sources.get(current, ())
        current = sources[0] if sources else None
    known.update(dict.fromkeys(trail, current))
    return current
