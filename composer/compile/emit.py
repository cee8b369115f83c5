"""Scopes -> nested torch.fx.GraphModules that read like a network written by hand; plain chains -> nn.Sequential."""

from __future__ import annotations

import keyword
import operator
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch.fx
from torch import nn

from composer.compile.init import seeded
from composer.compile.inplace import overwriting
from composer.dag.scope import Node, Operation, Scope

Make = Callable[[Node], Any]


def emit(scope: Scope, seed: int) -> torch.fx.GraphModule:
    """The GraphModule of a whole network, its weights drawn by path."""

    def make(node: Node) -> Any:
        content = node.content
        if isinstance(content, Scope):
            return _emit_chain(content, make) if is_chain(content) else _emit_graph(content, make)
        assert content is not None
        return seeded(seed, node.path, lambda: content.entry.factory(**content.arguments))

    return _emit_graph(scope, make)


def forward_over(scope: Scope, root: nn.Module) -> Callable[..., Any]:
    """A generated `forward` for a module that has the scope's nodes as its own already."""
    return type(_emit_graph(scope, lambda node: getattr(root, node.name))).forward


def forward_code(scope: Scope) -> str:
    """The forward that is generated for a scope which is no plain chain, or for the root. Makes no module."""
    graph, _ = _graph(scope, lambda node: None)
    return str(graph.python_code("self").src)


def _emit_chain(scope: Scope, make: Make) -> nn.Sequential:
    children = OrderedDict((name, make(node)) for name, node in scope.nodes.items() if node.content is not None)
    _overwrite(scope, children)
    return nn.Sequential(children)


def _emit_graph(scope: Scope, make: Make) -> torch.fx.GraphModule:
    graph, attributes = _graph(scope, make)
    _overwrite(scope, attributes)
    return torch.fx.GraphModule(attributes, graph, class_name=_identifier(scope.block))


def _graph(scope: Scope, make: Make) -> tuple[torch.fx.Graph, dict[str, Any]]:
    """The calls of a scope's forward, and the modules and parameters that it calls."""
    graph = torch.fx.Graph()
    attributes: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, argument in zip(scope.inputs, _arguments(scope.inputs), strict=True):
        values[name] = graph.placeholder(argument)
    for name, node in scope.nodes.items():
        inputs = tuple(_value(graph, values, reference) for reference in node.inputs)
        values[name] = _emit_node(graph, attributes, node, inputs, make)
    outputs = {name: _value(graph, values, reference) for name, reference in scope.outputs.items()}
    graph.output(next(iter(outputs.values())) if len(outputs) == 1 else outputs)
    return graph, attributes


def _emit_node(
    graph: torch.fx.Graph, attributes: dict[str, Any], node: Node, inputs: tuple[Any, ...], make: Make
) -> Any:
    content = node.content
    if content is None:
        return inputs[0]
    if isinstance(content, Operation) and content.entry.form == "function":
        return graph.create_node("call_function", content.entry.factory, inputs, content.options, name=node.name)
    attributes[node.name] = make(node)
    if isinstance(content, Operation) and content.entry.form == "parameter":
        return graph.create_node("get_attr", node.name)
    return graph.create_node("call_module", node.name, inputs)


def _overwrite(scope: Scope, modules: Mapping[str, Any]) -> None:
    for name in overwriting(scope):
        if hasattr(modules[name], "inplace"):
            modules[name].inplace = True


def _value(graph: torch.fx.Graph, values: dict[str, Any], reference: str) -> Any:
    name, _, output = reference.partition(".")
    return graph.call_function(operator.getitem, (values[name], output)) if output else values[name]


def is_chain(scope: Scope) -> bool:
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
