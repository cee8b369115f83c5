"""Mechanisms of a rule that are one for several places, or have a child that is: who owns it, where, and its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from composer.dag.infer import Inference, Misfit
from composer.dag.names import RESERVED
from composer.dag.nodes.moving import moved
from composer.dag.nodes.sharing import called
from composer.dag.operation import Operation
from composer.dag.rules.match import selected
from composer.dag.rules.places import Place, Places
from composer.dag.rules.spot import goes_inside, spot_of
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.errors import Mistakes, one_of
from composer.registry import ModuleEntry
from composer.spec.model import Rule
from composer.spec.origin import Origin
from composer.spec.sites import STAGE


@dataclass
class Owner:
    """A module that several mechanisms call: the path of the scope that holds it, its name there, and its node.

    node    None until the rule has made the first mechanism that calls it
    first   the path of that mechanism
    inputs  its input tensors
    """

    scope: str
    name: str
    node: Node | None = None
    first: str = ""
    inputs: Sequence[TensorSpec] = ()

    @property
    def path(self) -> str:
        return f"{self.scope}.{self.name}" if self.scope else self.name


# A child of a mechanism, "" for all of it, and the number of a stage, None for the whole network.
_Key = tuple[str, int | None]


@dataclass
class Lending:
    """What the mechanisms of a rule share. Names and scopes of owners follow from the network and the places alone."""

    rule: Rule
    origin: Origin
    infer: Inference
    stages: Mapping[str, int | None] = field(default_factory=dict)
    owners: dict[_Key, Owner] = field(default_factory=dict)

    @classmethod
    def of(cls, rule: Rule, origin: Origin, infer: Inference, root: Scope) -> Lending:
        """The owners for all places that the rule selects, whatever its condition."""
        if not rule.shared:
            return cls(rule, origin, infer)
        places = Places.of(root)
        chosen = selected(rule, origin, root)
        found = cls(rule, origin, infer, {place.node.path: place.stage for place in chosen})
        for child, extent in rule.shared.items():
            for place in chosen:
                stage = place.stage if extent == "stage" else None
                outside = extent == "stage" and stage is None
                if not outside and (child, stage) not in found.owners:
                    path = _around(places, stage) if stage is not None else ""
                    if rule.position == "replace" and rule.start is None and path in found.stages:
                        # A stage that is replaced holds nothing.
                        path = path.rpartition(".")[0]
                    scope = _scope(root, path)
                    found.owners[child, stage] = Owner(scope.path, found.name(child, place, scope))
        return found

    def name(self, child: str, first: Place, holder: Scope) -> str:
        """The name of an owner: that of the mechanism at the first place, `shared_cbam`, and of its child."""
        inside = first.node.content if goes_inside(first.node, first.scope, self.rule) else None
        around = inside if isinstance(inside, Scope) else first.scope
        own = spot_of(first.node, around, self.rule, 0).name(self.rule.name or self.rule.use or "")
        wanted = "_".join(["shared", own, *(child.split(".") if child else ())])
        others = (owner.name for owner in self.owners.values() if owner.scope == holder.path)
        taken = {*holder.parts, *holder.untouched.parts, *holder.inputs, *others}
        name, number = wanted, 1
        while name in taken or name in RESERVED:
            number += 1
            name = f"{wanted}_{number}"
        return name

    def share(self, node: Node, host: Node, inputs: Sequence[TensorSpec]) -> Node:
        """A mechanism at a host that calls what it shares. Raises Mistakes."""
        for child, extent in self.rule.shared.items():
            stage = self.stages[host.path] if extent == "stage" else None
            if extent == "stage" and stage is None:
                raise self.wrong(f"`{host.path}` is in no stage", "`all`: one for all places", node, key=child)
            owner = self.owners[child, stage]
            node = self.part(node, child, owner) if child else self.whole(node, owner, inputs)
        return node

    def whole(self, node: Node, owner: Owner, inputs: Sequence[TensorSpec]) -> Node:
        """A mechanism, or a node inside one that is a block, that is one with others."""
        if not isinstance(node.content, Scope) and not isinstance(node.entry, ModuleEntry):
            raise self.wrong(f"`{node.op}` has no module that could be shared", "a mechanism with weights", node)
        if owner.node is None:
            owner.node = replace(moved(node, owner.path), name=owner.name, inputs=(), bound=())
            owner.first, owner.inputs = node.path, inputs
        for name, mine, theirs in _unlike(node, owner.node):
            text = f"`{name}` is {mine} at `{node.path}`, {theirs} at `{owner.first}`"
            raise self.wrong(text, "one mechanism, with one value of each option", node)
        try:
            again = called(owner.node, node, inputs, self.infer)
        except Misfit as misfit:
            wanted, found = (" and ".join(map(str, some)) for some in (owner.inputs, inputs))
            text = f"the mechanism of `{owner.first}` takes {wanted}, found {found} at `{node.path}`"
            raise self.wrong(text, "places that fit the same weights", node, f"it says: {misfit}") from misfit
        return replace(again, shares={"": owner.path})

    def part(self, node: Node, child: str, owner: Owner) -> Node:
        """A mechanism with a child that is one with those of others."""
        if isinstance(node.content, Scope):
            return replace(node, content=self.inside(node.content, child, child.split("."), owner, node))
        operation = node.content
        assert isinstance(operation, Operation), "a mechanism computes something"
        with torch.device("meta"):
            made = operation.make()
            module = _child(made, child)
        if module is None:
            known = [name for name, _ in made.named_children()] if isinstance(made, nn.Module) else []
            raise self.no_child(node, child, known)
        count = sum(one.numel() for one in module.parameters())
        if owner.node is None:
            part = replace(operation, num_parameters=count, part=child)
            owner.node = replace(node, name=owner.name, path=owner.path, inputs=(), bound=(), shares={}, content=part)
            owner.first = node.path
        assert isinstance(owner.node.content, Operation)
        with torch.device("meta"):
            theirs = owner.node.content.make()
        if difference := _difference(module, theirs):
            text = f"`{child}` of `{node.path}` {difference[0]}, that of `{owner.first}` {difference[1]}"
            raise self.wrong(text, "the same shape everywhere", node, key=child)
        less = replace(operation, num_parameters=operation.num_parameters - count)
        return replace(node, content=less, shares={**node.shares, child: owner.path})

    def inside(self, scope: Scope, child: str, names: Sequence[str], owner: Owner, node: Node) -> Scope:
        """The scope of a mechanism that is a block, with the node of these names one with those of others."""
        first, *rest = names
        inner = scope.nodes.get(first)
        if inner is None or inner.content is None or (rest and not isinstance(inner.content, Scope)):
            raise self.no_child(node, child, [name for name, one in scope.nodes.items() if one.content is not None])
        if isinstance(inner.content, Scope) and rest:
            inner = replace(inner, content=self.inside(inner.content, child, rest, owner, node))
        else:
            inner = self.whole(inner, owner, [scope.tensor(one) for one in inner.inputs])
        return replace(scope, nodes={**scope.nodes, first: inner})

    def no_child(self, node: Node, child: str, known: Sequence[str]) -> Mistakes:
        label = one_of(known) if known else "`share: stage` or `share: all`"
        return self.wrong(f"`{node.op}` has no child `{child}`", label, node, key=child)

    def held(self, scope: str) -> dict[str, Node]:
        """The nodes that a scope holds for this rule, by name."""
        found = (owner for owner in self.owners.values() if owner.scope == scope)
        return {owner.name: owner.node for owner in found if owner.node is not None}

    def wrong(self, text: str, label: str, node: Node, *help: str, key: str = "") -> Mistakes:
        here = self.origin / "share" / key if key else self.origin / "share"
        return Mistakes(here.problem("share", text, label, help, key=bool(key), path=node.path))


def _around(places: Sequence[Place], stage: int) -> str:
    """The path of the smallest scope that holds a whole stage: its own module, or the scope of all its nodes."""
    around = None
    for place in places:
        if place.stage != stage:
            continue
        own = STAGE in place.node.sites and isinstance(place.node.content, Scope) and not place.ends_stage
        path = (place.node.path if own else place.scope.path).split(".")
        around = path if around is None else [one for one, other in _pairs(around, path)]
    return ".".join(around or [])


def _pairs(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The names that two paths begin with alike."""
    for pair in zip(one, other, strict=False):
        if pair[0] != pair[1]:
            return
        yield pair


