"""What ran of a module before it raised."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from torch import nn

from composer.dag.nodes.unfinished import Missing, Unfinished
from composer.errors import Diagnostic
from composer.hosts.recording.layouts import of_input, shape_of
from composer.hosts.recording.record import is_whole, traced
from composer.hosts.recording.trace import Tracer
from composer.hosts.recording.tree import Tree
from composer.spec.model import NodeSpec
from composer.spec.origin import Origin


def record_so_far(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], name: str, origin: Origin, problem: Diagnostic
) -> Mapping[str, Unfinished]:
    """Path -> incomplete scope, of a call that fails: what ran before it, and the call that raised, with its problem.

    Arguments as for `record`; the model is on meta.
    """
    tracer = Tracer(model, is_whole)
    with contextlib.suppress(Exception):
        traced(tracer, args, kwargs)
    failure, tree = tracer.failure, Tree(origin)
    if failure is None:
        return {}
    chain = [*failure.frame.around()][::-1]
    inside = dict(pairwise(chain))
    found: dict[str, Unfinished] = {}
    path, inputs = "", {one: of_input(shape_of(tensor)) for one, tensor in tracer.root.inputs.items()}
    for frame in chain:
        inner = inside.get(frame)
        step = None if inner is None else frame.steps.pop(inner.name)
        block = type(frame.module).__name__ if path else name
        scope = replace(tree.scope(frame, block, inputs), path=path, outputs={})
        if inner is None or step is None:
            called, op, taken = failure.name, failure.op, tuple(failure.inputs)
        else:
            called, op, taken = inner.name, type(inner.module).__name__, tuple(step.inputs)
            inputs = dict(zip(inner.inputs, (scope.tensor(one) for one in taken), strict=False))
        node = NodeSpec.model_validate({"op": op})
        missing = Missing(node, taken, failed=True, problems=(problem,) if inner is None else ())
        found[path] = Unfinished(scope, {called: missing})
        path = f"{path}.{called}" if path else called
    return found
