"""Functions on tensors as steps of a spec: one rule per function. Those that only move axes are views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from composer.hosts.recording.replay import Replay
from composer.importing.recorded import functions_on_axes, functions_on_maps
from composer.importing.recorded.call import Call, Rule
from composer.importing.recorded.scope import Scribe, Unknown
from composer.importing.recorded.views import View


def step(name: str, scribe: Scribe, replay: Replay, views: Sequence[View], shape: tuple[int, ...]) -> View:
    """The result of a call of a function. Raises Unknown if no layer says what it does."""
    if name not in RULES:
        raise Unknown("no layer is this function")
    call = Call(scribe, replay, views, shape)
    turned = getattr(replay.func, "__name__", "") in ("__rsub__", "rsub", "__rtruediv__", "__rdiv__")
    return (_reversed(name) if turned else RULES[name])(call)


def _dropped(call: Call) -> View:
    if call.argument(1, "p", 0.5):
        raise Unknown("drops in training, which no module of the model says")
    return call.first


def _elementwise(op: str) -> Rule:
    def rule(call: Call) -> View:
        call.only("alpha")
        one, other = call.argument(0, "input"), call.argument(1, "other")
        if call.named.get("alpha", 1) != 1:
            raise Unknown(f"with alpha={call.named['alpha']}")
        return call.scribe.merged(op, one, other)

    return rule


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


RULES: Mapping[str, Rule] = {
    **functions_on_axes.RULES,
    **functions_on_maps.RULES,
    "dropout": _dropped,
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
}
