"""Which layers a module may be: what a spec would write for it. `certain` compares them, number by number."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from composer.hosts.recording.layers import layer_of
from composer.torch_private import AnyBatchNorm


@dataclass(frozen=True)
class Piece:
    """A layer of a chain that a module is. The one without a `suffix` has the module's name, and its weights."""

    op: str
    options: Mapping[str, Any] = field(default_factory=dict)
    suffix: str = ""


Chain = tuple[Piece, ...]


def is_plain(module: nn.Module) -> bool:
    """Whether it is a layer of PyTorch itself, which is never looked into."""
    made = type(module)
    return made.__module__.startswith("torch.nn.") and next(module.children(), None) is None


def chains(module: nn.Module) -> Iterator[Chain]:
    """What a module may be, the most likely first. For PyTorch's own layers, it is certain."""
    if (known := layer_of(module)) is not None:
        yield (Piece(*known),)
    if isinstance(module, nn.Linear):
        for axis in ("n", "h", "w"):
            options = {"out_features": module.out_features, "bias": module.bias is not None, "axis": axis}
            yield (Piece("axis_linear", options),)
    if is_plain(module):
        return
    for rule in _RULES:
        yield from rule(module)


def passes_on(module: nn.Module) -> bool:
    """Whether a module gives what it takes, in evaluation and in training."""
    if isinstance(module, nn.Identity) or (type(module) is nn.Sequential and not len(module)):
        return True
    return _is_drop(module) and not drop_rate(module)


def drop_rate(module: nn.Module) -> float:
    """How much a module drops in training, which no run in evaluation shows."""
    rate = getattr(module, "drop_prob", getattr(module, "p", None)) if _is_drop(module) else None
    return float(rate) if isinstance(rate, int | float) else 0.0


def _is_drop(module: nn.Module) -> bool:
    known = ("DropPath", "StochasticDepth", "DropBlock2d")
    return isinstance(module, nn.Dropout | nn.Dropout2d) or type(module).__name__ in known


def _activation(module: nn.Module) -> Iterator[Chain]:
    if next(module.children(), None) is not None or next(module.parameters(), None) is not None:
        return
    word = type(module).__name__.lower()
    if word in _ACTIVATIONS:
        yield (Piece(*_ACTIVATIONS[word]),)


_ACTIVATIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "gelu": ("gelu", {}),
    "gelutanh": ("gelu", {"approximate": "tanh"}),
    "swish": ("silu", {}),
    "silu": ("silu", {}),
    "swishme": ("silu", {}),
    "sigmoid": ("sigmoid", {}),
    "tanh": ("tanh", {}),
    "hardswish": ("hard_swish", {}),
    "hardswishme": ("hard_swish", {}),
    "hardsigmoid": ("hard_sigmoid", {}),
    "hardsigmoidme": ("hard_sigmoid", {}),
    "relu6": ("relu6", {}),
    "relu": ("relu", {}),
}


def _drop_path(module: nn.Module) -> Iterator[Chain]:
    rate = drop_rate(module)
    usual = getattr(module, "mode", "row") == "row" and getattr(module, "scale_by_keep", True)
    if type(module).__name__ in ("DropPath", "StochasticDepth") and rate and usual:
        yield (Piece("drop_path", {"p": rate}),)


def _linear(module: nn.Module) -> Iterator[Chain]:
    if isinstance(module, nn.Linear):
        yield (Piece("linear", {"out_features": module.out_features, "bias": module.bias is not None}),)


def _norm(module: nn.Module) -> Iterator[Chain]:
    found: list[Piece] = []
    if isinstance(module, nn.LayerNorm):
        options: dict[str, Any] = {"eps": module.eps, "affine": module.weight is not None}
        if module.weight is not None and module.bias is None:
            options["bias"] = False
        found = [Piece("layer_norm", options), Piece("layer_norm_2d", options)]
    elif isinstance(module, nn.GroupNorm):
        found = [Piece("group_norm", {"num_groups": module.num_groups, "eps": module.eps})]
    elif isinstance(module, AnyBatchNorm) and module.momentum is not None:
        affine = module.weight is not None
        found = [Piece("batch_norm", {"eps": module.eps, "momentum": module.momentum, "affine": affine})]
    for piece in found:
        yield from _with_activation(module, piece)


