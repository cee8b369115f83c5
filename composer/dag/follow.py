"""Computes a value per operation of a graph, in the order in which the operations run."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import TypeVar

from composer.dag.scope import Node, Scope

T = TypeVar("T")


def follow(
    scope: Scope,
    inputs: Mapping[str, T],
    call: Callable[[Node, list[T]], T],
    then: Callable[[Node, T], T] = lambda node, value: value,
    closed: Container[str] = (),
) -> dict[str, T]:
    """Output name -> value, from the values of a scope's inputs.

    call    computes the value of an operation from the values of its inputs
    then    replaces the value of a node, also of a scope and of a node that passes its input on
    closed  paths of scopes whose values `call` computes as a whole
    """
    values = dict(inputs)
    for node in scope.nodes.values():
        arriving = [values[reference] for reference in node.inputs]
        if isinstance(node.content, Scope) and node.path not in closed:
            inner = follow(node.content, dict(zip(node.content.inputs, arriving, strict=True)), call, then, closed)
            values.update({f"{node.name}.{key}": value for key, value in inner.items()})
            value = next(iter(inner.values()))
        else:
            value = arriving[0] if node.content is None else call(node, arriving)
        values[node.name] = then(node, value)
    return {key: values[reference] for key, reference in scope.outputs.items()}
