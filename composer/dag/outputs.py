"""Outputs by path: a network can return the output of any node, and leaves out the nodes that no output needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from composer.dag.order import node_of
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic, GraphError, did_you_mean, one_of
from composer.spec.model import LEVELS
from composer.spec.origin import Origin
from composer.spec.spec import Spec


def take_outputs(root: Scope, backbone: Scope, spec: Spec, *, whole: bool = False) -> Scope:
    """The network with the spec's outputs, each the path of a node, such as `blocks.4.0.bn3`.

    The paths that nodes take as inputs are followed as well. Nodes that rules put after the node of a path belong to
    it. Nodes that no output needs are left out, unless the `whole` network is wanted. Raises GraphError for paths that
    lead nowhere.
    """
    root = replace(_with_paths_followed(root), named=spec.names_outputs, training=spec.training_outputs)
    # Only a recording knows the outputs of a model of another library.
    own = spec.own_outputs or root.outputs
    wanted = own if spec.outputs is None else spec.outputs
    plain = [name for name, path in own.items() if "." not in path and name in root.outputs]
    kept = {name: root.outputs[name] for name in plain} if wanted == own else {}
    inputs = dict(_paths_of_inputs(root))
    if kept.keys() == root.outputs.keys() == wanted.keys() and not inputs and (whole or not spec.leaves_out):
        return root
    origin = spec.outputs_origin
    paths: dict[Any, Way] = {
        name: Way(path, (origin / name).written) for name, path in wanted.items() if name not in kept
    }
    # Rules may remove nodes of the backbone, and add nodes of their own.
    lost = (path for path in paths.values() if _dead_end(backbone, path))
    GraphError.check(problem for path in lost if (problem := _dead_end(root, path)))
    exposed, references = expose(root, paths | inputs)
    outputs = {name: kept.get(name) or references[name] for name in wanted}
    found = replace(exposed, nodes=_with_inputs(exposed, inputs, references), outputs=outputs)
    return found if whole else prune(found, outputs)


def _paths_of_inputs(root: Scope) -> Iterator[tuple[tuple[str, int], Way]]:
    """(node, number of its input) -> the path into another node that it takes."""
    for name, node in root.nodes.items():
        for index, reference in enumerate(node.inputs):
            if _leads_inside(root, reference):
                yield (name, index), Way(reference, node.origin / "from", is_input=True)


def _with_paths_followed(scope: Scope) -> Scope:
    """The scope with the paths that nodes inside inner scopes take, and that are outputs of inner scopes, followed."""
    nodes = dict(scope.nodes)
    for name, node in scope.nodes.items():
        if isinstance(node.content, Scope):
            inner = _with_paths_followed(node.content)
            inputs = dict(_paths_of_inputs(inner))
            outputs = {key: Way(one, node.origin) for key, one in inner.outputs.items() if _leads_inside(inner, one)}
            if inputs or outputs:
                exposed, references = expose(inner, inputs | outputs)
                followed = {**exposed.outputs, **{key: references[key] for key in outputs}}
                inner = replace(exposed, nodes=_with_inputs(exposed, inputs, references), outputs=followed)
            nodes[name] = node if inner is node.content else replace(node, content=inner)
    return replace(scope, nodes=nodes) if any(nodes[name] is not node for name, node in scope.nodes.items()) else scope


def _leads_inside(scope: Scope, reference: str) -> bool:
    """Whether a reference is a path into a node, and not the node or one of its outputs."""
    first, _, rest = reference.partition(".")
    return first in scope.nodes and scope.nodes[first].leads_inside(rest)


def _with_inputs(root: Scope, ways: Mapping[Any, Way], references: Mapping[Any, str]) -> dict[str, Node]:
    """The nodes, with the references that their paths became."""
    nodes = dict(root.nodes)
    for name, index in ways:
        inputs = list(nodes[name].inputs)
        inputs[index] = references[name, index]
        nodes[name] = replace(nodes[name], inputs=tuple(inputs))
    return nodes


def dead_end(scope: Scope, path: str, origin: Origin) -> Diagnostic | None:
    """The problem with a path into a scope that a node takes; None if it leads to a single tensor."""
    return _dead_end(scope, Way(path, origin, is_input=True))


@dataclass(frozen=True)
class Way:
    """A path into a scope, how many of its steps are done, and whether it is a node's input or an output."""

    text: str
    origin: Origin
    done: int = 0
    is_input: bool = False

    @property
    def steps(self) -> list[str]:
        return self.text.split(".")[self.done :]

    @property
    def further(self) -> Way:
        return replace(self, done=self.done + 1)

    def borrowed(self, node: Node) -> Diagnostic:
        """The problem with a way into a node whose module a scope around it holds for several nodes."""
        text = f"`{node.path}` calls the module of `{node.owner}`, which passes nothing out"
        return self.unknown(text, "a node before or behind it")

    def unknown(self, message: str, label: str, help: tuple[str, ...] = ()) -> Diagnostic:
        if self.is_input:
            return self.origin.problem("unknown-node", message, label, help)
        return self.origin.problem("unknown-output", message, label, help)


