"""A few words per operation, as in papers: `7×7 conv2d, 64, /2`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from composer.dag.operation import Operation
from composer.dag.tensor import TensorSpec

_FORMS = {
    "out_channels": "{}",
    "out_features": "{}",
    "stride": "/{}",
    "groups": "{} groups",
    "pattern": "{}",
    "axis": "{}",
}
_SILENT = ("kernel_size", "bias", "padding", "init", "std", "broadcast", "eps", "shape")


def describe(operation: Operation) -> str:
    """The operation with the settings and options that differ from their defaults."""
    written = settings(operation)
    kernel = written.get("kernel_size")
    words = [f"{_size(kernel)} {operation.entry.name}" if kernel is not None else operation.entry.name]
    for name, value in written.items():
        if name == "groups" and value == written.get("out_channels"):
            words.append("depthwise")
        elif isinstance(value, dict):
            words.append(", ".join(f"{key} = {length}" for key, length in value.items()))
        elif name in _FORMS:
            words.append(_FORMS[name].format(_size(value) if isinstance(value, tuple | list) else value))
        elif name not in _SILENT:
            words.append(_phrase(name, value))
    return ", ".join(words)


def settings(operation: Operation) -> dict[str, Any]:
    """What a spec would write for the operation: a convolution's settings, and options, without defaults."""
    fields = operation.entry.known_options
    return {k: v for k, v in operation.arguments.items() if k in fields and v != fields[k].default}


def describe_repeat(ops: Iterable[str]) -> str:
    """The unrolled nodes of a repeat: `down, 3 × unit`."""
    counts = Counter(ops)
    return ", ".join(f"{count} × {op}" if count > 1 else op for op, count in counts.items())


def describe_shape(tensor: TensorSpec) -> str:
    """The lengths of a tensor's axes, without the batch."""
    return "×".join(map(str, tensor.without_batch)) or "scalar"


def describe_names(names: list[str]) -> str:
    """Names of copies as a range: `denselayer1–6`."""
    first, last = names[0], names[-1]
    same = 0
    while same < min(len(first), len(last)) and first[same] == last[same] and not first[same].isdecimal():
        same += 1
    both_end_in_numbers = first[same:].isdecimal() and last[same:].isdecimal()
    return f"{first}–{last[same:]}" if both_end_in_numbers else f"{first} … {last}"


def outputs(output: TensorSpec | Mapping[str, TensorSpec]) -> dict[str, TensorSpec]:
    """Output name -> tensor of a node; a single output has an empty name."""
    return {"": output} if isinstance(output, TensorSpec) else dict(output)


def _size(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "×".join(map(str, value))
    return f"{value}×{value}"


def _phrase(name: str, value: Any) -> str:
    words = name.replace("_", " ")
    if value is True:
        return words
    if value is False:
        return f"no {words}"
    return f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"
