"""Functions on tensors as steps of a spec: one rule per function. Those that only move axes are views."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from composer.hosts.recording.trace import Replay
from composer.importing.recorded.scope import Scribe, Unknown
from composer.importing.recorded.views import View
from composer.layers.offsets import entries_of, offsets

Rule = Callable[["Call"], View]


class Call:
    """A call of a function, with what a rule needs.

    given   its arguments; a View where a tensor stands
    named   its keyword arguments
    shape   the shape of its result
    item    which of several results it is
    """

    def __init__(self, scribe: Scribe, replay: Replay, views: Sequence[View], shape: tuple[int, ...]) -> None:
        left = iter(views)
        self.scribe, self.shape = scribe, shape
        self.views = list(views)
        self.given = [_filled(one, left) for one in replay.args]
        self.named = {name: _filled(one, left) for name, one in replay.kwargs.items()}
        self.item = replay.item

    @property
    def first(self) -> View:
        found = self.given[0] if self.given else next(iter(self.named.values()))
        if not isinstance(found, View):
            raise Unknown("its first argument is no tensor")
        return found

    def argument(self, number: int, name: str, default: Any = None) -> Any:
        """An argument by its place or name."""
        return self.given[number] if number < len(self.given) else self.named.get(name, default)

    def dims(self, number: int, name: str) -> list[int] | None:
        """An argument that is one axis or several, counted from 0; all that follow if they are given one by one."""
        found = self.given[number:] if number < len(self.given) else [self.named.get(name)]
        if len(found) == 1 and isinstance(found[0], list | tuple):
            found = list(found[0])
        numbers = [one for one in found if isinstance(one, int)]
        return [one % len(self.first.shape) for one in numbers] if numbers and numbers == found else None

    def only(self, *names: str) -> None:
        """Refuse keyword arguments that a rule does not know. Raises Unknown."""
        for name, value in self.named.items():
            if name not in names and value is not None and not isinstance(value, View):
                raise Unknown(f"with {name}={value!r}")


def _filled(value: Any, left: Any) -> Any:
    if type(value).__name__ == "_Slot":
        return next(left)
    if type(value) in (tuple, list):
        return type(value)(_filled(one, left) for one in value)
    if isinstance(value, slice):
        return slice(*(_filled(one, left) for one in (value.start, value.stop, value.step)))
    return value


def step(name: str, scribe: Scribe, replay: Replay, views: Sequence[View], shape: tuple[int, ...]) -> View:
    """The result of a call of a function. Raises Unknown if no layer says what it does."""
    if name not in RULES:
        raise Unknown("no layer is this function")
    call = Call(scribe, replay, views, shape)
    turned = getattr(replay.func, "__name__", "") in ("__rsub__", "rsub", "__rtruediv__", "__rdiv__")
    return (_reversed(name) if turned else RULES[name])(call)


def _reshaped(call: Call) -> View:
    return call.scribe.reshaped(call.first, call.shape)


def _passed(call: Call) -> View:
    if call.first.shape != call.shape:
        raise Unknown("it changes the shape")
    return call.first


def _contiguous(call: Call) -> View:
    scribe, view = call.scribe, call.first
    if not scribe.exact or view.is_plain:
        return _passed(call)
    written = scribe.written(view, {3: "b n c", 4: "b c h w"}.get(len(view.shape)))
    return View(scribe.add("contiguous", {}, [written]).ref, written.parts, written.axes)


def _dropped(call: Call) -> View:
    if call.argument(1, "p", 0.5):
        raise Unknown("drops in training, which no module of the model says")
    return call.first


def _cast(call: Call) -> View:
    for one in (*call.given[1:], *call.named.values()):
        if isinstance(one, torch.dtype) and one is not torch.float32:
            raise Unknown(f"to {one}")
    return _passed(call)


def _permuted(call: Call) -> View:
    order = call.dims(1, "dims")
    if order is None:
        raise Unknown("its axes are not numbers")
    return call.first.permuted(order)


def _transposed(call: Call) -> View:
    one, other = call.argument(1, "dim0"), call.argument(2, "dim1")
    order = list(range(len(call.first.shape)))
    order[one], order[other] = order[other], order[one]
    return call.first.permuted(order)


def _turned(call: Call) -> View:
    order = list(range(len(call.first.shape)))
    return call.first.permuted([*order[:-2], order[-1], order[-2]])


def _expanded(call: Call) -> View:
    return call.first.expand(call.shape)


def _elementwise(op: str) -> Rule:
    def rule(call: Call) -> View:
        call.only("alpha")
        one, other = call.argument(0, "input"), call.argument(1, "other")
        if call.named.get("alpha", 1) != 1:
            raise Unknown(f"with alpha={call.named['alpha']}")
        return call.scribe.merged(op, one, other)

    return rule


def offsets_of(index: Tensor, entries: int) -> dict[str, Any] | None:
    """The options of `by_offset` that give these indices into a table; None if there are none."""
    for stride in (1, 2):
        for rows in range(1, entries + 1):
            for columns in {rows, *(() if entries % rows else (entries // rows,))}:
                for signed in (True, False):
                    if entries_of((rows, columns), signed) != entries:
                        continue
                    computed = offsets((rows, columns), signed, stride, index.device).flatten()
                    if computed.shape == index.shape and torch.equal(computed, index):
                        found: dict[str, Any] = {"window": [rows, columns]}
                        return found | ({} if signed else {"signed": False}) | ({"stride": 2} if stride == 2 else {})
    return None


def _reversed(op: str) -> Rule:
    return lambda call: call.scribe.merged(op, call.argument(1, "other"), call.argument(0, "input"))


def _layer(op: str, **options: Any) -> Rule:
    def rule(call: Call) -> View:
        call.only("inplace", "input")
        if len(call.given) > 1 and any(type(one) is not bool for one in call.given[1:]):
            raise Unknown("with further arguments")
        return call.scribe.layer(op, options, [call.first])

    return rule


def _gelu(call: Call) -> View:
    return call.scribe.layer("gelu", {"approximate": call.named.get("approximate", "none")}, [call.first])


def _softmax(call: Call) -> View:
    dim = call.argument(1, "dim", -1)
    count = len(call.first.shape)
    options = {} if dim % count == count - 1 else {"dim": dim % count}
    return call.scribe.layer("softmax", options, [call.first])


def _normalised(call: Call) -> View:
    if call.argument(1, "p", 2.0) != 2:
        raise Unknown("of another power than 2")
    dim, eps = call.argument(2, "dim", 1), call.argument(3, "eps", 1e-12)
    return call.scribe.layer("l2_norm", {"dim": dim % len(call.first.shape), "eps": eps}, [call.first])


def _layer_normed(call: Call) -> View:
    weight, bias = call.argument(2, "weight"), call.argument(3, "bias")
    if weight is not None or bias is not None or list(call.argument(1, "normalized_shape")) != [call.shape[-1]]:
        raise Unknown("with weights of no module that is a layer")
    return call.scribe.layer("layer_norm", {"eps": call.argument(4, "eps", 1e-5), "affine": False}, [call.first])


def _negated(call: Call) -> View:
    return call.scribe.layer("scale", {"factor": -1.0}, [call.first])


def _squared(call: Call) -> View:
    if call.argument(1, "exponent", 2) != 2:
        raise Unknown("to another power than 2")
    return call.scribe.merged("mul", call.first, call.first)


def _matmul(call: Call) -> View:
    one, other = call.argument(0, "input"), call.argument(1, "other", call.named.get("mat2"))
    return call.scribe.layer("matmul", {}, [one, other])


def _concat(call: Call) -> View:
    tensors = call.argument(0, "tensors")
    dim = call.argument(1, "dim", 0) % len(call.shape)
    return call.scribe.concat(list(tensors), dim)


def _stacked(call: Call) -> View:
    dim = call.argument(1, "dim", 0) % len(call.shape)
    if dim == 0:
        # The batch stays first; only the view puts the new axis before it.
        batch, *rest = call.shape[1:]
        tensors = [call.scribe.reshaped(one, (batch, 1, *rest)) for one in call.argument(0, "tensors")]
        return call.scribe.concat(tensors, 1).permuted([1, 0, *range(2, len(call.shape))])
    shape = [*call.shape[:dim], 1, *call.shape[dim + 1 :]]
    return call.scribe.concat([call.scribe.reshaped(one, shape) for one in call.argument(0, "tensors")], dim)


def _unbound(call: Call) -> View:
    dim = call.argument(1, "dim", 0) % len(call.first.shape)
    return call.scribe.selected(call.first, dim, int(call.item[0]))


def _chunked(call: Call) -> View:
    dim = call.argument(2, "dim", 0) % len(call.first.shape)
    length, count = call.first.shape[dim], call.argument(1, "chunks")
    size = math.ceil(length / count)
    start = int(call.item[0]) * size if call.item else 0
    return call.scribe.sliced(call.first, dim, start, min(length, start + size))


def _split(call: Call) -> View:
    dim = call.argument(2, "dim", 0) % len(call.first.shape)
    sizes = call.argument(1, "split_size_or_sections", call.named.get("split_size", call.named.get("split_sizes")))
    number, length = int(call.item[0]) if call.item else 0, call.first.shape[dim]
    start = number * sizes if isinstance(sizes, int) else sum(sizes[:number])
    return call.scribe.sliced(
        call.first, dim, start, min(length, start + (sizes if isinstance(sizes, int) else sizes[number]))
    )


def _indexed(call: Call) -> View:
    view, index = call.first, call.given[1]
    parts = list(index) if isinstance(index, tuple) else [index]
    if any(isinstance(one, View | list) for one in parts):
        return _by_offset(call, parts)
    axes = sum(one is not None and one is not Ellipsis for one in parts)
    if Ellipsis in [one for one in parts if one is Ellipsis]:
        at = next(number for number, one in enumerate(parts) if one is Ellipsis)
        parts[at : at + 1] = [slice(None)] * (len(view.shape) - axes)
    dim = 0
    for one in parts:
        if one is None:
            shape = [*view.shape[:dim], 1, *view.shape[dim:]]
            view = call.scribe.reshaped(view, shape)
            dim += 1
        elif isinstance(one, slice):
            start, stop, step_ = one.indices(view.shape[dim])
            view = call.scribe.sliced(view, dim, start, stop, step_)
            dim += 1
        elif type(one) is int:
            view = call.scribe.selected(view, dim, one % view.shape[dim])
        else:
            raise Unknown(f"with {one!r} as index")
    return view


def _by_offset(call: Call, parts: Sequence[Any]) -> View:
    """An entry of a table for each pair of positions, by a buffer that says which."""
    at = [number for number, one in enumerate(parts) if isinstance(one, View)]
    others = [one for number, one in enumerate(parts) if number not in at]
    if len(at) != 1 or any(one != slice(None) for one in others):
        raise Unknown("with a tensor or list as index")
    index = parts[at[0]]
    values = call.scribe.buffers.get(index.ref.name)
    if values is None or values.is_meta:
        raise Unknown("with an index that is computed")
    table, dim = call.first, at[0]
    found = offsets_of(values.flatten(), table.shape[dim])
    if found is None:
        raise Unknown("with an index that is no offset between positions of a window")
    made = call.scribe.layer("by_offset", found | ({"dim": dim} if dim else {}), [table])
    return call.scribe.reshaped(made, call.shape)


def _mean(call: Call) -> View:
    call.only("dim", "keepdim", "axis")
    dims = call.argument(1, "dim", call.named.get("axis"))
    if dims is None:
        raise Unknown("over all axes")
    listed = [dims] if isinstance(dims, int) else list(dims)
    keepdim = bool(call.argument(2, "keepdim", False))
    return call.scribe.mean(call.first, sorted(one % len(call.first.shape) for one in listed), keepdim)


def _reduced(how: str) -> Rule:
    def rule(call: Call) -> View:
        dims = call.argument(1, "dim")
        if dims is None:
            raise Unknown("over all axes")
        listed = [dims] if isinstance(dims, int) else list(dims)
        options = {"how": how, "dims": sorted(one % len(call.first.shape) for one in listed)}
        keepdim = bool(call.argument(2, "keepdim", False))
        view = call.scribe.layer("reduce", options | ({"keepdim": True} if keepdim else {}), [call.first])
        return view

    return rule


def _padded(call: Call) -> View:
    amounts, mode = list(call.argument(1, "pad")), call.argument(2, "mode", "constant")
    value = call.argument(3, "value", 0) or 0
    if mode != "constant" or value != 0:
        raise Unknown(f"with mode {mode} and value {value}")
    if any(one < 0 for one in amounts):
        raise Unknown("with a negative number of zeros")
    if not any(amounts):
        return call.first
    return call.scribe.padded(call.first, amounts)


def _attended(call: Call) -> View:
    call.only("attn_mask", "dropout_p", "is_causal", "scale", "query", "key", "value")
    q, k, v = (call.argument(number, name) for number, name in enumerate(("query", "key", "value")))
    mask = call.argument(3, "attn_mask")
    if call.argument(5, "is_causal", False) or call.argument(4, "dropout_p", 0.0):
        raise Unknown("with a causal mask or dropout")
    scale = call.named.get("scale")
    return call.scribe.attended(q, k, v, mask, scale)


def _interpolated(call: Call) -> View:
    call.only("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias")
    if call.named.get("antialias"):
        raise Unknown("with antialias")
    mode = call.argument(3, "mode", "nearest")
    options: dict[str, Any] = {"mode": mode}
    if (corners := call.argument(4, "align_corners")) is not None and not mode.startswith("nearest"):
        options["align_corners"] = corners
    size, factor = call.argument(1, "size"), call.argument(2, "scale_factor")
    if factor is not None:
        options["scale_factor"] = factor if isinstance(factor, int | float) else list(factor)
    else:
        sides = [size] * 2 if isinstance(size, int) else [int(one) for one in size]
        options["size"] = sides
    return call.scribe.layer("upsample", options, [call.first])


def _pooled(op: str) -> Rule:
    def rule(call: Call) -> View:
        kernel = call.argument(1, "kernel_size")
        stride = call.argument(2, "stride") or kernel
        options: dict[str, Any] = {
            "kernel_size": kernel,
            "stride": stride,
            "padding": call.argument(3, "padding", 0),
            "ceil_mode": bool(call.argument(5 if op == "max_pool" else 4, "ceil_mode", False)),
        }
        if op == "avg_pool":
            options["count_include_pad"] = bool(call.argument(5, "count_include_pad", True))
        elif call.argument(4, "dilation", 1) not in (1, (1, 1), [1, 1]):
            raise Unknown("with dilation")
        return call.scribe.layer(op, {name: _one(value) for name, value in options.items()}, [call.first])

    return rule


def _one(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return value[0] if len(set(value)) == 1 else list(value)
    return value


def _adaptive(op: str, whole: str) -> Rule:
    def rule(call: Call) -> View:
        size = _one(call.argument(1, "output_size"))
        if size == 1:
            return call.scribe.layer(whole, {"keepdim": True}, [call.first])
        return call.scribe.layer(op, {"output_size": size}, [call.first])

    return rule


def _rolled(call: Call) -> View:
    shifts, dims = call.argument(1, "shifts"), call.argument(2, "dims")
    shifts, dims = ([one] if isinstance(one, int) else list(one) for one in (shifts, dims))
    if not any(shifts):
        return call.first
    dims = [one % len(call.first.shape) for one in dims]
    return call.scribe.layer("roll", {"shifts": shifts, "dims": dims}, [call.first])


def _shuffled(call: Call) -> View:
    return call.scribe.layer("pixel_shuffle", {"upscale_factor": call.argument(1, "upscale_factor")}, [call.first])


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        ("view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "reshape_as", "view_as"), _reshaped
    ),
    "contiguous": _contiguous,
    **dict.fromkeys(("clone", "detach"), _passed),
    "dropout": _dropped,
    **dict.fromkeys(("to", "float", "type_as"), _cast),
    "permute": _permuted,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _transposed),
    "mT": _turned,
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), _expanded),
    **{name: _elementwise(name) for name in ("add", "sub", "mul", "div")},
    **{name: _layer(name) for name in ("relu", "relu6", "sigmoid", "tanh", "silu")},
    "hardswish": _layer("hard_swish"),
    "hardsigmoid": _layer("hard_sigmoid"),
    "gelu": _gelu,
    **dict.fromkeys(("softmax",), _softmax),
    "normalize": _normalised,
    "layer_norm": _layer_normed,
    "neg": _negated,
    **dict.fromkeys(("square", "pow"), _squared),
    **dict.fromkeys(("matmul", "bmm"), _matmul),
    "concat": _concat,
    "stack": _stacked,
    "unbind": _unbound,
    "chunk": _chunked,
    **dict.fromkeys(("split", "split_with_sizes"), _split),
    "getitem": _indexed,
    "mean": _mean,
    "sum": _reduced("sum"),
    "amax": _reduced("max"),
    "pad": _padded,
    "scaled_dot_product_attention": _attended,
    "interpolate": _interpolated,
    "max_pool2d": _pooled("max_pool"),
    "avg_pool2d": _pooled("avg_pool"),
    "adaptive_avg_pool2d": _adaptive("adaptive_avg_pool", "global_avg_pool"),
    "adaptive_max_pool2d": _adaptive("adaptive_max_pool", "global_max_pool"),
    "roll": _rolled,
    "pixel_shuffle": _shuffled,
}
