"""Functions on maps and attention, as steps of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from composer.importing.recorded.call import Call, Rule
from composer.importing.recorded.scope import Unknown
from composer.importing.recorded.views import View


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
