"""Scopes -> nested modules that read like a network written by hand. Plain chains become nn.Sequential or Chain."""

from __future__ import annotations

from typing import Any

from torch import nn

from composer.compile.chain import Chain
from composer.compile.classes import class_of
from composer.compile.code import root_code
from composer.compile.hosted import hosted
from composer.compile.lend import lend, with_shared
from composer.compile.plan import Contents, plan_of
from composer.dag.host import HostScope
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.errors import Diagnostic, GraphError
from composer.registry import Entry
from composer.seeds import Draws, seeded
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
    plan = plan_of(content)
    return _filled(plan.kind(), plan.contents, content, seed)


def _made(node: Node, operation: Operation, seed: int) -> Any:
    made = seeded(seed, node.path, operation.make, _draws(operation.entry))
    if isinstance(made, nn.Module) and not operation.entry.is_own:
        for name, parameter in made.named_parameters():
            if parameter.is_meta and not _all_are_meta():
                text = f"{operation.entry.words} makes `{name}` on the meta device, where it holds no numbers"
                raise GraphError(Diagnostic("plugin", text, path=node.path, label="the device that is set"))
    return made


def _draws(entry: Entry) -> Draws:
    """What may draw where a module of this entry is made; composer's own call functions by name."""
    return Draws.OURS if not entry.draws else Draws.NAMED if entry.is_own else Draws.ANY


def _all_are_meta() -> bool:
    """Whether layers are made without numbers here: under `torch.device("meta")` or a similar mode."""
    return nn.Linear(1, 1).weight.is_meta


def class_of_root(root: Scope) -> type[nn.Module]:
    """The class of a whole network."""
    return class_of(root_code(root))


def filled(module: nn.Module, scope: Scope, seed: int) -> nn.Module:
    """The module of a network with the scope's nodes as its children and parameters."""
    return _filled(module, Contents.of(scope), scope, seed)


def _filled(module: nn.Module, contents: Contents, scope: Scope, seed: int) -> nn.Module:
    if isinstance(module, Chain):
        module.beside = contents.beside
    parts = scope.parts
    for name in contents.children:
        child = make(parts[name], seed)
        if name in contents.overwriting and hasattr(child, "inplace"):
            child.inplace = True
        # Not setattr, which would accept the name of a method of the class.
        (module.register_parameter if isinstance(child, nn.Parameter) else module.add_module)(name, child)
    return module
