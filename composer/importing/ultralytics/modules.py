"""The modules that a row of a model file may name: their arguments, and the node that a row becomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

REQUIRED = object()
CLASSIFY = "Classify"
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """What an argument may be: in words, and as a test."""

    words: str
    takes: Callable[[Any], bool]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:
    return _is_whole(value) and value >= 1


COUNT = Kind("a whole number from 1 on", _is_positive)
AREA = Kind("a whole number", _is_whole)
PADDING = Kind("a whole number from 0 on, or None", lambda one: one is None or (_is_whole(one) and one >= 0))
SIZE = Kind("a whole number from 0 on", lambda one: _is_whole(one) and one >= 0)
FLAG = Kind("True or False", lambda one: isinstance(one, bool))
FACTOR = Kind("a number above 0", lambda one: (_is_whole(one) or isinstance(one, float)) and 0 < one < math.inf)
KERNELS = Kind("two whole numbers, [3, 3]", lambda one: _are_positive(one, 2))
WINDOWS = Kind("three odd numbers, [5, 9, 13]", lambda one: _are_positive(one, 3) and all(k % 2 for k in one))
SIDES = Kind(
    "a whole number, or four: [left, right, top, bottom]",
    lambda one: SIZE.takes(one) or (isinstance(one, list) and len(one) == 4 and all(map(SIZE.takes, one))),
)
NONE = Kind("None", lambda one: one is None)
NEAREST = Kind("`nearest`", lambda one: one == "nearest")


def _are_positive(value: Any, number: int) -> bool:
    return isinstance(value, list) and len(value) == number and all(map(_is_positive, value))


@dataclass(frozen=True)
class Argument:
    """An argument of a module, in the order of a row."""

    name: str
    kind: Kind
    default: Any = REQUIRED


@dataclass(frozen=True)
class Module:
    """A module of ultralytics.

    arguments  those that a row writes
    node       values of the arguments, channels of the input -> the node's keys
    stride     values -> how many times smaller the map gets
    repeats    `inside`: repeats are the depth of the module; `around`: so many modules in a row; `never`
    stage      whether it is a stage of blocks, and not a single layer
    check      values, channels of the input -> what ultralytics does not take; None if all is well
    """

    arguments: tuple[Argument, ...]
    node: Callable[[Values, int], dict[str, Any]]
    stride: Callable[[Values], Fraction] = lambda values: Fraction(values.get("stride", 1))
    repeats: Literal["inside", "around", "never"] = "around"
    stage: bool = False
    check: Callable[[Values, int], str | None] = lambda values, channels: None


def _block(name: str) -> Callable[[Values, int], dict[str, Any]]:
    """A node with this block, whose arguments are those of the module."""

    def node(values: Values, channels: int) -> dict[str, Any]:
        return {"block": name, "args": dict(values)}

    return node


def _depthwise(values: Values, channels: int) -> dict[str, Any]:
    return {"block": "conv", "args": {**values, "groups": math.gcd(channels, values["out"])}}


def _c3k2(values: Values, channels: int) -> dict[str, Any]:
    inner = "bottleneck_psa" if values["attn"] else "c3k" if values["c3k"] else "bottleneck"
    kept = {key: value for key, value in values.items() if key not in ("c3k", "attn")}
    return {"block": "c3k2", "args": {**kept, "inner": inner}}


def _sppf(values: Values, channels: int) -> dict[str, Any]:
    # Rows that name the number of pools are of YOLO26, whose first convolution has no activation.
    act = values["pools"] is None
    return {"block": "sppf", "args": {**values, "pools": values["pools"] or 3, "act": act}}


def _a2c2f(values: Values, channels: int) -> dict[str, Any]:
    with_attention = ("out", "depth", "area", "residual", "mlp_ratio", "expansion")
    kept = with_attention if values["attention"] else ("out", "depth", "expansion", "groups", "shortcut")
    name = "a2c2f" if values["attention"] else "a2c2f_c3k"
    return {"block": name, "args": {key: values[key] for key in kept}}


def _classify(values: Values, channels: int) -> dict[str, Any]:
    return {"block": "classify", "args": {key: value for key, value in values.items() if key != "classes"}}


def _keeps_channels(values: Values, channels: int) -> str | None:
    same = channels == values["out"]
    return None if same else f"`C2PSA` keeps the number of channels, and has {channels} in and {values['out']} out"


def _divides_by_32(values: Values, channels: int) -> str | None:
    width = int(values["out"] * values["expansion"])
    return None if width % 32 == 0 else f"`A2C2f` needs a multiple of 32 channels inside, and has {width}"


def _upsample(values: Values, channels: int) -> dict[str, Any]:
    return {"op": "upsample", "scale_factor": values["scale_factor"]}


def _zero_pad(values: Values, channels: int) -> dict[str, Any]:
    sides = values["padding"] if isinstance(values["padding"], list) else [values["padding"]] * 4
    return {"op": "zero_pad", **dict(zip(("left", "right", "top", "bottom"), sides, strict=True))}


def _conv_transpose(values: Values, channels: int) -> dict[str, Any]:
    usual = {"output_padding": 0, "groups": 1, "dilation": 1}
    kept = {key: value for key, value in values.items() if key != "out" and value != usual.get(key)}
    return {"op": "conv_transpose2d", "out_channels": values["out"], **kept}


def _max_pool(values: Values, channels: int) -> dict[str, Any]:
    stride = values["stride"] or values["kernel_size"]
    return {"op": "max_pool", **values, "stride": stride}


_OUT = Argument("out", COUNT)
_KERNEL, _STRIDE = Argument("kernel", COUNT, 1), Argument("stride", COUNT, 1)
_PADDING, _GROUPS = Argument("padding", PADDING, None), Argument("groups", COUNT, 1)
_DILATION, _ACT = Argument("dilation", COUNT, 1), Argument("act", FLAG, True)
_EXPANSION = Argument("expansion", FACTOR, 0.5)


def _shortcut(default: bool) -> Argument:
    return Argument("shortcut", FLAG, default)


MODULES: dict[str, Module] = {
    "Conv": Module((_OUT, _KERNEL, _STRIDE, _PADDING, _GROUPS, _DILATION, _ACT), _block("conv")),
    "DWConv": Module((_OUT, _KERNEL, _STRIDE, _DILATION, _ACT), _depthwise),
    "Focus": Module(
        (_OUT, _KERNEL, _STRIDE, _PADDING, _GROUPS, _ACT),
        _block("focus"),
        stride=lambda values: Fraction(2 * values["stride"]),
    ),
    "Bottleneck": Module(
        (_OUT, _shortcut(True), _GROUPS, Argument("kernels", KERNELS, [3, 3]), _EXPANSION),
        _block("bottleneck"),
        stage=True,
    ),
    "C2f": Module((_OUT, _shortcut(False), _GROUPS, _EXPANSION), _block("c2f"), repeats="inside", stage=True),
    "C3": Module((_OUT, _shortcut(True), _GROUPS, _EXPANSION), _block("c3"), repeats="inside", stage=True),
    "C2": Module((_OUT, _shortcut(True), _GROUPS, _EXPANSION), _block("c2"), repeats="inside", stage=True),
    "C3k2": Module(
        (
            *(_OUT, Argument("c3k", FLAG, False), _EXPANSION, Argument("attn", FLAG, False)),
            *(_GROUPS, _shortcut(True)),
        ),
        _c3k2,
        repeats="inside",
        stage=True,
    ),
    "SPP": Module((_OUT, Argument("kernels", WINDOWS, [5, 9, 13])), _block("spp")),
    "SPPF": Module(
        (_OUT, Argument("kernel", COUNT, 5), Argument("pools", COUNT, None), _shortcut(False)),
        _sppf,
        stride=lambda values: Fraction(1),
    ),
    "C2PSA": Module((_OUT, _EXPANSION), _block("c2psa"), repeats="inside", check=_keeps_channels),
    "A2C2f": Module(
        (
            *(_OUT, Argument("attention", FLAG, True), Argument("area", AREA, 1), Argument("residual", FLAG, False)),
            *(Argument("mlp_ratio", FACTOR, 2.0), _EXPANSION, _GROUPS, _shortcut(True)),
        ),
        _a2c2f,
        repeats="inside",
        stage=True,
        check=_divides_by_32,
    ),
    "nn.Upsample": Module(
        (Argument("size", NONE), Argument("scale_factor", COUNT), Argument("mode", NEAREST, "nearest")),
        _upsample,
        stride=lambda values: Fraction(1, values["scale_factor"]),
    ),
    "nn.ConvTranspose2d": Module(
        (
            *(_OUT, Argument("kernel_size", COUNT), _STRIDE, Argument("padding", SIZE, 0)),
            *(Argument("output_padding", SIZE, 0), _GROUPS, Argument("bias", FLAG, True), _DILATION),
        ),
        _conv_transpose,
        stride=lambda values: Fraction(1, values["stride"]),
    ),
    "nn.ZeroPad2d": Module((Argument("padding", SIDES),), _zero_pad),
    "nn.MaxPool2d": Module(
        (Argument("kernel_size", COUNT), Argument("stride", COUNT, None), Argument("padding", SIZE, 0)),
        _max_pool,
        stride=lambda values: Fraction(values["stride"] or values["kernel_size"]),
    ),
    "nn.Identity": Module((), lambda values, channels: {"op": "identity"}),
    CLASSIFY: Module((Argument("classes", COUNT), _KERNEL, _STRIDE, _PADDING, _GROUPS), _classify, repeats="never"),
}
