"""Brings the further inputs of rules to their nodes: tensors are passed out of scopes and into others."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from composer.dag.order import circle_of, running_order
from composer.dag.outputs import Way, expose
from composer.dag.scope import Bound, Node, Scope, names_to
from composer.errors import GraphError

# The path of a node, and the number of one of its further inputs.
Key = tuple[str, int]


def wire(root: Scope) -> Scope:
    """The network whose nodes have their further inputs among `inputs`. Raises GraphError.

    A tensor from another scope becomes a further output of the scopes around it, and a further input of the scopes
    around the node that takes it: `exposed` and `brought`.
    """
    links = dict(_links(root))
    if not links:
        return root
    wired, references = _wired(root, links)
    paths = {path.rsplit(".", count)[0] for path, _ in links for count in range(1, path.count(".") + 1)}
    return _filled(wired, references, paths)


@dataclass(frozen=True)
class _Link:
    """A tensor and the node that takes it: names of the scopes from here down to each."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    bound: Bound
    node: Node

    @property
    def user(self) -> str:
        """The node of this scope that takes the tensor, or holds the node that takes it."""
        return self.target[0] if self.target else self.node.name

    @property
    def further(self) -> _Link:
        return replace(self, source=self.source[1:], target=self.target[1:])


def _links(root: Scope) -> Iterator[tuple[Key, _Link]]:
    for node in root.walk():
        target = names_to(root, node.path)[:-1] if node.bound else ()
        for index, bound in enumerate(node.bound):
            source = names_to(root, bound.scope) if bound.scope else ()
            scopes = _scopes(root, source, bound)
            # Only the scopes inside know an input of their own; outside it is the tensor that the scope is given.
            while bound.reference in scopes[-1].inputs and target[: len(source)] != source:
                inner = scopes.pop()
                given = scopes[-1].nodes[source[-1]].inputs[list(inner.inputs).index(bound.reference)]
                source, bound = source[:-1], replace(bound, scope=scopes[-1].path, reference=given)
            yield (node.path, index), _Link(source, target, bound, node)


def _scopes(root: Scope, names: Sequence[str], bound: Bound) -> list[Scope]:
    """The network, and each scope on the way down these names. Raises GraphError if a later rule took one out."""
    found = [root]
    for name in names:
        node = found[-1].nodes.get(name)
        if node is None or not isinstance(node.content, Scope):
            text = f"a rule takes `{bound.scope}.{bound.reference}` out"
            raise GraphError(bound.origin.problem("unknown-node", text, "a node that stays"))
        found.append(node.content)
    return found


def _wired(scope: Scope, links: Mapping[Key, _Link]) -> tuple[Scope, dict[Key, str]]:
    """The scope with all ways for these links, and for each the reference by which its node knows the tensor."""
    inner: dict[str, dict[Key, _Link]] = {}
    here: dict[Key, _Link] = {}
    for key, link in links.items():
        if link.source and link.target and link.source[0] == link.target[0]:
            inner.setdefault(link.source[0], {})[key] = link.further
        else:
            here[key] = link
    nodes = dict(scope.nodes)
    references: dict[Key, str] = {}
    for name, some in inner.items():
        content = nodes[name].content
        assert isinstance(content, Scope)
        wired, found = _wired(content, some)
        nodes[name] = replace(nodes[name], content=wired)
        references |= found
    if not here:
        return replace(scope, nodes=nodes), references
    ways = {
        key: Way(".".join((*link.source, link.bound.reference)), link.bound.origin, is_input=True)
        for key, link in here.items()
        if link.source or link.bound.reference not in scope.inputs
    }
    exposed, outside = expose(replace(scope, nodes=nodes), ways)
    outside |= {key: link.bound.reference for key, link in here.items() if key not in ways}
    brought, inside = _bring(exposed, {key: (link.target, outside[key]) for key, link in here.items()})
    return _in_order(brought, here, outside), references | inside


def _bring(scope: Scope, wanted: Mapping[Key, tuple[tuple[str, ...], str]]) -> tuple[Scope, dict[Key, str]]:
    """The scope whose inner scopes take these tensors of it, and the reference of each where its node is."""
    found: dict[Key, str] = {}
    deeper: dict[str, dict[Key, tuple[tuple[str, ...], str]]] = {}
    for key, (target, reference) in wanted.items():
        if target:
            deeper.setdefault(target[0], {})[key] = (target[1:], reference)
        else:
            found[key] = reference
    nodes = dict(scope.nodes)
    for name, some in deeper.items():
        node = nodes[name]
        content = node.content
        assert isinstance(content, Scope)
        inputs, references = dict(content.inputs), list(node.inputs)
        known = {reference: own for own, reference in zip(content.inputs, node.inputs, strict=True)}
        for _, reference in some.values():
            if reference not in known:
                known[reference] = own = _free(reference.replace(".", "_"), {*inputs, *content.nodes})
                inputs[own] = scope.tensor(reference)
                references.append(reference)
        more = content.brought | (inputs.keys() - content.inputs.keys())
        content = replace(content, inputs=inputs, brought=more)
        content, inside = _bring(content, {key: (target, known[one]) for key, (target, one) in some.items()})
        nodes[name] = replace(node, inputs=tuple(references), content=content)
        found |= inside
    return replace(scope, nodes=nodes), found


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"{name}_"
    return name


def _in_order(scope: Scope, links: Mapping[Key, _Link], references: Mapping[Key, str]) -> Scope:
    """The scope with each node after the tensors that it takes, also for these links. Raises GraphError for circles."""
    own = {name: node.inputs for name, node in scope.nodes.items()}
    taken = dict(own)
    for key, link in links.items():
        taken[link.user] = (*taken[link.user], references[key])
    if circle_of(taken):
        for key, link in links.items():
            own[link.user] = (*own[link.user], references[key])
            if circle_of(own):
                text = f"`{link.node.path}` would take `{link.bound.reference}`, which depends on it"
                label = "a tensor that does not depend on this place"
                raise GraphError(link.bound.origin.problem("cycle", text, label, path=link.node.path))
    return replace(scope, nodes={name: scope.nodes[name] for name in running_order(taken)})


def _filled(scope: Scope, references: Mapping[Key, str], paths: Container[str]) -> Scope:
    """The scope whose nodes take these references after their inputs. Such nodes are inside the scopes `paths`."""
    nodes = dict(scope.nodes)
    for name, node in scope.nodes.items():
        if isinstance(node.content, Scope) and node.path in paths:
            node = replace(node, content=_filled(node.content, references, paths))
        if node.bound:
            more = tuple(references[node.path, index] for index in range(len(node.bound)))
            node = replace(node, inputs=(*node.inputs, *more), bound=())
        nodes[name] = node
    return replace(scope, nodes=nodes)
