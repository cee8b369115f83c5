"""Models of other libraries as networks: made by their library, edited by rules, with nodes and outputs behind them."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from composer.compile.code import functions_called
from composer.compile.forward import method
from composer.compile.host_classes import base_of, hosted_class, text_of
from composer.compile.taps import TEXT, Tap
from composer.compile.writer import identifier
from composer.dag.host import HostOperation, HostScope, edited_part, names_inside, recorded_part
from composer.dag.scope import Node, Scope
from composer.errors import Diagnostic, GraphError
from composer.foreign import is_error
from composer.seeds import seed_of

Fill = Callable[[nn.Module, Scope, int], nn.Module]


def hosted(scope: HostScope, seed: int, fill: Fill) -> nn.Module:
    """The library's model with what rules put in, and with the nodes and outputs that a spec gives it.

    scope  a whole model, recorded and edited, at any path of a network
    fill   gives a module the nodes of a scope as its children, with weights drawn from a seed
    Raises GraphError for what cannot be inserted into it.
    """
    assert scope.library is not None, "only whole models are made"
    # The rooms that make and edit models import this one, and are imported when there is such a model.
    sources: Any = importlib.import_module("composer.sources")
    realising: Any = importlib.import_module("composer.hosts.edits.realise")
    own = seed_of(seed, scope.path) if scope.path else seed
    alone = _alone(scope)
    whole = alone if scope.whole is None else _alone(scope.whole)
    before, after = recorded_part(whole), edited_part(whole)
    assert scope.twin is not None, "a whole model has its twin"
    on_meta = torch.get_default_device().type == "meta"
    model: nn.Module = copy.deepcopy(scope.twin).train() if on_meta else sources.make(scope.library, seed=own)
    if _is_edited(before, after):
        args, kwargs = sources.example(scope.library)
        plan = realising.planned(copy.deepcopy(scope.twin), before, after, args, kwargs)
        realising.realise(model, plan, own, {}, [])
    if scope.whole is None:
        return model
    for path in _needless(whole, alone):
        model.set_submodule(path, nn.Identity())
    return _behind(model, alone, own, fill)


def _needless(whole: HostScope, scope: HostScope) -> list[str]:
    """Paths of the model's modules that no output needs, and that it runs without: classifiers, for the most part."""
    needed = {node.path for node in scope.walk()}
    paths = [node.path for node in whole.walk() if node.path not in needed and node.rule is None and _is_module(node)]
    paths = [path for path in paths if not any(path.startswith(f"{other}.") for other in paths)]
    return paths if _runs_without(whole, paths) else [path for path in paths if _runs_without(whole, [path])]


def _is_module(node: Node) -> bool:
    """Whether a node is the first call of a module of the model."""
    content = node.content
    if not isinstance(content, HostScope | HostOperation) or not node.owns:
        return False
    return content.call is not None and not content.call.function


def _runs_without(whole: HostScope, paths: Sequence[str]) -> bool:
    """Whether the model still runs if these modules only pass on what they are given."""
    assert whole.library is not None, "only whole models are made"
    twin = copy.deepcopy(whole.twin)
    assert twin is not None, "a whole model has its twin"
    args, kwargs = importlib.import_module("composer.sources").example(whole.library)
    try:
        for path in paths:
            twin.set_submodule(path, nn.Identity())
        with torch.device("meta"), torch.no_grad():
            twin(*args, **kwargs)
    except BaseException as error:
        if not is_error(error):
            raise
        return False
    return True


def view_of(model: nn.Module, scope: HostScope) -> nn.Module:
    """An object with the model's own children, parameters and hooks, that gives the outputs of a scope.

    scope  the model with other outputs
    """
    made = type(model)
    # What stands behind the model is run once, by the view's own forward.
    while (text := text_of(made)) is not None and ("tapped(" in text or "HostedModule" in text):
        made = base_of(made)
    result = made.__new__(made)
    result.__dict__.update(model.__dict__)
    return _behind(result, scope, 0, _as_it_is)


def _as_it_is(module: nn.Module, scope: Scope, seed: int) -> nn.Module:
    """In a view, the nodes behind a model are its children already."""
    return module


def _alone(scope: HostScope) -> HostScope:
    """The model's scope with paths that begin at the model."""
    prefix = f"{scope.path}."
    return scope if not scope.path else _moved(scope, prefix)