def _with_activation(module: nn.Module, piece: Piece) -> Iterator[Chain]:
    """A layer, and the activation that its module has as a child."""
    act = getattr(module, "act", None)
    if isinstance(act, nn.Module) and not passes_on(act):
        for chain in chains(act):
            if len(chain) == 1:
                yield piece, Piece(chain[0].op, chain[0].options, "act")
    elif next((one for one in module.children() if not passes_on(one)), None) is None:
        yield (piece,)


def _conv(module: nn.Module) -> Iterator[Chain]:
    if not isinstance(module, nn.Conv2d):
        return
    (kernel, *others), (stride, *_), (dilation, *_) = module.kernel_size, module.stride, module.dilation
    options: dict[str, Any] = {
        "out_channels": module.out_channels,
        "kernel_size": kernel,
        "stride": stride,
        "padding": 0,
        "dilation": dilation,
        "groups": module.groups,
        "bias": module.bias is not None,
    }
    pad = {"kernel_size": kernel, "stride": stride, "dilation": dilation}
    square = others == [kernel]
    if hasattr(module, "gain") and square:
        scaled = {name: value for name, value in options.items() if name != "padding"}
        scaled["eps"] = getattr(module, "eps", 1e-5)
        # From the shape alone: taking a part of the weights would be recorded as a step of the network.
        fan_in = math.prod(module.weight.shape[1:])
        scale = float(getattr(module, "scale", 1.0)) * fan_in**0.5
        scaled["gamma"] = round(scale, 12)
        for more in ({}, {"tensorflow_padding": True}, {"padding": module.padding[0]}):
            yield (Piece("scaled_std_conv2d", scaled | more),)
        return
    exact = options | {
        "kernel_size": _one(module.kernel_size),
        "stride": _one(module.stride),
        "padding": module.padding if isinstance(module.padding, str) else _one(module.padding),
        "dilation": _one(module.dilation),
    }
    if not isinstance(module.padding, str):
        yield (Piece("conv2d", exact),)
    if square:
        yield Piece("same_pad", pad, "pad"), Piece("conv2d", options)


def _one(sizes: Sequence[int]) -> Any:
    return sizes[0] if len(set(sizes)) == 1 else list(sizes)


def _scale(module: nn.Module) -> Iterator[Chain]:
    owned = dict(module.named_parameters())
    if list(owned) == ["gamma"] and owned["gamma"].ndim == 1 and next(module.children(), None) is None:
        yield (Piece("layer_scale"),)
        yield (Piece("layer_scale_2d"),)


def _response_norm(module: nn.Module) -> Iterator[Chain]:
    if "responsenorm" in type(module).__name__.lower() or hasattr(module, "spatial_dim"):
        eps = getattr(module, "eps", 1e-6)
        yield (Piece("grn", {"eps": eps}),)
        yield (Piece("grn_2d", {"eps": eps}),)


def _attention(module: nn.Module) -> Iterator[Chain]:
    parts = dict(module.named_children())
    owners = {name for name, one in parts.items() if next(one.parameters(), None) is not None}
    if owners != {"qkv", "proj"} or not isinstance(parts["qkv"], nn.Linear) or not hasattr(module, "num_heads"):
        return
    qkv, proj = parts["qkv"], parts["proj"]
    if not isinstance(proj, nn.Linear) or (qkv.bias is None) != (proj.bias is None):
        return
    heads: Any = module.num_heads
    options: dict[str, Any] = {"num_heads": heads}
    if qkv.out_features != 3 * qkv.in_features:
        options["head_dim"] = qkv.out_features // (3 * heads)
    if qkv.bias is None:
        options["bias"] = False
    yield (Piece("mhsa", options),)