def _dead_end(scope: Scope, path: Way) -> Diagnostic | None:
    """The problem with a path; None if it leads to a single tensor."""
    first, *rest = path.steps
    node = scope.nodes.get(first)
    if node is None:
        here = f"in `{scope.path}`" if scope.path else "here"
        known = [*scope.nodes, *([] if path.is_input or path.done else [LEVELS])]
        hint = did_you_mean(first, known, f"the nodes {here} are {one_of(scope.nodes)}")
        return path.unknown(f"there is no node `{path.text}`", f"no `{first}` {here}", hint)
    if node.names_only_output(".".join(rest)):
        return None
    if rest and node.borrows:
        return path.borrowed(node)
    if rest and isinstance(node.content, Scope):
        return None if rest == [_output_of(node, rest)] else _dead_end(node.content, path.further)
    if rest:
        return path.unknown(f"there is no node `{path.text}`", f"nothing is inside `{node.path}`, a `{node.op}`")
    if node.result is not None:
        return None
    assert not isinstance(node.output, TensorSpec)
    return path.unknown(
        f"`{path.text}` has several outputs, name one", one_of(f"{path.text}.{one}" for one in node.output)
    )


def _output_of(node: Node, steps: Sequence[str]) -> str | None:
    """The output that the steps name, of a node with several; None without such an output."""
    several = () if isinstance(node.output, TensorSpec) else node.output
    return steps[0] if len(steps) == 1 and steps[0] in several else None


def expose(scope: Scope, paths: Mapping[Any, Way]) -> tuple[Scope, dict[Any, str]]:
    """The scope with outputs for all these paths into it, and a reference per path. Raises GraphError."""
    found: dict[Any, str] = {}
    deeper: dict[str, dict[Any, Way]] = {}
    for key, path in paths.items():
        first, *rest = path.steps
        node = scope.nodes.get(first)
        if node is None or (rest and not isinstance(node.content, Scope)):
            raise GraphError(path.unknown(f"a rule takes `{path.text}` out", "a node that stays"))
        if not rest or node.names_only_output(".".join(rest)):
            found[key] = scope.nodes[node.tail or first].reference
        elif output := _output_of(node, rest):
            found[key] = f"{first}.{output}"
        elif node.borrows:
            raise GraphError(path.borrowed(node))
        else:
            deeper.setdefault(first, {})[key] = path.further
    nodes = dict(scope.nodes)
    renamed: dict[str, str] = {}
    for name, inside in _together(scope, deeper).items():
        content = nodes[name].content
        assert isinstance(content, Scope)
        inner, references = expose(content, inside)
        outputs = _Outputs(dict(inner.outputs))
        named = {key: f"{name}.{outputs.name_of(reference)}" for key, reference in references.items()}
        found.update((key, named[key]) for key in deeper.get(name, ()))
        exposed = inner.exposed | (outputs.found.keys() - inner.outputs.keys())
        nodes[name] = _with_content(nodes[name], replace(inner, outputs=outputs.found, exposed=exposed))
        renamed[name] = f"{name}.{next(iter(inner.outputs))}"
    changed = replace(scope, nodes=nodes)
    rename = _renaming(changed, renamed)
    return _renamed(changed, renamed), {key: rename(reference) for key, reference in found.items()}


def _together(scope: Scope, deeper: Mapping[str, dict[Any, Way]]) -> dict[str, dict[Any, Way]]:
    """The paths into each scope, with those into other nodes that call its module: one module has the same outputs."""
    calls = {name: node.calls or name for name, node in scope.nodes.items()}
    ways: dict[str, dict[Any, Way]] = {}
    for name, inside in deeper.items():
        ways.setdefault(calls[name], {}).update(inside)
    return {name: ways[module] for name, module in calls.items() if module in ways}


