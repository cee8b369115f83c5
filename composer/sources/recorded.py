"""The graph of a spec's model: made without memory, and recorded in one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from composer.dag.host import HostScope
from composer.dag.infer import Inference
from composer.dag.nodes.unfinished import Unfinished
from composer.errors import Diagnostic, GraphError, InputError, UnavailableError
from composer.foreign import is_error, named
from composer.hosts.recognised.sites import recognised
from composer.hosts.recording.record import record
from composer.hosts.recording.so_far import record_so_far
from composer.sources.calls import example
from composer.sources.identity import check_lock
from composer.sources.make import make, quiet
from composer.sources.offline import offline
from composer.spec.model_source import ModelSource
from composer.spec.spec import Spec


# Tensors of inference mode keep no versions, by which recording sees what is changed in place.
@torch.inference_mode(False)
def recorded(spec: Spec, inference: Inference | None = None) -> HostScope:
    """The graph of the model that a spec begins with, for the spec's inputs.

    Raises GraphError if the model cannot be made, or cannot take these inputs; UnavailableError if its library is not
    installed.
    """
    source = spec.source
    assert source is not None, "the spec begins with a model"
    model = make(source)
    check_lock(spec, model)
    args, kwargs = example(source)
    origin = spec.files[-1].origin
    try:
        with quiet(), offline():
            scope = record(model, args, kwargs, name=spec.name, origin=origin, inference=inference)
    except BaseException as error:
        if not is_error(error):
            raise
        raise GraphError(_failed(spec, source, error)) from error
    given = {site: globs for site, (globs, _) in spec.sites.items()}
    written = next((where for _, where in spec.sites.values()), None)
    try:
        scope, findings = recognised(scope, given, written)
    except InputError as error:
        raise GraphError(error.diagnostics) from error
    own = frozenset(scope.nodes)
    return replace(scope, library=source, findings=findings.lines, twin=model, own=own, given=scope.outputs)


@torch.inference_mode(False)
def recorded_so_far(spec: Spec) -> Mapping[str, Unfinished]:
    """Path -> incomplete scope, of a spec whose model fails while it is recorded; "" alone, whole, if it does not.

    Empty if the model cannot even be made.
    """
    source = spec.source
    assert source is not None, "the spec begins with a model"
    try:
        whole = recorded(spec)
        return {"": Unfinished(whole, {})}
    except (GraphError, UnavailableError) as error:
        problem = error.diagnostics[0]
    try:
        model = make(source)
        args, kwargs = example(source)
        with quiet(), offline():
            return record_so_far(model, args, kwargs, spec.name, spec.files[-1].origin, problem)
    except BaseException as error:
        if not is_error(error):
            raise
        return {}


def _failed(spec: Spec, source: ModelSource, error: BaseException) -> Diagnostic:
    """Why a call on the meta device failed: it needs values, or does not take these shapes."""
    said = named(error)
    if isinstance(error, NotImplementedError) or "meta" in said:
        text = f"{source.words} cannot be recorded, since its forward reads values, and not shapes alone: {said}"
        help = ("`composer.insert` puts mechanisms into modules inside it, such as its backbone",)
        return source.name_origin.problem("model", text, "a forward that shapes decide", help)
    here = next(iter(spec.input_origins.values()))
    here = here if here.location() is not None else source.origin
    sizes = ", ".join(f"{name} {list(shape)}" for name, shape in source.shapes.items())
    return here.problem("model", f"{source.words} cannot take {sizes}: {said}", "the shape of an input that it takes")