def _moved(scope: Any, prefix: str) -> Any:
    nodes = {name: _moved_node(node, prefix) for name, node in scope.nodes.items()}
    held = {name: _moved_node(node, prefix) for name, node in scope.held.items()}
    path = f"{scope.path}.".removeprefix(prefix).rstrip(".")
    # What was there before rules may have been composed alone, and has its own paths already.
    plain = scope.plain
    if plain is not None and f"{plain.path}.".startswith(prefix):
        plain = _moved(plain, prefix)
    return replace(scope, path=path, nodes=nodes, held=held, plain=plain)


def _moved_node(node: Node, prefix: str) -> Node:
    content = _moved(node.content, prefix) if isinstance(node.content, Scope) else node.content
    shares = {child: owner.removeprefix(prefix) for child, owner in node.shares.items()}
    return replace(node, path=node.path.removeprefix(prefix), content=content, shares=shares)


def _is_edited(before: HostScope, after: HostScope) -> bool:
    now = [(node.path, node.rule) for node in after.walk()]
    return now != [(node.path, node.rule) for node in before.walk()]


def _behind(model: nn.Module, scope: HostScope, seed: int, fill: Fill) -> nn.Module:
    """The model with the nodes behind it as its children, and with a forward that runs them and gives their outputs."""
    inside = set(names_inside(scope))
    taps: dict[str, Tap] = {}
    inputs: dict[str, Any] = {}

    def word(reference: str) -> str:
        name = reference.partition(".")[0]
        if name not in inside and name not in scope.inputs:
            return reference
        found = identifier(reference.replace(".", "_"))
        inputs[found] = scope.tensor(reference)
        taps[found] = _argument(scope, reference) if name in scope.inputs else _tap(scope, reference)
        return found

    nodes = {
        name: replace(node, inputs=tuple(map(word, node.inputs)))
        for name, node in scope.nodes.items()
        if name not in inside
    }
    outputs = {name: word(reference) for name, reference in scope.outputs.items()}
    behind = Scope(scope.block, "", inputs, nodes, outputs, named=scope.named, training=scope.training)
    fill(model, behind, seed)
    for path in dict.fromkeys(path for path, _, _ in taps.values() if path):
        module = model.get_submodule(path)
        if text_of(type(module)) != TEXT:
            module.__class__ = hosted_class(type(module), TEXT)
    listed = ", ".join(repr(one) for one in taps.values())
    lines = [
        "    def forward(self, *args, **kwargs):",
        f"        found = tapped(self, Host.forward, [{listed}], args, kwargs)",
        "        return self.behind(*found)",
        *method("behind", behind),
    ]
    model.__class__ = hosted_class(type(model), _class_text(type(model), "\n".join(lines), behind))
    return model


def _argument(scope: HostScope, name: str) -> Tap:
    """The tap of an input of the whole network."""
    return "", -1, scope.arguments[name]


def _tap(scope: HostScope, reference: str) -> Tap:
    """The module that gives a tensor inside the model. Raises GraphError for one that no module gives."""
    name, _, rest = reference.partition(".")
    node = scope.nodes[name]
    content = node.content
    if isinstance(content, HostScope):
        key = rest or content.main_outputs[0]
        if content.call is not None and key in content.results:
            return node.owner, content.call.number, content.results[key]
        if key in content.outputs:
            return _tap(content, content.outputs[key])
        return _tap(content, rest)
    if isinstance(content, HostOperation) and content.call is not None and not content.call.function:
        return node.owner, content.call.number, content.call.item
    if node.rule is not None and (isinstance(content, Scope) or (content and content.entry.category == "mechanism")):
        return node.owner, 0, ()
    text = f"`{node.path}` is computed within the forward of a module of another library, which does not hand it out"
    raise GraphError(
        Diagnostic("closed", text, path=node.path, help=("name a module: what a module gives can be taken",))
    )


def _class_text(made: type, lines: str, behind: Scope) -> str:
    """The file of the class of a model with nodes behind it."""
    imports = ["from composer.compile.taps import tapped", "from torch import Tensor", *functions_called(behind, lines)]
    imports += ["import torch"] if "torch." in lines else []
    return "\n".join([*sorted(imports), "", "", f"class {identifier(made.__name__)}(Host):", lines]) + "\n"
