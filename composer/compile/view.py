"""A view of a network: other outputs, computed by the same module objects."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from composer.compile.chain import RUN_ALL
from composer.compile.derived import keeps_forward
from composer.compile.emit import class_of_root
from composer.compile.hosted import view_of
from composer.compile.hosted_module import as_network
from composer.compile.links import Link, Links, replaced
from composer.compile.module import ComposedModule
from composer.compile.origin import Composed
from composer.compile.parts import modules
from composer.compile.plan import class_of_scope
from composer.dag.composition import Composition
from composer.dag.host import HostScope
from composer.dag.scope import Node, Scope
from composer.torch_private import children, parameters, twin


def view(model: ComposedModule, part: Composition) -> ComposedModule:
    """A network with the outputs of `part`, made of the modules that `model` has now.

    part  the graph of `model` with other outputs

    Where a tensor is passed outward, the scope is an object of its own with another forward, over the same children,
    parameters and hooks. Raises InputError if a module around the outputs was replaced by hand.
    """
    if isinstance(part.root, HostScope):
        network = as_network(view_of(model, part.root))
        network.composed = Composed(part, model.seed)
        return network
    viewing = _Viewing(model)
    root = viewing.scope(class_of_root(part.root), part.root, model.composed.graph.root, model, "")
    assert isinstance(root, ComposedModule)
    root.composed, root.links = Composed(part, model.seed), viewing.links
    viewing.links.follow()
    return root


@dataclass
class _Viewing:
    model: ComposedModule
    links: Links = field(default_factory=Links)

    def scope(self, made: type[nn.Module], scope: Scope, like: Scope, live: nn.Module, path: str) -> nn.Module:
        """The view's object for a scope; `live` is the network's module for `like`, the same scope in its graph."""
        self.check(like, live, path)
        result = twin(made, live)
        needed = modules(scope)
        for name, node in needed.items():
            children(result)[name] = self.child(node, like.parts[name], live)
        own = parameters(live)
        parameters(result).update((name, own[name]) for name in scope.parts if name in own)
        left_out = frozenset(modules(like)) - frozenset(needed)
        given = {**children(result), **parameters(result)}
        self.links.links.append(Link(result, live, path, made, self.composed(path), tuple(needed), left_out, given))
        return result

    def composed(self, path: str) -> type[nn.Module]:
        """The class with which the module of a scope was made."""
        if path:
            return self.model.composed.classes[path]
        return next(one for one in type(self.model).__mro__ if "code" in one.__dict__)

    def child(self, node: Node, like: Node, live: nn.Module) -> nn.Module:
        found = children(live).get(node.name)
        if found is None:
            raise replaced(node.path, found)
        if isinstance(node.content, Scope) and isinstance(like.content, Scope) and differ(node.content, like.content):
            return self.scope(class_of_scope(node.content), node.content, like.content, found, node.path)
        return found

    def check(self, like: Scope, live: nn.Module, path: str) -> None:
        """Raises InputError if a module's forward is not the composed one: its inner values are unknown."""
        composed = self.composed(path)
        if not keeps_forward(type(live), composed) or "forward" in live.__dict__:
            raise replaced(path or "forward", live)
        wanted = list(modules(like))
        if composed in RUN_ALL and list(children(live)) != wanted:
            odd = next(iter(set(children(live)) ^ set(wanted)), wanted[0])
            raise replaced(f"{path}.{odd}", children(live).get(odd))


def differ(scope: Scope, like: Scope) -> bool:
    """Whether a scope has other outputs or other nodes than another scope, also inside."""
    return (
        scope.outputs.keys() != like.outputs.keys()
        or scope.nodes.keys() != like.nodes.keys()
        or any(_differ_inside(node, like.parts[name]) for name, node in scope.parts.items())
    )


def _differ_inside(node: Node, like: Node) -> bool:
    return isinstance(node.content, Scope) and isinstance(like.content, Scope) and differ(node.content, like.content)
