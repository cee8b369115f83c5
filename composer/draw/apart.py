"""What tells blocks of one kind beside each other apart, in a few words: `projection, stride 2`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from composer.dag.traits import Traits
from composer.draw.view import Box


def told_apart(boxes: Sequence[Box], traits: Mapping[str, Traits]) -> Iterator[Box]:
    """The boxes of a view; blocks of one kind say in what they differ.

    traits  path of a block -> its traits
    """
    words: dict[str, str] = {}
    told = (box for box in boxes if box.path in traits and box.inner is not None and not box.shares)
    alike = sorted(told, key=lambda box: box.op)
    for _, group in groupby(alike, key=lambda box: box.op):
        words.update(_differences(list(group), traits))
    for box in boxes:
        more = words.get(box.path)
        yield replace(box, detail=f"{box.detail}, {more}") if more else box


def _differences(group: Sequence[Box], traits: Mapping[str, Traits]) -> Iterator[tuple[str, str]]:
    """The path of each block of a kind, and in what it differs from the others; they are told apart by content too."""
    telling = [key for key in traits[group[0].path] if len({traits[box.path][key] for box in group}) > 1]
    told = {box.path: tuple(filter(None, (traits[box.path][key] for key in telling))) for box in group}
    for box in group:
        same = [other for other in group if told[other.path] == told[box.path]]
        if words := [*told[box.path], *_content(box, same)]:
            yield box.path, ", ".join(words)


def _content(box: Box, group: Sequence[Box]) -> Iterator[str]:
    """The first box in a block that not all blocks of a group have, or have with other options."""
    views = [other.inner for other in group if other.inner is not None]
    for child in box.inner.boxes if box.inner else ():
        if child.name.isdecimal():
            continue
        others = [view.by_name.get(child.name) for view in views]
        if None in others:
            # What rules put there is marked anyway.
            if child.rule is None:
                yield f"with {child.label}"
                return
            continue
        details = [_words(other) for other in others if other is not None]
        if any(words != details[0] for words in details):
            own = [word for word in _words(child) if not all(word in words for words in details)]
            if own:
                yield f"{child.label}: {', '.join(own)}"
            return


def _words(box: Box) -> list[str]:
    return [*box.detail.split(", "), *([f"×{box.count}"] if box.count > 1 else [])]
