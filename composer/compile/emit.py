"""Scopes -> nested modules that read like a network written by hand. Plain chains become nn.Sequential or Chain."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import nn

from composer.compile.chain import Chain
from composer.compile.classes import class_of
from composer.compile.code import class_code, root_code
from composer.compile.hosted import hosted
from composer.compile.inplace import overwriting
from composer.compile.lend import lend, with_shared
from composer.compile.parts import beside, is_chain, modules
from composer.dag.host import HostScope
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.errors import Diagnostic, GraphError
from composer.registry import ParameterEntry
from composer.seeds import seeded
from composer.shared import Shared


def emit(root: Scope, seed: int) -> nn.Module:
    """The module of a whole network. Its weights depend on the seed and each node's path."""
    if isinstance(root, HostScope):
        return hosted(root, seed, filled)
    model = filled(class_of_root(root)(), root, seed)
    lend(model, root)
    return model


def make(node: Node, seed: int) -> Any:
    """The module or parameter of a node. What it calls of other modules, `lend` tells it."""
    content = node.content
    if content is None:
        return nn.Identity()
    if not node.owns:
        return Shared()
    if isinstance(content, Operation):
        made = _made(node, content, seed)
        return with_shared(made, node.shares) if node.shares else made
    if isinstance(content, HostScope):
        return hosted(content, seed, filled)
    return filled(class_of_scope(content)(), content, seed)


def _made(node: Node, operation: Operation, seed: int) -> Any:
    made = seeded(seed, node.path, operation.make, only_ours=not operation.entry.draws)
    if isinstance(made, nn.Module):
        for name, parameter in made.named_parameters():
            if parameter.is_meta and not _all_are_meta():
                text = f"{operation.entry.words} makes `{name}` on the meta device, where it holds no numbers"
                raise GraphError(Diagnostic("plugin", text, path=node.path, label="the device that is set"))
    return made


def _all_are_meta() -> bool:
    """Whether layers are made without numbers here: under `torch.device("meta")` or a similar mode."""
    return nn.Linear(1, 1).weight.is_meta


def class_of_root(root: Scope) -> type[nn.Module]:
    """The class of a whole network."""
    return class_of(root_code(root))


def class_of_scope(scope: Scope) -> type[nn.Module]:
    """The class of a scope's module: nn.Sequential or Chain for a plain chain, otherwise a generated class."""
    if is_chain(scope):
        return Chain if beside(scope) else nn.Sequential
    return class_of(class_code(scope))


def filled(module: nn.Module, scope: Scope, seed: int) -> nn.Module:
    """The module with the scope's nodes as its children and parameters."""
    if isinstance(module, Chain):
        module.beside = beside(scope)
    for name, child in _children(scope, seed).items():
        # Not setattr, which would accept the name of a method of the class.
        (module.register_parameter if isinstance(child, nn.Parameter) else module.add_module)(name, child)
    return module


def _children(scope: Scope, seed: int) -> OrderedDict[str, Any]:
    own = modules(scope)
    kept = (node for name, node in scope.parts.items() if name in own or _is_parameter(node))
    found = OrderedDict((node.name, make(node, seed)) for node in kept)
    _overwrite(scope, found)
    return found


def _is_parameter(node: Node) -> bool:
    return isinstance(node.entry, ParameterEntry) and node.calls is None


def _overwrite(scope: Scope, modules: Mapping[str, Any]) -> None:
    for name in overwriting(scope):
        if hasattr(modules[name], "inplace"):
            modules[name].inplace = True
