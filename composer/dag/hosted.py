"""The network of a model that another library makes: recorded on the meta device, with its sites."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

from composer.dag.infer import Inference
from composer.dag.limits import Limits
from composer.errors import GraphError
from composer.foreign import is_error, named
from composer.hosts.operation import HostScope
from composer.hosts.record import record
from composer.spec.spec import Spec


def recorded(spec: Spec, limits: Limits, inference: Inference) -> HostScope:
    """The model with which a spec begins, without rules and without nodes behind it. Raises GraphError."""
    source = spec.source
    assert source is not None, "the spec begins with a model of another library"
    library: Any = importlib.import_module("composer.sources")
    model = library.make(source)
    args, kwargs = library.example(source)
    try:
        scope = record(model, args, kwargs, name=spec.name, origin=source.origin, inference=inference)
    except BaseException as error:
        if not is_error(error):
            raise
        text = f"{source.words} cannot be recorded: it says {named(error)}"
        raise GraphError(source.name_origin.problem("model", text, "a model that runs on the meta device")) from error
    if problem := limits.exceeded(scope.num_nodes, scope.num_parameters, source.name_origin):
        raise GraphError(problem)
    return replace(scope, library=source, own=frozenset(scope.nodes), given=scope.outputs)
