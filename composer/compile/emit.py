"""Scopes -> nested torch.fx.GraphModules that read like a network written by hand; plain chains -> nn.Sequential."""

from __future__ import annotations

import keyword
import operator
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import torch.fx
from torch import nn

from composer.compile.init import seeded
from composer.compile.inplace import overwriting
from composer.dag.scope import Node, Operation, Scope


def emit(scope: Scope, seed: int) -> nn.Module:
    """The module of a scope, its weights drawn by path."""
    if not _is_chain(scope):
        return emit_graph(scope, seed)
    children = OrderedDict(
        (name, _module(node, seed)) for name, node in scope.nodes.items() if node.content is not None
    )
    _overwrite(scope, children)
    return nn.Sequential(children)


def emit_graph(scope: Scope, seed: int) -> torch.fx.GraphModule:
    """A GraphModule of a scope, whatever its form."""
    graph = torch.fx.Graph()
    attributes: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, argument in zip(scope.inputs, _arguments(scope.inputs), strict=True):
        values[name] = graph.placeholder(argument)
    for name, node in scope.nodes.items():
        inputs = tuple(_value(graph, values, reference) for reference in node.inputs)
        values[name] = _emit_node(graph, attributes, node, inputs, seed)
    _overwrite(scope, attributes)
    outputs = {name: _value(graph, values, reference) for name, reference in scope.outputs.items()}
    graph.output(next(iter(outputs.values())) if len(outputs) == 1 else outputs)
    return torch.fx.GraphModule(attributes, graph, class_name=_identifier(scope.block))


def _emit_node(
    graph: torch.fx.Graph, attributes: dict[str, Any], node: Node, inputs: tuple[Any, ...], seed: int
) -> Any:
    content = node.content
    if content is None:
        return inputs[0]
    if isinstance(content, Operation) and content.entry.form == "function":
        return graph.create_node("call_function", content.entry.factory, inputs, content.options, name=node.name)
    if isinstance(content, Operation) and content.entry.form == "parameter":
        attributes[node.name] = _leaf(content, node.path, seed)
        return graph.create_node("get_attr", node.name)
    attributes[node.name] = _module(node, seed)
    return graph.create_node("call_module", node.name, inputs)


def _module(node: Node, seed: int) -> nn.Module:
    assert node.content is not None
    if isinstance(node.content, Scope):
        return emit(node.content, seed)
    module = _leaf(node.content, node.path, seed)
    assert isinstance(module, nn.Module)
    return module


def _overwrite(scope: Scope, modules: Mapping[str, Any]) -> None:
    for name in overwriting(scope):
        if hasattr(modules[name], "inplace"):
            modules[name].inplace = True


def _leaf(operation: Operation, path: str, seed: int) -> Any:
    return seeded(seed, path, lambda: operation.entry.factory(**operation.arguments))


def _value(graph: torch.fx.Graph, values: dict[str, Any], reference: str) -> Any:
    name, _, output = reference.partition(".")
    return graph.call_function(operator.getitem, (values[name], output)) if output else values[name]


def _is_chain(scope: Scope) -> bool:
    """Whether each node is a module that takes what the one before it gave, and nothing else."""
    current = next(iter(scope.inputs))
    for name, node in scope.nodes.items():
        module = isinstance(node.content, Scope) or node.content is None or node.content.entry.form == "module"
        if not module or node.inputs != (current,):
            return False
        current = name
    return len(scope.inputs) == 1 and list(scope.outputs.values()) == [current]


def _arguments(inputs: Iterable[str]) -> list[str]:
    """Names for the arguments of a forward, each once."""
    found: list[str] = []
    for name in inputs:
        # `input` is a builtin that fx would rename.
        word = "x" if name == "input" else _identifier(name)
        while word in ("self", *found):
            word = f"{word}_"
        found.append(word)
    return found


def _identifier(text: str) -> str:
    """The text as a Python name."""
    word = "".join(character if f"_{character}".isidentifier() else "_" for character in text)
    return word if word.isidentifier() and not keyword.iskeyword(word) else f"_{word}"
