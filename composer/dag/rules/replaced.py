"""What a replaced layer hands on to the mechanism in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from composer.dag.operation import Operation
from composer.dag.scope import Node


def conv_settings(host: Node, wanted: Mapping[str, Any], overridden: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in `wanted` that a replaced convolution hands on to a mechanism.

    A padding that keeps the size is left out if the mechanism has another kernel: it then finds its own padding.
    """
    assert isinstance(host.content, Operation)
    known = dict(host.content.arguments)
    if "kernel_size" not in known:
        # An attention between positions that replaced a convolution has no kernel, and so no padding.
        return {name: known[name] for name in wanted if name in known}
    keeps_size = _same_padding(known["kernel_size"], known.get("dilation", 1))
    if known.get("padding") is None and wanted.get("padding", None) is not None and "kernel_size" not in overridden:
        known["padding"] = keeps_size
    elif known.get("padding") == keeps_size and not overridden.keys().isdisjoint(("kernel_size", "dilation")):
        del known["padding"]
    return {name: known[name] for name in wanted if name in known}


def linear_settings(host: Node) -> dict[str, Any]:
    """The settings that a replaced linear layer hands on: it is a 1×1 convolution."""
    assert isinstance(host.content, Operation)
    known = host.content.arguments
    one = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    return {**one, "out_channels": known["out_features"], "bias": known.get("bias", True)}


def _same_padding(kernel_size: Any, dilation: Any) -> Any:
    if isinstance(kernel_size, tuple):
        spread = dilation if isinstance(dilation, tuple) else (dilation,) * len(kernel_size)
        return tuple(d * (k - 1) // 2 for k, d in zip(kernel_size, spread, strict=True))
    return dilation * (kernel_size - 1) // 2
