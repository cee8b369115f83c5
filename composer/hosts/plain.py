"""Records a live model without what was inserted into it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from composer.dag.host import HostScope
from composer.errors import Diagnostic, InputError
from composer.foreign import is_error, named
from composer.hosts.edits.apply import undo
from composer.hosts.journal import KEY, journal_of
from composer.hosts.recognised.sites import recognised
from composer.hosts.recording.record import device_of, in_float32, mapped, on_meta, record


# Tensors of inference mode keep no versions, by which recording sees what is changed in place.
@torch.inference_mode(False)
def recorded_plain(
    model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], sites: Mapping[str, Any]
) -> tuple[nn.Module, HostScope, tuple[tuple[Any, ...], dict[str, Any]]]:
    """A model without its insertions: a copy on the meta device, its graph, and the arguments that the copy takes.

    Raises InputError if it cannot be called with the arguments.
    """
    try:
        twin, scope, given = _recorded(model, args, kwargs, real=False)
    except Exception as error:
        if not is_error(error):
            raise
        # It may read values of tensors, as detectors do.
        twin, scope, given = _recorded_with_values(model, args, kwargs)
    scope, findings = recognised(scope, sites)
    scope = replace(scope, findings=findings.lines, twin=twin, own=frozenset(scope.nodes), given=scope.outputs)
    return twin, scope, given


def _recorded(
    model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, real: bool
) -> tuple[nn.Module, HostScope, tuple[tuple[Any, ...], dict[str, Any]]]:
    twin = model if real else on_meta(model)
    if twin is model:
        twin = copy.deepcopy(model)
    # Its own journal, which has copies of the modules that were taken out.
    if (copied := journal_of(twin)) is not None:
        undo(twin, copied.edited)
        del twin.__dict__[KEY]
    # Shapes are those of any dtype, and new modules are made in float32.
    twin.eval().float()
    device = device_of(twin)
    given = in_float32(mapped(tuple(args), device)), in_float32(mapped(dict(kwargs), device))
    return twin, record(twin, *given, real=real), given


def _recorded_with_values(
    model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[nn.Module, HostScope, tuple[tuple[Any, ...], dict[str, Any]]]:
    try:
        return _recorded(model, args, kwargs, real=True)
    except Exception as error:
        if not is_error(error):
            raise
        text = f"the model cannot be recorded with this example: {named(error)}"
        help = (f"its forward takes {inspect.signature(model.forward)}; one that takes a mapping is given `({{…}},)`",)
        raise InputError(Diagnostic("insertion", text, label="what the model is called with", help=help)) from error
