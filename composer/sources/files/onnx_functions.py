"""ONNX's operators in torch's words. What is not known here gives what onnx infers, at a cost that is not known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from composer.sources.files.graph import Owned, Ref, Step, Value, words

# Operators that multiply nothing with a weight: they move, compare, round or resize.
_FREE = words(
    """
    Slice Pad Squeeze Unsqueeze Cast Resize Upsample Gather GatherElements GatherND Scatter ScatterND
    ScatterElements Tile DepthToSpace SpaceToDepth Expand Where Equal Greater Less GreaterOrEqual LessOrEqual Not
    And Or Max Min Sum Mean Range ArgMax ArgMin TopK NonZero OneHot Trilu Sign Ceil Round Floor Mod Clip Selu
    ThresholdedRelu PRelu GlobalMaxPool ReduceL2 ReduceMin ReduceProd NonMaxSuppression Reshape Split Flatten Concat
    Transpose MaxPool AveragePool Pow Div Sub Reciprocal Log Exp CumSum ReverseSequence IsNaN LogSoftmax Hardmax
    Softsign Shrink Celu BitShift Add Mul Softmax ReduceMean ReduceSum ReduceMax Erf Sqrt RoiAlign MaxRoiPool LpPool
    GridSample CastLike QuantizeLinear DequantizeLinear DynamicQuantizeLinear
    """
)
_UNARY = {
    **{name: name.lower() for name in ("Relu", "Sigmoid", "Tanh", "Erf", "Sqrt", "Exp", "Log", "Neg", "Abs", "Floor")},
    **{"HardSwish": "hardswish", "Mish": "mish", "Reciprocal": "reciprocal", "Sin": "sin", "Cos": "cos"},
}
_BINARY = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}


@dataclass(frozen=True)
class Reader:
    """An operator as it is called, and what is known of its tensors."""

    op: str
    domain: str
    taken: Sequence[str]
    given: Sequence[str]
    attributes: Mapping[str, Any]
    values: dict[str, Value]
    constants: Mapping[str, Any]
    owned: Mapping[str, Owned]

    def ref(self, number: int) -> Ref | None:
        """A tensor that it takes; None if it is left out."""
        return Ref(self.taken[number]) if number < len(self.taken) and self.taken[number] else None

    def shape(self, number: int = 0) -> tuple[int, ...]:
        """The shape of a tensor that it takes."""
        return self.values[self.taken[number]].shape

    def result(self) -> list[int]:
        """The shape that it gives."""
        return list(self.values[self.given[0]].shape)

    def numbers(self, number: int, word: str = "") -> list[Any] | None:
        """Numbers that it takes as a constant, or in older versions as an attribute; None if they are not known."""
        if word and word in self.attributes:
            found = self.attributes[word]
            return found if isinstance(found, list) else [found]
        if number < len(self.taken) and self.taken[number] in self.constants:
            return [one.item() for one in self.constants[self.taken[number]].reshape(-1)]
        return None


def function_of(call: Reader, name: str) -> Iterator[Step]:
    """The steps that an operator is: one, or two where torch has no single function."""
    rule = _RULES.get(call.op) if call.domain in ("", "ai.onnx") else None
    found = rule(call) if rule is not None else None
    if found is None:
        word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", call.op).lower()
        taken = tuple(Ref(one) for one in call.taken if one and (one in call.values) and one not in call.constants)
        free = call.op in _FREE and call.domain in ("", "ai.onnx")
        yield Step(name, word, "", taken, {}, tuple(call.given), costs=not free)
        return
    op, overload, *rest = found
    args: list[Any] = list(rest)
    if op.startswith("conv") and isinstance(args[4], _Padded):
        sides = args[4]
        padded = f"{call.given[0]}|padded"
        shape = call.shape()
        sizes = [one + low + high for one, low, high in zip(shape[2:], sides.before, sides.after, strict=True)]
        call.values[padded] = Value((*shape[:2], *sizes), call.values[call.taken[0]].dtype)
        pads = [one for pair in zip(reversed(sides.before), reversed(sides.after), strict=True) for one in pair]
        yield Step(f"{name}_pad", "constant_pad_nd", "default", (args[0], pads, 0.0), {}, (padded,))
        args[0], args[4] = Ref(padded), [0] * len(sizes)
    yield Step(name, op, overload, tuple(args), {}, tuple(call.given))


@dataclass(frozen=True)
class _Padded:
    """Zeros of other widths on both sides."""

    before: Sequence[int]
    after: Sequence[int]


_Found = tuple[Any, ...] | list[Any] | None


def _window(call: Reader, kernel: Sequence[int]) -> tuple[list[int], Any, list[int]]:
    """Strides, padding and dilations of a window."""
    axes = len(kernel)
    strides = call.attributes.get("strides") or [1] * axes
    dilations = call.attributes.get("dilations") or [1] * axes
    pads = call.attributes.get("pads") or [0] * 2 * axes
    auto = call.attributes.get("auto_pad", "NOTSET")
    if auto.startswith("SAME"):
        sizes = zip(call.shape()[2:], kernel, strides, dilations, strict=True)
        both = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in sizes]
        less = [one // 2 for one in both]
        more = [one - half for one, half in zip(both, less, strict=True)]
        pads = [*less, *more] if auto == "SAME_UPPER" else [*more, *less]
    before, after = pads[:axes], pads[axes:]
    return strides, before if before == after else _Padded(before, after), dilations


def _conv(call: Reader) -> _Found:
    weight = call.shape(1)
    strides, padding, dilations = _window(call, weight[2:])
    axes = len(weight) - 2
    if axes not in (1, 2, 3):
        return None
    groups = call.attributes.get("group", 1)
    return [f"conv{axes}d", "default", call.ref(0), call.ref(1), call.ref(2), strides, padding, dilations, groups]


def _conv_transpose(call: Reader) -> _Found:
    weight = call.shape(1)
    strides, padding, dilations = _window(call, weight[2:])
    if len(weight) != 4 or isinstance(padding, _Padded) or "output_shape" in call.attributes:
        return None
    more = call.attributes.get("output_padding", [0, 0])
    groups = call.attributes.get("group", 1)
    return "conv_transpose2d", "input", call.ref(0), call.ref(1), call.ref(2), strides, padding, more, groups, dilations


def _gemm(call: Reader) -> _Found:
    scaled = any(call.attributes.get(name, 1.0) != 1.0 for name in ("alpha", "beta"))
    if scaled or call.attributes.get("transA"):
        return None
    if call.attributes.get("transB"):
        return "linear", "default", call.ref(0), call.ref(1), call.ref(2)
    if call.ref(2) is None:
        return "matmul", "default", call.ref(0), call.ref(1)
    return "addmm", "default", call.ref(2), call.ref(0), call.ref(1)


def _batch_norm(call: Reader) -> _Found:
    if len(call.given) > 1:
        return None
    taken = [call.ref(number) for number in range(5)]
    return "batch_norm", "default", *taken, False, 0.1, call.attributes.get("epsilon", 1e-5), False


def _layer_norm(call: Reader) -> _Found:
    if len(call.given) > 1:
        return None
    axis, shape = call.attributes.get("axis", -1), list(call.shape())
    return (
        "layer_norm",
        "default",
        call.ref(0),
        shape[axis:],
        call.ref(1),
        call.ref(2),
        call.attributes.get("epsilon", 1e-5),
    )


def _group_norm(call: Reader) -> _Found:
    groups = call.attributes["num_groups"]
    return "group_norm", "default", call.ref(0), groups, call.ref(1), call.ref(2), call.attributes.get("epsilon", 1e-5)


def _unary(call: Reader) -> _Found:
    return _UNARY[call.op], "default", call.ref(0)


def _binary(call: Reader) -> _Found:
    word = _BINARY[call.op]
    number = call.numbers(1)
    if number is not None and len(number) == 1:
        return word, "Scalar", call.ref(0), number[0]
    number = call.numbers(0)
    if number is not None and len(number) == 1 and word in ("add", "mul"):
        return word, "Scalar", call.ref(1), number[0]
    return word, "Tensor", call.ref(0), call.ref(1)


def _clip(call: Reader) -> _Found:
    low, high = call.numbers(1, "min"), call.numbers(2, "max")
    if low is None or high is None:
        return None
    return "hardtanh", "default", call.ref(0), low[0], high[0]


def _hard_sigmoid(call: Reader) -> _Found:
    alpha, beta = call.attributes.get("alpha", 0.2), call.attributes.get("beta", 0.5)
    return ("hardsigmoid", "default", call.ref(0)) if abs(alpha - 1 / 6) < 1e-4 and beta == 0.5 else None


def _softmax(call: Reader) -> _Found:
    return "softmax", "int", call.ref(0), call.attributes.get("axis", -1)


def _concat(call: Reader) -> _Found:
    return "cat", "default", [call.ref(number) for number in range(len(call.taken))], call.attributes["axis"]


def _split(call: Reader) -> _Found:
    axis = call.attributes.get("axis", 0)
    sizes = [call.values[name].shape[axis] for name in call.given]
    return ("split_with_sizes", "default", call.ref(0), sizes, axis) if len(sizes) > 1 else None


def _gather(call: Reader) -> _Found:
    axis, index = call.attributes.get("axis", 0), call.numbers(1)
    if index is not None and call.values[call.taken[1]].shape == ():
        return "select", "int", call.ref(0), axis, int(index[0])
    is_table = call.taken[0] in call.owned and len(call.shape()) == 2 and axis == 0
    return ("embedding", "default", call.ref(0), call.ref(1)) if is_table else None


def _reshape(call: Reader) -> _Found:
    return "reshape", "default", call.ref(0), call.result()


def _flatten(call: Reader) -> _Found:
    return ("flatten", "using_ints", call.ref(0), 1) if call.attributes.get("axis", 1) == 1 else _reshape(call)


def _transpose(call: Reader) -> _Found:
    return "permute", "default", call.ref(0), call.attributes.get("perm") or list(range(len(call.shape())))[::-1]


def _squeeze(call: Reader) -> _Found:
    axes = call.numbers(1, "axes")
    return None if axes is None else ("squeeze", "dims", call.ref(0), axes)


def _unsqueeze(call: Reader) -> _Found:
    axes = call.numbers(1, "axes")
    return ("unsqueeze", "default", call.ref(0), axes[0]) if axes is not None and len(axes) == 1 else None


def _expand(call: Reader) -> _Found:
    return "expand", "default", call.ref(0), call.result()


def _reduced(op: str, overload: str) -> Callable[[Reader], _Found]:
    def rule(call: Reader) -> _Found:
        axes = call.numbers(1, "axes")
        return None if axes is None else (op, overload, call.ref(0), axes, bool(call.attributes.get("keepdims", 1)))

    return rule


def _global_pool(call: Reader) -> _Found:
    return ("adaptive_avg_pool2d", "default", call.ref(0), [1, 1]) if len(call.shape()) == 4 else None


def _pool(op: str) -> Callable[[Reader], _Found]:
    def rule(call: Reader) -> _Found:
        kernel = call.attributes["kernel_shape"]
        strides, padding, dilations = _window(call, kernel)
        if len(kernel) != 2 or isinstance(padding, _Padded) or len(call.given) > 1:
            return None
        ceil = bool(call.attributes.get("ceil_mode", 0))
        last = dilations if op == "max_pool2d" else None
        if last is not None:
            return op, "default", call.ref(0), kernel, strides, padding, last, ceil
        return (
            op,
            "default",
            call.ref(0),
            kernel,
            strides,
            padding,
            ceil,
            bool(call.attributes.get("count_include_pad")),
        )

    return rule


def _einsum(call: Reader) -> _Found:
    tensors = [call.ref(number) for number in range(len(call.taken))]
    return "einsum", "default", call.attributes["equation"], tensors


def _pow(call: Reader) -> _Found:
    number = call.numbers(1)
    return None if number is None or len(number) != 1 else ("pow", "Tensor_Scalar", call.ref(0), number[0])


_RULES: Mapping[str, Callable[[Reader], _Found]] = {
    **dict.fromkeys(_UNARY, _unary),
    **dict.fromkeys(_BINARY, _binary),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": lambda call: ("matmul", "default", call.ref(0), call.ref(1)),
    "Einsum": _einsum,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "Gelu": lambda call: ("gelu", "default", call.ref(0)),
    "LeakyRelu": lambda call: ("leaky_relu", "default", call.ref(0), call.attributes.get("alpha", 0.01)),
    "Elu": lambda call: ("elu", "default", call.ref(0), call.attributes.get("alpha", 1.0)),
    "HardSigmoid": _hard_sigmoid,
    "Clip": _clip,
    "Softmax": _softmax,
    "Pow": _pow,
    "Concat": _concat,
    "Split": _split,
    "Gather": _gather,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Expand": _expand,
    "ReduceMean": _reduced("mean", "dim"),
    "ReduceSum": _reduced("sum", "dim_IntList"),
    "ReduceMax": _reduced("amax", "default"),
    "GlobalAveragePool": _global_pool,
    "MaxPool": _pool("max_pool2d"),
    "AveragePool": _pool("avg_pool2d"),
}
