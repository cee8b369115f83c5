"""The activation of a model file, such as `nn.LeakyReLU(0.1)` -> our layer. Nothing is evaluated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from composer.errors import did_you_mean, one_of
from composer.importing.ultralytics.row import Report
from composer.spec.kind import found
from composer.spec.origin import Origin

SILU: Mapping[str, Any] = {"op": "silu"}
_FORM = re.compile(r"(?:torch\.)?nn\.(\w+)\((?:inplace=\w+|negative_slope=)?\s*([0-9.eE+-]*)\)")
_LAYERS = {
    **{"SiLU": "silu", "ReLU": "relu", "ReLU6": "relu6", "Hardswish": "hard_swish", "GELU": "gelu"},
    **{"LeakyReLU": "leaky_relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Identity": "identity"},
}


def read_activation(value: Any, origin: Origin, report: Report) -> Mapping[str, Any]:
    """Our layer for an activation, with its options; SiLU, with a problem reported, if there is none."""
    match = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        label = "a module of PyTorch, such as `nn.ReLU()` or `nn.LeakyReLU(0.1)`"
        report(origin.problem("import-key", f"`activation` is {found(value)}", label))
        return SILU
    name, number = match.groups()
    if name not in _LAYERS or (number and name != "LeakyReLU") or (number and not _is_number(number)):
        what = f"the activation `{name}`" if name not in _LAYERS else f"the argument of `{name}`"
        hint = did_you_mean(name, _LAYERS, f"known are {one_of(_LAYERS)}") if name not in _LAYERS else ()
        report(origin.problem("import-key", f"composer cannot import {what}", "one of its layers", hint))
        return SILU
    layer = {"op": _LAYERS[name]}
    return {**layer, "negative_slope": float(number) if number else 0.01} if name == "LeakyReLU" else layer


def _is_number(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False