def _scope(root: Scope, path: str) -> Scope:
    scope = root
    for name in path.split(".") if path else ():
        inner = scope.nodes[name].content
        assert isinstance(inner, Scope)
        scope = inner
    return scope


def _unlike(node: Node, other: Node) -> Iterator[tuple[str, Any, Any]]:
    """The options that differ between two nodes, or the nodes inside, each with both values."""
    if isinstance(node.content, Scope) and isinstance(other.content, Scope):
        mine, theirs = node.content.nodes, other.content.nodes
        if mine.keys() != theirs.keys():
            yield "nodes", ", ".join(mine), ", ".join(theirs)
            return
        for name, one in mine.items():
            yield from _unlike(one, theirs[name])
    elif node.op != other.op:
        yield node.name, node.op, other.op
    elif isinstance(node.content, Operation) and isinstance(other.content, Operation):
        ours, others = node.content.options, other.content.options
        for name in dict.fromkeys((*ours, *others)):
            if ours.get(name) != others.get(name):
                yield name, ours.get(name), others.get(name)


def _child(module: Any, path: str) -> nn.Module | None:
    try:
        return module.get_submodule(path) if isinstance(module, nn.Module) else None
    except AttributeError:
        return None


def _difference(one: nn.Module, other: nn.Module) -> tuple[str, str] | None:
    """What sets two modules apart, in words for each; None if they are alike."""
    ours, theirs = (
        {name: "×".join(map(str, tensor.shape)) for name, tensor in module.state_dict().items()}
        for module in (one, other)
    )
    for name in dict.fromkeys((*ours, *theirs)):
        if ours.get(name) != theirs.get(name):
            return f"has {name} {ours.get(name)}", f"{theirs.get(name)}"
    return None if repr(one) == repr(other) else (f"is {one}", f"{other}")
