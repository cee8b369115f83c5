"""Where a network's features are: at the end before its pooling, and at each scale."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter

from composer.dag.operation import Operation
from composer.dag.outputs import up_to
from composer.dag.rules.places import Places
from composer.dag.scope import Node, Scope
from composer.spec.sites import BLOCK, FEATURES, LEVEL, STAGE


@dataclass(frozen=True)
class Level:
    """The features of a scale: path of the node that gives them, their channels, and pixels per position.

    `scale` is the pixels per position if convolutions had strides in place of dilations.
    """

    path: str
    channels: int
    reduction: int
    scale: int


def end_of_features(root: Scope) -> Node | None:
    """The node of the root that ends the features: tagged `features`, or the last that is or holds a `stage`.

    None if there is no such node, or if the outputs leave the tagged node out.
    """
    if root.end is not None:
        return root.nodes.get(root.end)
    staged = [node for node in root.nodes.values() if _holds(node, STAGE)]
    return next(reversed(staged), None)


def tagged_end(root: Scope) -> str | None:
    """Name of the last node of the root that is tagged `features`; None without one."""
    return next((node.name for node in reversed(list(root.nodes.values())) if FEATURES in node.sites), None)


def features_of(root: Scope) -> str | None:
    """The reference of the features before pooling; None if nothing tells it, or if the outputs leave it out."""
    end = end_of_features(root)
    if end is None:
        return None
    node = root.nodes[end.tail or end.name]
    # An end that only passes tensors from inside outward does not give its own.
    left_out = isinstance(node.content, Scope) and node.content.exposed >= node.content.outputs.keys()
    return None if left_out or node.result is None else node.reference


def _holds(node: Node, site: str) -> bool:
    return site in node.sites or (
        isinstance(node.content, Scope) and any(site in one.sites for one in node.content.walk())
    )


def split(root: Scope, name: str) -> tuple[Scope, Scope | None]:
    """The network up to a tensor of its root, and the rest; None for the rest if it needs other tensors too."""
    # Scopes pass outward the same tensors as in the whole network: their modules are the same.
    before = up_to(replace(root, outputs={"features": name}), name)
    later = {one: node for one, node in root.nodes.items() if one not in before.nodes}
    known = {name, *later}
    if not all(reference in known for node in later.values() for reference in node.inputs):
        return before, None
    if not all(reference in known for reference in root.outputs.values()):
        return before, None
    return before, replace(root, inputs={name: root.tensor(name)}, nodes=later)


def levels(root: Scope, places: Places) -> list[Level]:
    """A level per scale: its last node tagged `level`; else its last stage. Before the stages: the last node before
    them.

    Tokens on a grid count as a map. A network without stages has a level per block. Dilated stages keep the size of the
    map, but count as different scales.
    """
    side = next(iter(root.inputs.values())).axis("h")
    if side is None:
        return []
    places = places.computing
    dilated = _dilations(places)
    maps = [
        (place, level)
        for place, dilation in zip(places, dilated, strict=True)
        if not _is_padding(place.node) and (level := _level(place.node, side, dilation)) is not None
    ]
    tagged, staged = (
        {level.scale: level for place, level in maps if site in place.node.sites} for site in (LEVEL, STAGE)
    )
    if not tagged and not staged:
        return list(_blocks(places, side))
    sites = {STAGE} if staged else {LEVEL}
    first = next(index for index, (place, _) in enumerate(maps) if sites & {*place.node.sites})
    paths = ("", maps[first][0].scope.path)
    found = {level.scale: level for place, level in maps[:first] if place.scope.path in paths}
    return [one for _, one in sorted((found | staged | tagged).items())]


def _is_padding(node: Node) -> bool:
    """Whether a node only pads a map for the next node."""
    return node.entry is not None and node.entry.kind == "pad"


def _dilations(places: Places) -> list[int]:
    """Place -> the greatest dilation of a convolution up to its end."""
    ends = list(range(len(places)))
    known = {path: index for index, path in enumerate(places.paths)}
    reached: list[int] = []
    for index, place in enumerate(places):
        reached.append(max(_dilation(place.node), reached[-1] if reached else 1))
        around = place.node.path
        while around := around.rpartition(".")[0]:
            ends[known[around]] = index
    return [reached[end] for end in ends]


def _dilation(node: Node) -> int:
    arguments = node.content.arguments if isinstance(node.content, Operation) else {}
    # A dilation inside a mechanism says nothing about the network.
    found = arguments.get("dilation", 1) if "kernel_size" in arguments else 1
    return max(found) if isinstance(found, tuple) else int(found)


def _level(node: Node, side: int, dilation: int = 1) -> Level | None:
    tensor = node.result
    grid = None if tensor is None else tensor.whole_grid
    if tensor is None or tensor.channels is None or grid is None:
        return None
    reduction = _reduction(side, grid.height)
    return Level(node.path, tensor.channels, reduction, reduction * dilation)


def _reduction(side: int, height: int) -> int:
    """Input pixels per position. A stride of 2 rounds the map up, or down without padding.

    >>> [_reduction(224, 7), _reduction(240, 8), _reduction(299, 35), _reduction(224, 16)]
    [32, 32, 8, 14]
    """
    power = 1 << max(0, round(math.log2(side / height)))
    # Patches of 14 pixels are not a power of two.
    exact = side % height == 0 and -(-side // power) != height
    return side // height if exact else power


def _blocks(places: Places, side: int) -> Iterator[Level]:
    """A level per block. Tokens of unknown grid span the pixels per position of the last map before the block's end."""
    operations = [place for place in places if isinstance(place.node.content, Operation)]
    maps = [(place.depth, level.reduction) for place in operations if (level := _level(place.node, side)) is not None]
    for place in places:
        tensor = place.node.result
        if BLOCK in place.node.sites and tensor is not None and tensor.channels is not None:
            made = bisect_right(maps, place.depth, key=itemgetter(0))
            reduction = maps[made - 1][1] if made else 1
            of_tokens = Level(place.node.path, tensor.channels, reduction, reduction)
            yield _level(place.node, side) or of_tokens


def names_of_levels(found: list[Level]) -> Mapping[str, str]:
    """Output name -> path: `c3` for a level that halves the input three times, or the paths themselves."""
    powers = [level.scale.bit_length() - 1 for level in found]
    exact = all(1 << power == level.scale for power, level in zip(powers, found, strict=True))
    if exact and len(set(powers)) == len(powers):
        return {f"c{power}": level.path for power, level in zip(powers, found, strict=True)}
    return {level.path.replace(".", "_"): level.path for level in found}
