"""The blocks of a recorded network: what it repeats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from composer.dag.host import HostScope
from composer.dag.scope import Node
from composer.hosts.recognised.residual import Residuals

_NUMBERED = re.compile(r"\d+[a-z]?$")
# Where residual modules stand that no paper counts as blocks.
_BESIDE = re.compile(r"(^|\.|_)(stem|patch_embeds?|downsample|transition)\w*(\.|$)|_stem_")
# Of single layers, fewer are not what a network repeats.
FEWEST = 3
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Group:
    """Modules of one class at paths that differ in numbers alone.

    glob   their paths, with `*` for numbers
    nodes  the modules, in running order; those called again are left out
    """

    glob: str
    kind: type[nn.Module]
    nodes: tuple[Node, ...]

    @property
    def scopes(self) -> Iterator[HostScope]:
        """Their insides."""
        for node in self.nodes:
            assert isinstance(node.content, HostScope)
            yield node.content


@dataclass(frozen=True)
class Blocks:
    """The blocks that were found, and why they are taken for blocks."""

    groups: tuple[Group, ...]
    why: str

    @property
    def nodes(self) -> list[Node]:
        """All blocks."""
        return [node for group in self.groups for node in group.nodes]


def masked(path: str) -> str:
    """A path with `*` for each number."""
    return re.sub(r"\d+", "*", path)


def groups_of(root: HostScope) -> list[Group]:
    """All modules that hold others, by class and path, outer ones first."""
    found: dict[tuple[str, type[nn.Module]], list[Node]] = {}
    for node in root.walk():
        if isinstance(node.content, HostScope) and node.owns:
            found.setdefault((masked(node.path), node.content.module), []).append(node)
    return [Group(glob, kind, tuple(nodes)) for (glob, kind), nodes in found.items()]


def blocks_of(groups: Sequence[Group], residuals: Residuals) -> Blocks:
    """The outermost numbered modules with residual adds; without any, the outermost numbered modules of several layers.

    A module that only wraps a residual add around another, beside others that do, is a part of its block.
    """
    numbered = list(filter(_is_numbered, groups))
    found = outermost([group for group in numbered if _is_residual(group, residuals)])
    # A residual around a single layer is none beside larger ones, such as a position encoding between blocks.
    deep = {group.glob for group in found if _is_deep(group, residuals)}
    found = [group for group in found if group.glob in deep] or found
    why = "numbered, each adds to its own input"
    if not found:
        found = outermost([group for group in numbered if _is_deep(group, residuals)])
        why = "numbered, of several layers; nothing adds to its own input"
    return Blocks((*found, *_siblings(found, numbered, residuals)), why)


def single_layers_of(groups: Sequence[Group], residuals: Residuals) -> Blocks:
    """The outermost numbered modules of one layer with what follows it, such as a norm; none if there are fewer than 3.

    For a network that has no blocks of several layers: MobileNetV1 of transformers lists its convolutions.
    """
    numbered = [group for group in groups if _is_numbered(group) and len(group.nodes) >= FEWEST]
    found = outermost([group for group in numbered if all(residuals.weighs(node) == 1 for node in group.nodes)])
    return Blocks(tuple(found), "numbered, of one layer each, since no module has several")


def outermost(groups: Sequence[Group]) -> list[Group]:
    """The groups without those inside others."""
    around = [f"{node.path}." for group in groups for node in group.nodes]
    starts = tuple(around)
    return [group for group in groups if not all(node.path.startswith(starts) for node in group.nodes)]


def _siblings(found: Sequence[Group], numbered: Sequence[Group], residuals: Residuals) -> Iterator[Group]:
    """Other classes at the same paths, of several layers, that hold no blocks: such as the first block of a stage."""
    globs = {group.glob for group in found}
    paths = [node.path for group in found for node in group.nodes]
    for group in numbered:
        if group.glob in globs and group not in found and _is_deep(group, residuals):
            inside = tuple(f"{node.path}." for node in group.nodes)
            if not any(path.startswith(inside) for path in paths):
                yield group


def _is_numbered(group: Group) -> bool:
    own = _NUMBERED.search(group.glob.replace("*", "0")) and not issubclass(group.kind, _CONTAINERS)
    return bool(own) and not _BESIDE.search(group.glob)


def _is_deep(group: Group, residuals: Residuals) -> bool:
    return all(residuals.weighs(node) > 1 for node in group.nodes)


def keeps_shape(node: Node) -> bool:
    """Whether a module gives a tensor of the shape that it gets."""
    content = node.content
    assert isinstance(content, HostScope)
    given = next(iter(content.inputs.values()), None)
    return given is not None and node.result is not None and given.shape == node.result.shape


def _is_residual(group: Group, residuals: Residuals) -> bool:
    """Whether at least half of those that keep the shape (of all, if none does) hold residual adds around layers.

    So does a module whose own parts do, if most of them keep the shape.
    """
    if not all(residuals.weighs(node) for node in group.nodes):
        return False
    keeping = [node for node in group.nodes if keeps_shape(node)]
    asked = keeping or group.nodes
    if 2 * sum(bool(residuals.of(_inside(node))) for node in asked) >= len(asked):
        return True
    return 2 * len(keeping) > len(group.nodes) and 2 * sum(
        _has_residual_part(node, residuals) for node in keeping
    ) >= len(keeping)


def _has_residual_part(node: Node, residuals: Residuals) -> bool:
    return any(
        residuals.of(part.content) for part in _inside(node).nodes.values() if isinstance(part.content, HostScope)
    )


def _inside(node: Node) -> HostScope:
    assert isinstance(node.content, HostScope)
    return node.content


def globs(paths: Iterable[str]) -> Mapping[str, int]:
    """The paths with `*` for numbers -> how many there are."""
    found: dict[str, int] = {}
    for path in paths:
        found[masked(path)] = found.get(masked(path), 0) + 1
    return found
