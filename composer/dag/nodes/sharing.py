"""Nodes that call the module of another node: the same operations with the same weights, on inputs of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from composer.amounts import plural
from composer.dag.host import HostScope
from composer.dag.infer import Inference, Misfit
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.registry import ModuleEntry


def calling(owner: Node, node: Node, inputs: Sequence[TensorSpec], infer: Inference) -> Node:
    """A node, on these inputs, that calls the module of another node of its scope. Raises Misfit.

    Its content is the owner's with the shapes of these inputs, and without parameters, because the owner has them.
    """
    name, shares = owner.calls or owner.name, {"": owner.owner}
    return replace(called(owner, node, inputs, infer), calls=name, shares=shares)


def called(owner: Node, node: Node, inputs: Sequence[TensorSpec], infer: Inference) -> Node:
    """The node with the content and output of a call of the owner's module. Raises Misfit."""
    content = owner.content
    if isinstance(content, Scope):
        if len(inputs) != len(content.inputs):
            raise Misfit(f"takes {plural(len(content.inputs), 'input')}, found {len(inputs)}")
        again = _Again(content.path, node.path, infer).scope(content, node.path, inputs)
        given = {name: again.tensor(reference) for name, reference in again.outputs.items()}
        return replace(node, content=again, output=given if len(given) > 1 else next(iter(given.values())))
    assert isinstance(content, Operation), "a node without content has no module"
    return _of_operation(node, content, inputs, infer)


def _of_operation(node: Node, content: Operation, inputs: Sequence[TensorSpec], infer: Inference) -> Node:
    inferred = infer(content.entry, content.arguments, inputs)
    _check_facts(content, inputs)
    return replace(node, content=replace(content, num_parameters=0), output=inferred.output)


def does_not_fit(
    owner: Node, wanted: Sequence[TensorSpec], found: Sequence[TensorSpec], misfit: Misfit
) -> tuple[str, str, tuple[str, ...]]:
    """Message, label and help for a node whose inputs the owner's module cannot take."""
    ours, theirs = (" and ".join(map(str, some)) or "no input" for some in (wanted, found))
    text = f"the module of `{owner.name}` takes {ours}, found {theirs}"
    return text, "inputs that fit the same weights", (f"it says: {misfit}",)


def in_words(shares: Mapping[str, str]) -> list[str]:
    """For each child of a node's module, "" for all of it, whose module is called there."""
    return [f"{child}{' ' * bool(child)}shares {owner}" for child, owner in shares.items()]


def followed_elsewhere(root: Scope, before: Scope, infer: Inference) -> Scope:
    """The network with nodes that call a module of another scope changed as a rule changed that one. Raises Misfit.

    before  the network before the rule
    """
    borrowing = {node.owner for node in root.walk() if _calls_elsewhere(node)} if root.holds_recorded else ()
    if not borrowing:
        return root
    owners, old = ({one.path: one for one in scope.owners() if one.path in borrowing} for scope in (root, before))
    changed = {path: one for path, one in owners.items() if path in old and one.content is not old[path].content}
    return _with_owners(root, changed, infer) if changed else root


def _with_owners(scope: Scope, changed: Mapping[str, Node], infer: Inference) -> Scope:
    nodes = dict(scope.nodes)
    for name, node in scope.nodes.items():
        if _calls_elsewhere(node) and node.owner in changed:
            inputs = [scope.tensor(one) for one in node.inputs]
            nodes[name] = replace(called(changed[node.owner], node, inputs, infer), shares=node.shares)
        elif isinstance(node.content, Scope):
            inside = _with_owners(node.content, changed, infer)
            nodes[name] = node if inside is node.content else replace(node, content=inside)
    return scope if nodes == scope.nodes else replace(scope, nodes=nodes)


def _calls_elsewhere(node: Node) -> bool:
    """Whether a recorded node calls a module that the forward of another module called before."""
    return isinstance(node.content, HostScope) and not node.owns and node.calls is None


@dataclass(frozen=True)
class _Again:
    """Repeats the scopes of a block that is called again: `old` is the path of the block, `new` that of the call."""

    old: str
    new: str
    infer: Inference

    def scope(self, scope: Scope, path: str, inputs: Sequence[TensorSpec]) -> Scope:
        """A scope of the block, on other inputs. Raises Misfit."""
        nodes: dict[str, Node] = {}
        again = replace(scope, path=path, inputs=dict(zip(scope.inputs, inputs, strict=True)), nodes=nodes, held={})
        for name, node in scope.nodes.items():
            taken = [again.tensor(one) for one in node.inputs]
            same = taken == [scope.tensor(one) for one in node.inputs]
            nodes[name] = self.node(replace(node, path=f"{path}.{name}", shares={"": node.owner}), taken, same)
        return again

    def node(self, node: Node, inputs: Sequence[TensorSpec], same: bool) -> Node:
        """A node of the block, on other inputs, or on inputs of the same shapes."""
        if node.bound and not same:
            raise Misfit(f"`{node.owner}` takes tensors from elsewhere, so all calls must have inputs of one shape")
        bound = tuple(replace(one, scope=self.moved(one.scope)) for one in node.bound)
        if isinstance(node.content, Scope):
            # What is bound comes after the node's own inputs.
            further = list(node.content.inputs.values())[len(inputs) :] if node.bound else []
            inner = self.scope(node.content, node.path, [*inputs, *further])
            given = {name: inner.tensor(reference) for name, reference in inner.outputs.items()}
            output = given if len(given) > 1 else next(iter(given.values()))
            return replace(node, content=inner, output=output, bound=bound)
        if node.content is None:
            return replace(node, output=inputs[0], shares={})
        if same:
            return replace(node, content=replace(node.content, num_parameters=0), bound=bound)
        return _of_operation(node, node.content, inputs, self.infer)

    def moved(self, path: str) -> str:
        """The path of a scope of the block in this call; others stay."""
        inside = path == self.old or path.startswith(f"{self.old}.")
        return self.new + path.removeprefix(self.old) if inside else path


def _check_facts(operation: Operation, inputs: Sequence[TensorSpec]) -> None:
    """Raises Misfit if an operation was made for other inputs, and cannot be run here to see whether it takes these."""
    entry = operation.entry
    if not isinstance(entry, ModuleEntry) or entry.shape is None or not inputs:
        return
    for name, length in inputs[0].facts.items():
        if name in entry.facts and operation.arguments.get(name, length) != length:
            raise Misfit(f"`{entry.name}` was made for {name} {operation.arguments[name]}, found {length}")


def followed(scope: Scope, before: Scope, infer: Inference) -> Scope:
    """The scope with nodes that call a module which a rule changed changed alike. Raises Misfit.

    before  the scope before the rule
    """
    nodes = dict(scope.nodes)
    again = replace(scope, nodes=nodes)
    for node in scope.nodes.values():
        if node.calls is None:
            continue
        owner, old = again.parts.get(node.calls), before.parts.get(node.calls)
        if owner is None:
            raise Misfit(f"`{node.path}` calls the module of `{node.calls}`, which this rule takes out")
        # A node that the rule has just put there fits already.
        if node.name in before.nodes and (old is None or owner.content is not old.content):
            nodes[node.name] = calling(owner, node, [again.tensor(one) for one in node.inputs], infer)
    return again
