"""What a change removed, as boxes in the view of the network after it: each of them where it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from composer.difference import Difference
from composer.draw.describe import describe_names
from composer.draw.view import Box, Edge, View


def with_ghosts(after: View, before: View, difference: Difference) -> tuple[View, set[str]]:
    """The view with the removed nodes, and the paths of their boxes, which are the paths before.

    A removed node stands in its block, as far as that is still there; a removed block is closed. Wires lead to it from
    what fed it, and from it to the operations that it fed.
    """
    holders = {path: (box, view) for view in _views(before) for box in view.boxes for path in (box.path, *box.copies)}
    scopes = {"": after.path} | {path: place for view in _views(after) for path, place in _places(view)}
    removed: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for change in difference.changes:
        if change.kind != "removed" or change.before not in holders:
            continue
        around = change.before.rpartition(".")[0]
        place = scopes.get(difference.pairs.get(around, "?") if around else "")
        if place is not None:
            removed[place][holders[change.before][0].path].append(change.before)
    ghosts = {
        place: {one.box.name: one for path, paths in found.items() for one in [_Ghost.of(*holders[path], paths)]}
        for place, found in removed.items()
    }
    shown = _Adding(ghosts, difference.pairs).view(after)
    return shown, {one.box.path for found in ghosts.values() for one in found.values()}


def _views(view: View) -> Iterator[View]:
    yield view
    for box in view.boxes:
        if box.inner is not None:
            yield from _views(box.inner)


def _places(view: View) -> Iterator[tuple[str, str]]:
    """The paths of the blocks in a view, and of each the view with what is in it."""
    for box in view.boxes:
        if box.inner is not None:
            yield from ((path, box.inner.path) for path in (box.inner.path, *(box.copies or (box.path,))))
            if box.copies and box.path not in box.copies:
                # A block that is nothing but these copies is drawn as they are, here.
                yield box.path, view.path


@dataclass(frozen=True)
class _Ghost:
    """A removed box, the box before that it was a part of, and the view before that this stood in."""

    box: Box
    whole: Box
    before: View

    @classmethod
    def of(cls, whole: Box, before: View, removed: list[str]) -> _Ghost:
        """The ghost of a box before, or of some of its copies."""
        if removed == [*(whole.copies or (whole.path,))]:
            ghost = whole
        else:
            around, _, name = removed[0].rpartition(".")
            # A run that is all of its block stands in for it, a level further out.
            outer = around[len(before.path) :].strip(".")
            names = [path.rpartition(".")[2] for path in removed]
            label = ".".join(filter(None, [outer, describe_names(names) if len(names) > 1 else name]))
            copies = tuple(removed) if len(names) > 1 else ()
            parameters = whole.num_parameters // whole.count * len(names)
            ghost = replace(whole, name=removed[0], path=removed[0], label=label, copies=copies)
            ghost = replace(ghost, num_parameters=parameters)
        return cls(replace(ghost, inner=None, holds=(), rule=None), whole, before)

    @property
    def previous(self) -> str | None:
        """The path of the copy before it in a run of copies."""
        at = self.whole.copies.index(self.box.path) if self.whole.copies else 0
        return self.whole.copies[at - 1] if at else None

    @property
    def is_last(self) -> bool:
        """Whether what the whole box gives comes from it."""
        return not self.whole.copies or (self.box.copies or (self.box.path,))[-1] == self.whole.copies[-1]


@dataclass(frozen=True)
class _Adding:
    """Puts ghosts into views: path of a view -> name -> ghost."""

    ghosts: Mapping[str, Mapping[str, _Ghost]]
    pairs: Mapping[str, str]

    def view(self, view: View) -> View:
        """The view with the ghosts in it, and in the views of its boxes."""
        boxes = [replace(box, inner=self.view(box.inner)) if box.inner is not None else box for box in view.boxes]
        edges = list(view.edges)
        for ghost in self.ghosts.get(view.path, {}).values():
            arriving = list(self._arriving(view, ghost))
            sources = {edge.source for edge in arriving}
            at = max((index + 1 for index, box in enumerate(boxes) if box.name in sources), default=0)
            edges += [*arriving, *self._leaving(view, ghost, boxes[at:], edges)]
            boxes.insert(at, ghost.box)
        return replace(view, boxes=tuple(boxes), edges=tuple(edges))

    def _arriving(self, view: View, ghost: _Ghost) -> Iterator[Edge]:
        if ghost.previous is not None:
            ends = [(self._box(view, ghost.previous), Edge("", "", ghost.box.name, 0))]
        else:
            taken = [edge for edge in ghost.before.edges if edge.target == ghost.whole.name]
            ends = [(self._end(view, ghost.before, edge.source), edge) for edge in taken]
        found = [(source, edge) for source, edge in ends if source is not None]
        for index, (source, edge) in enumerate(found):
            yield replace(edge, source=source, target=ghost.box.name, index=index)

    def _leaving(self, view: View, ghost: _Ghost, later: list[Box], edges: list[Edge]) -> Iterator[Edge]:
        # Another wire into a block would move those that lead on inside.
        operations = {box.name for box in later if box.inner is None}
        for edge in ghost.before.edges if ghost.is_last else ():
            target = self._end(view, ghost.before, edge.target) if edge.source == ghost.whole.name else None
            if target in operations:
                last = max((one.index for one in edges if one.target == target), default=-1)
                yield replace(edge, source=ghost.box.name, target=target, index=last + 1)

    def _end(self, view: View, before: View, end: str) -> str | None:
        """What an end of a wire before is called now, if it is there; a ghost that stands here is."""
        if end in self.ghosts.get(view.path, {}):
            return end
        if end in before.by_name:
            box = before.by_name[end]
            return self._box(view, box.copies[-1] if box.copies else box.path)
        there = [f"in:{name}" for name in view.inputs]
        return end if end in there else there[0] if end.startswith("in:") and len(there) == 1 else None

    def _box(self, view: View, path: str) -> str | None:
        after = self.pairs.get(path)
        return next((box.name for box in view.boxes if after in (box.path, *box.copies)), None)
