"""Closed blocks that a picture shows open beside the network: those that hold attention, and one of each family."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from composer.draw.view import Box, View, opened

# Of families; blocks with hidden attention are always shown.
MOST_FAMILIES = 2
# Larger blocks tell nothing at a glance, shorter chains nothing at all.
FEWEST_BOXES, MOST_BOXES = 4, 25


@dataclass(frozen=True)
class Inset:
    """A block to show open beside the network, and what it stands for."""

    box: Box
    view: View
    caption: str


@dataclass(frozen=True)
class _Like:
    """A closed block, and how many nodes it stands for."""

    box: Box
    inner: View
    times: int


def beside(view: View, depth: int) -> list[Inset]:
    """The closed blocks to show beside a network of which so many levels are open: `insets`, then `families`."""
    hidden = list(insets(view, depth))
    return [*hidden, *families(view, depth, hidden)]


def insets(view: View, depth: int) -> Iterator[Inset]:
    """A block per rule whose insertions are all in boxes that are closed at this depth. Rules may share a block."""
    shown = {box.rule for box in opened(view, depth).walk()}
    hidden = {rule for box in view.boxes for rule, _, _ in box.holds}
    for rule in sorted(hidden):
        if rule in shown:
            continue
        inset = _commonest(list(_holders(view, rule, 1)))
        shown |= {child.rule for child in inset.view.boxes}
        yield inset


def families(view: View, depth: int, others: Iterable[Inset] = ()) -> list[Inset]:
    """A block of each family whose blocks are all closed at this depth: of those that are named alike, the commonest.

    A single block without branches is no family. Blocks with branches come first, then those that make up most of the
    network. Families that `others` show are left out.
    """
    shown = {box.op for box in opened(view, depth).walk() if box.inner is not None} | {one.box.op for one in others}
    found: dict[str, list[_Like]] = {}
    for like in _telling(_closed(view, depth)):
        found.setdefault(like.box.op, []).append(like)
    several = {op for op, likes in found.items() if sum(one.times for one in likes) > 1}
    telling = [
        likes for op, likes in found.items() if op not in shown and (op in several or _has_branches(likes[0].inner))
    ]
    telling.sort(key=lambda likes: (_has_branches(likes[0].inner), _share(likes)), reverse=True)
    return [_commonest(likes) for likes in telling[:MOST_FAMILIES]]


def _commonest(blocks: list[_Like]) -> Inset:
    forms: dict[int, list[_Like]] = {}
    for one in blocks:
        forms.setdefault(one.inner.form, []).append(one)
    likes = max(forms.values(), key=lambda some: sum(one.times for one in some))
    count, total = (sum(one.times for one in some) for some in (likes, blocks))
    box, inner = likes[0].box, likes[0].inner
    some = f"all {total}" if count == total else f"{count} of {total}"
    caption = f"{some} blocks look like this one" if total > 1 else ""
    return Inset(replace(box, label=inner.path, copies=()), opened(inner, 1), caption)


def _holders(view: View, rule: int, times: int) -> Iterator[_Like]:
    """The innermost blocks around a rule's insertions."""
    for box in view.boxes:
        if box.inner is not None:
            copies = times * box.count
            if any(child.rule == rule for child in box.inner.boxes):
                yield _Like(box, box.inner, copies)
            yield from _holders(box.inner, rule, copies)


def _closed(view: View, depth: int, times: int = 1) -> Iterator[_Like]:
    """The blocks that are closed at this depth."""
    for box in view.boxes:
        if box.inner is None:
            continue
        if depth > 1 or box.inner.has_mistakes:
            yield from _closed(box.inner, depth - 1, times * box.count)
        else:
            yield _Like(box, box.inner, times * box.count)


def _telling(blocks: Iterable[_Like]) -> Iterator[_Like]:
    """The outermost blocks, of these and those inside, whose own operations say how they work."""
    for one in blocks:
        operations = sum(child.inner is None for child in one.inner.boxes)
        is_telling = operations >= FEWEST_BOXES or _has_branches(one.inner)
        if is_telling and len(one.inner.boxes) <= MOST_BOXES:
            yield one
        else:
            yield from _telling(_closed(one.inner, 1, one.times))


def _has_branches(view: View) -> bool:
    return any(box.kind == "merge" for box in view.boxes)


def _share(blocks: list[_Like]) -> int:
    return sum(one.times * len(one.inner.boxes) for one in blocks)