@dataclass
class _Outputs:
    """The outputs of a scope while more are added."""

    found: dict[str, str]
    taken: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.taken = {reference: name for name, reference in self.found.items()}

    def name_of(self, reference: str) -> str:
        """The output with this reference's tensor; a new output if there is none."""
        if reference not in self.taken:
            name = reference.replace(".", "_")
            while name in self.found:
                name = f"{name}_"
            self.found[name], self.taken[reference] = reference, name
        return self.taken[reference]


def _with_content(node: Node, scope: Scope) -> Node:
    given = {name: scope.tensor(reference) for name, reference in scope.outputs.items()}
    return replace(node, content=scope, output=given if len(given) > 1 else next(iter(given.values())))


def _renaming(scope: Scope, references: Mapping[str, str]) -> Callable[[str], str]:
    """Replaces these references to nodes of a scope; a node with a single output is referred to by its bare name."""
    single = {name for name, node in scope.nodes.items() if isinstance(node.output, TensorSpec)}

    def rename(reference: str) -> str:
        new = references.get(reference, reference)
        return node_of(new) if node_of(new) in single else new

    return rename


def _renamed(scope: Scope, references: Mapping[str, str]) -> Scope:
    """The scope with these references replaced everywhere in it."""
    rename = _renaming(scope, references)
    nodes = {
        name: replace(
            node, inputs=tuple(map(rename, node.inputs)), tail=node.tail if node.tail in scope.nodes else None
        )
        for name, node in scope.nodes.items()
    }
    outputs = {name: rename(reference) for name, reference in scope.outputs.items()}
    return replace(scope, nodes=nodes, outputs=outputs, attention=scope.attention and rename(scope.attention))


def prune(scope: Scope, wanted: Collection[str]) -> Scope:
    """The scope with only the wanted outputs, the nodes that they need, and the modules that those call."""
    outputs = {name: reference for name, reference in scope.outputs.items() if name in wanted}
    # Attention values are read beside the result, not beside a tensor inside that is all that is wanted.
    attention = scope.attention if set(scope.main_outputs) <= outputs.keys() else None
    needed = _needed(scope, [*outputs.values(), *([attention] if attention else [])])
    # One module is called by all, so they have the same outputs.
    keys: dict[str, set[str]] = {}
    for node, mine in needed.values():
        keys.setdefault(node.calls or node.name, set()).update(mine)
    kept = {name: _pruned(node, keys[node.calls or name]) for name, (node, _) in reversed(needed.items())}
    lent = {owner for node in kept.values() for owner in _owners(node)} if scope.held else ()
    held: dict[str, Node] = {}
    for name, node in scope.parts.items():
        if name in keys and name not in kept:
            held[name] = _pruned(node, keys[name])
        elif name in scope.held and node.path in lent:
            held[name] = node
    return _renamed(replace(scope, nodes=kept, outputs=outputs, held=held, attention=attention), {})


def up_to(scope: Scope, reference: str) -> Scope:
    """The scope with the nodes that a reference needs; inner scopes stay as they are."""
    needed = _needed(scope, [reference])
    return replace(scope, nodes={name: node for name, node in scope.nodes.items() if name in needed})


def in_eval(root: Scope) -> Scope:
    """The network as it runs in eval: without outputs that only training has, and the nodes that only those need."""
    if not root.training:
        return root
    outputs = {name: reference for name, reference in root.outputs.items() if name not in root.training}
    needed = prune(root, outputs).parts
    # Scopes pass outward the same tensors as in training: their modules are the same.
    nodes = {name: node for name, node in root.nodes.items() if name in needed}
    return replace(root, outputs=outputs, nodes=nodes, training=frozenset())


def _needed(scope: Scope, references: Collection[str]) -> dict[str, tuple[Node, Collection[str]]]:
    """The nodes that the references need, each with the outputs that are needed; the last node first."""
    used: set[Any] = set(references)
    found: dict[str, tuple[Node, Collection[str]]] = {}
    for name, node in reversed(list(scope.nodes.items())):
        mine = {reference for reference in used if node_of(reference) == name}
        if not mine:
            continue
        used.update(node.inputs)
        everything = node.content.outputs if isinstance(node.content, Scope) else ()
        found[name] = node, everything if name in mine else {reference.partition(".")[2] for reference in mine}
    return found


def _owners(node: Node) -> Iterator[str]:
    """Paths of the nodes whose modules a node calls, or a node inside."""
    for one in (node, *node.content.walk()) if isinstance(node.content, Scope) else (node,):
        yield from one.shares.values()


def _pruned(node: Node, wanted: Collection[str]) -> Node:
    return _with_content(node, prune(node.content, wanted)) if isinstance(node.content, Scope) else node
