"""Groups of parameters in training: layers for layer decay, and parameters without weight decay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from composer.dag.levels import end_of_features
from composer.dag.scope import Node, Scope
from composer.registry import ParameterEntry
from composer.spec.sites import BLOCK, HEAD, STAGE

# Tables of positions that are parameters of a module, not nodes. timm exempts them too.
_TABLES = ("relative_position_bias_table",)


def block_nodes(root: Scope) -> list[Node]:
    """The nodes that are one after another in training: the blocks, or the stages of a network without; may be none."""
    site = next((site for site in (BLOCK, STAGE) if any(site in node.sites for node in root.walk())), None)
    return [node for node in root.walk() if site in node.sites and isinstance(node.content, Scope)]


def group_matcher(root: Scope, coarse: bool) -> dict[str, Any]:
    """Patterns of parameter names in timm's form: `stem`, then a group per block, or per stage with `coarse`.

    Nodes between two blocks belong to the second, nodes after the last block to the last. Nodes after the features
    belong to no group: timm makes them the last group.
    """
    end = end_of_features(root)
    names = list(root.nodes)
    behind = set(names[names.index(end.tail or end.name) + 1 :]) if end is not None else set()
    site = STAGE if coarse and any(STAGE in node.sites for node in root.walk()) else BLOCK
    stem: list[str] = []
    blocks: list[tuple[str, tuple[int]]] = []
    waiting: list[str] = []
    for node in _outermost(root, site):
        if site in node.sites:
            blocks.append((_pattern([*waiting, node.path]), (len(blocks),)))
            waiting = []
        elif HEAD in node.sites or node.path.partition(".")[0] in behind:
            continue
        elif blocks:
            waiting.append(node.path)
        else:
            stem.append(node.path)
    if waiting and blocks:
        blocks.append((_pattern(waiting), blocks[-1][1]))
    return {"stem": _pattern(stem), "blocks": blocks}


def undecayed(root: Scope, names: list[str]) -> set[str]:
    """The names of parameters without weight decay: learnt tokens, positions and tables of positions.

    names  the names of all parameters of the network
    """
    found = {node.path for node in root.owners() if _is_table(node)}
    return found | {name for name in names if name.rpartition(".")[2] in _TABLES}


def _is_table(node: Node) -> bool:
    return isinstance(node.entry, ParameterEntry) and len(node.tensor.shape) > 1


def _outermost(scope: Scope, site: str) -> Iterator[Node]:
    """The nodes of a site, the classifiers, and the operations beside them, in the order in which they run."""
    for node in scope.parts.values():
        if not node.owns:
            continue
        if site in node.sites or HEAD in node.sites or not isinstance(node.content, Scope):
            if node.content is not None:
                yield node
        else:
            yield from _outermost(node.content, site)


def _pattern(paths: list[str]) -> str:
    return rf"^(?:{'|'.join(map(re.escape, paths))})(?:\.|$)" if paths else r"^$"