def _gate(module: nn.Module) -> Iterator[Chain]:
    parts = {name for name, one in module.named_children() if next(one.parameters(), None) is not None}
    named: Any = module
    for names, down, up in (("fc", "fc1", "fc2"), ("conv", "conv_reduce", "conv_expand")):
        if parts != {down, up} or not isinstance(getattr(named, down), nn.Conv2d):
            continue
        first = getattr(named, down)
        options: dict[str, Any] = {"hidden": first.out_channels, "bias": first.bias is not None, "names": names}
        for act in ("relu", "silu", "gelu", "hard_swish"):
            for gate in ("sigmoid", "hard_sigmoid"):
                yield (Piece("se", options | {"act": act, "gate": gate}),)
    if parts == {"fc"} and isinstance(named.fc, nn.Conv2d):
        for gate in ("sigmoid", "hard_sigmoid"):
            yield (Piece("ese", {"bias": named.fc.bias is not None, "gate": gate}),)
    if parts == {"conv"} and isinstance(named.conv, nn.Conv1d):
        yield (Piece("eca", {"kernel_size": named.conv.kernel_size[0]}),)


def _pool(module: nn.Module) -> Iterator[Chain]:
    name = type(module).__name__
    if "Pool" not in name or next(module.parameters(), None) is not None:
        return
    if name.startswith(("SelectAdaptive", "FastAdaptive", "Global", "AdaptiveAvg")):
        for pool in ("global_avg_pool", "global_max_pool"):
            yield (Piece(pool),)
            yield (Piece(pool, {"keepdim": True}),)
    if hasattr(module, "kernel_size") and hasattr(module, "stride"):
        (kernel, *_), (stride, *_) = _listed(module.kernel_size), _listed(module.stride)
        pad = Piece("same_pad", {"kernel_size": kernel, "stride": stride}, "pad")
        # Padded zeros count for a mean, and lose against no maximum of what ReLU gives; only a comparison tells.
        yield pad, Piece("avg_pool", {"kernel_size": kernel, "stride": stride, "padding": 0})


def _listed(value: Any) -> list[int]:
    return list(value) if isinstance(value, tuple | list) else [value]


_RULES: tuple[Callable[[nn.Module], Iterator[Chain]], ...] = (
    _activation,
    _drop_path,
    _linear,
    _norm,
    _conv,
    _scale,
    _response_norm,
    _attention,
    _gate,
    _pool,
)


def same_numbers(
    module: nn.Module, run: Callable[[Sequence[Tensor]], Tensor], owner: nn.Module | None, shapes: Sequence[Any]
) -> bool:
    """Whether a chain gives what a module gives, bit by bit, with random weights of its own and random inputs.

    run    the chain on tensors
    owner  the layer of the chain that gets the module's weights
    shapes the shapes of the inputs
    """
    generator = torch.Generator().manual_seed(0)
    original = _random(module, generator)
    state = original.state_dict()
    if owner is not None:
        if {name: one.shape for name, one in owner.state_dict().items()} != {
            name: one.shape for name, one in state.items()
        }:
            return False
        owner.load_state_dict(state)
    elif state:
        return False
    tensors = [torch.randn(*shape, generator=generator) for shape in shapes]
    try:
        with torch.no_grad():
            return torch.equal(original(*[one.clone() for one in tensors]), run(tensors))
    except (RuntimeError, TypeError, ValueError):
        return False


def _random(module: nn.Module, generator: torch.Generator) -> nn.Module:
    made = copy.deepcopy(module)
    if any(one.is_meta for one in (*made.parameters(), *made.buffers())):
        made = made.to_empty(device="cpu")
    with torch.no_grad():
        for one in made.parameters():
            one.copy_(torch.randn(one.shape, generator=generator) * 0.5)
        for name, buffer in made.named_buffers():
            if name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
            elif name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
    return made.eval()
