"""The sites of a backbone of the zoo beside those of timm's network of the same name, as it was recorded."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import timm
import torch

import composer
from composer.dag.host import HostScope
from composer.dag.levels import end_of_features
from composer.dag.rules.places import Place, Places
from composer.dag.rules.spot import as_stem
from composer.dag.scope import Node, Scope
from composer.hosts.recognised.sites import recognised
from composer.hosts.recording.record import record
from composer.spec import zoo

SITES = ("stem", "stage", "block", "branch", "shortcut", "spatial_conv", "mixer", "mlp", "head")
# timm's Twins keeps the parts of all stages in lists of their own.
_TWINS = ((r"^patch_embeds\.(\d+)", r"stages.\1.patch_embed"), (r"^blocks\.(\d+)", r"stages.\1"))


def shared_names() -> list[str]:
    """The backbones that timm has by the same name."""
    known = {*timm.list_models()}
    return [name for name in zoo.backbones() if name in known]


def host(name: str, **options: object) -> HostScope:
    """timm's network with its sites, with a classifier."""
    with torch.device("meta"):
        model = timm.create_model(name, **{"num_classes": 1000, **options})
    size = model.default_cfg["input_size"]
    return recognised(record(model, (torch.empty(2, *size, device="meta"),)))[0]


def _tagged(places: Places, site: str) -> list[Place]:
    """The places of a site; of shortcuts, those with weights: others are functions, or the input as it is."""
    found = [place for place in places if site in place.node.sites]
    return [place for place in found if site != "shortcut" or _has_weights(place.node)]


def _has_weights(node: Node) -> bool:
    return node.content is not None and node.content.num_parameters > 0


def _path(place: Place, name: str) -> str:
    path = place.node.path
    if name.startswith("twins"):
        for pattern, known in _TWINS:
            path = re.sub(pattern, known, path)
    return path


def disagreements(name: str, peer: HostScope) -> Iterator[str]:
    """What differs in the places of each site: how many, in which blocks, and the paths of modules with weights."""
    root = composer.graph(name, vars={"num_classes": 1000}).root
    ours, theirs = Places.of(root), Places.of(peer)
    for site in SITES:
        one, other = _tagged(ours, site), _tagged(theirs, site)
        if len(one) != len(other):
            yield f"{site}: {len(one)} in the zoo, {len(other)} of timm"
            continue
        for mine, its in zip(one, other, strict=True):
            found, wanted = ((place.stage, place.block, place.block_index) for place in (mine, its))
            if found != wanted:
                yield f"{site}: {mine.node.path} has stage, block and index {found}, {its.node.path} of timm {wanted}"
                break
            paths = mine.node.path, _path(its, name)
            if not (_has_weights(mine.node) and _has_weights(its.node)):
                # Names of functions, and of what composer adds, are free.
                paths = paths[0].rpartition(".")[0], paths[1].rpartition(".")[0]
            if paths[0] != paths[1]:
                yield f"{site}: {mine.node.path} in the zoo, {its.node.path} of timm"
                break
    ends = end_of_features(root), end_of_features(peer)
    sizes = [None if end is None or end.result is None else math.prod(end.result.shape) for end in ends]
    if sizes[0] != sizes[1]:
        yield f"features: {sizes[0]} numbers in the zoo, {sizes[1]} of timm"


def names_of_insertions(root: Places, site: str) -> list[str]:
    """What the names of nodes begin with that a rule puts after the places of a site."""
    found = []
    for place in _tagged(root, site):
        alone = "branch" in place.node.sites and place.scope.untouched.has_one_branch
        inside = isinstance(place.node.content, Scope)
        found.append("" if alone else "out" if inside else as_stem(place.node.name))
    return found
