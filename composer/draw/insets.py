"""Attention hidden in closed boxes: the block, per rule, in which the rule inserts most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from composer.draw.view import Box, View, opened


@dataclass(frozen=True)
class Inset:
    """A block to show open beside the network, and what it stands for."""

    box: Box
    view: View
    caption: str


def insets(view: View, depth: int) -> Iterator[Inset]:
    """A block per rule whose insertions are all in boxes that are closed at this depth. Rules may share a block."""
    shown = {box.rule for box in opened(view, depth).walk()}
    hidden = {rule for box in view.boxes for rule, _, _ in box.holds}
    for rule in sorted(hidden):
        if rule in shown:
            continue
        groups: dict[int, list[tuple[Box, View, int]]] = {}
        for box, inner, times in _holders(view, rule, 1):
            groups.setdefault(inner.form, []).append((box, inner, times))
        likes = max(groups.values(), key=lambda some: sum(times for _, _, times in some))
        box, inner, _ = likes[0]
        shown |= {child.rule for child in inner.boxes}
        count = sum(times for _, _, times in likes)
        total = sum(times for some in groups.values() for _, _, times in some)
        caption = f"{count} of {total} blocks look like this one" if total > 1 else ""
        yield Inset(replace(box, label=inner.path, copies=()), opened(inner, 1), caption)


def _holders(view: View, rule: int, times: int) -> Iterator[tuple[Box, View, int]]:
    """The innermost blocks around a rule's insertions, each with its number of copies."""
    for box in view.boxes:
        if box.inner is not None:
            copies = times * box.count
            if any(child.rule == rule for child in box.inner.boxes):
                yield box, box.inner, copies
            yield from _holders(box.inner, rule, copies)
