"""Where a network's features are: up to its pooling, and at each scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from composer.dag.outputs import prune
from composer.dag.places import Place
from composer.dag.scope import Node, Scope, TensorSpec


@dataclass(frozen=True)
class Level:
    """Features of one scale: path of the node that gives them, their channels, and pixels that a position spans."""

    path: str
    channels: int
    reduction: int


def end_of_features(root: Scope) -> Node | None:
    """The node of the root that gives what is pooled: tagged `features`, or the last that is or holds a `stage`."""
    tagged = [node for node in root.nodes.values() if "features" in node.sites]
    staged = [node for node in root.nodes.values() if _holds(node, "stage")]
    return next(reversed(tagged or staged), None)


def _holds(node: Node, site: str) -> bool:
    return site in node.sites or (
        isinstance(node.content, Scope) and any(site in one.sites for one in node.content.walk())
    )


def split(root: Scope, name: str) -> tuple[Scope, Scope | None]:
    """The network up to a node of its root, and from there on; None where a later node takes more than that one."""
    before = prune(replace(root, outputs={"features": name}), ["features"])
    later = {one: node for one, node in root.nodes.items() if one not in before.nodes}
    known = {name, *later}
    if not all(reference in known for node in later.values() for reference in node.inputs):
        return before, None
    if not all(reference in known for reference in root.outputs.values()):
        return before, None
    return before, replace(root, inputs={name: root.tensor(name)}, nodes=later)


def levels(root: Scope, places: list[Place]) -> list[Level]:
    """One for each scale: the last stage of it, or the last node before all stages, in the root or beside the first.

    A network of tokens has one scale, and a level for each of its blocks.
    """
    side = next(iter(root.inputs.values())).axis("h")
    if side is None:
        return []
    maps = [(place, level) for place in places if (level := _level(place.node, side)) is not None]
    staged = {level.reduction: level for place, level in maps if "stage" in place.node.sites}
    if not staged:
        return list(_blocks(places, max((level.reduction for _, level in maps), default=1)))
    first = next(index for index, (place, _) in enumerate(maps) if "stage" in place.node.sites)
    paths = ("", maps[first][0].scope.path)
    found = {level.reduction: level for place, level in maps[:first] if place.scope.path in paths}
    return [one for _, one in sorted((found | staged).items())]


def _level(node: Node, side: int) -> Level | None:
    tensor = node.output
    if not isinstance(tensor, TensorSpec) or tensor.channels is None or not (height := tensor.axis("h")):
        return None
    return Level(node.path, tensor.channels, _reduction(side, height))


def _reduction(side: int, height: int) -> int:
    """How many input pixels a position stands for. Strides of 2 round the map up, or down where nothing is padded.

    >>> [_reduction(224, 7), _reduction(240, 8), _reduction(299, 35), _reduction(224, 16)]
    [32, 32, 8, 14]
    """
    power = 1 << max(0, round(math.log2(side / height)))
    # Patches of 14 are no power of two.
    exact = side % height == 0 and -(-side // power) != height
    return side // height if exact else power


def _blocks(places: list[Place], reduction: int) -> Iterator[Level]:
    for place in places:
        tensor = place.node.output
        if "block" in place.node.sites and isinstance(tensor, TensorSpec) and tensor.channels is not None:
            yield Level(place.node.path, tensor.channels, reduction)


def names_of_levels(found: list[Level]) -> Mapping[str, str]:
    """Names for levels as outputs, with their paths: c3 halves the input three times; else the path itself."""
    powers = [level.reduction.bit_length() - 1 for level in found]
    exact = all(1 << power == level.reduction for power, level in zip(powers, found, strict=True))
    if exact and len(set(powers)) == len(powers):
        return {f"c{power}": level.path for power, level in zip(powers, found, strict=True)}
    return {level.path.replace(".", "_"): level.path for level in found}
