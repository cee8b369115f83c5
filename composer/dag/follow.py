"""A graph's operations in the order they run, with whatever is worked out about each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from composer.dag.scope import Node, Scope

T = TypeVar("T")


def follow(
    scope: Scope,
    inputs: Mapping[str, T],
    call: Callable[[Node, list[T]], T],
    then: Callable[[Node, T], T] = lambda node, value: value,
) -> dict[str, T]:
    """Values of a scope's outputs, from those of its inputs.

    call  the value of an operation, from the values that arrive at it
    then  what goes on from a node in place of its value; of a scope, or a node that passes its input on, too
    """
    values = dict(inputs)
    for node in scope.nodes.values():
        arriving = [values[reference] for reference in node.inputs]
        if isinstance(node.content, Scope):
            inner = follow(node.content, dict(zip(node.content.inputs, arriving, strict=True)), call, then)
            values.update({f"{node.name}.{key}": value for key, value in inner.items()})
            value = next(iter(inner.values()))
        else:
            value = arriving[0] if node.content is None else call(node, arriving)
        values[node.name] = then(node, value)
    return {key: values[reference] for key, reference in scope.outputs.items()}
