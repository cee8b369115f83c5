"""Which of composer's layers a module or a function is, with the options that a spec would write for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from composer.arithmetic import lengths, same_paddings

Written = tuple[str, dict[str, Any]]


def layer_of(module: nn.Module) -> Written | None:
    """The name and options of the layer that a module is; None if composer has none that is certainly the same."""
    rule = _LAYERS.get(type(module))
    return None if rule is None else rule(module)


def _conv(name: str) -> Callable[[Any], Written | None]:
    def written(module: Any) -> Written | None:
        if module.padding_mode != "zeros":
            return None
        padding = _padding(module)
        if padding is None:
            return None
        return name, _without_default({**_settings(module), "padding": padding}, module.dilation)

    return written


def settings_of(module: nn.Module | None, arriving: Sequence[int], given: Sequence[int]) -> dict[str, Any]:
    """What a convolution of a class of its own hands on to what replaces it; empty for other modules.

    arriving, given  the shapes of its input and its output. Padding that does not lead from one to the other is left
                     out: the class pads by itself
    """
    if not isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return {}
    found, padding = _settings(module), _padding(module)
    if padding is None or len(arriving) != len(given):
        return found
    sizes = zip(arriving[2:], given[2:], module.kernel_size, module.stride, module.dilation, strict=False)
    pads = padding if isinstance(padding, list) else [padding] * len(arriving[2:])
    fits = all(
        (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1 == wanted
        for (size, wanted, kernel, stride, dilation), pad in zip(sizes, pads, strict=True)
    )
    return {**found, "padding": padding} if fits else found


def _settings(module: Any) -> dict[str, Any]:
    return {
        "out_channels": module.out_channels,
        "kernel_size": _one(module.kernel_size),
        "stride": _one(module.stride),
        "dilation": _one(module.dilation),
        "groups": module.groups,
        "bias": module.bias is not None,
    }


def _padding(module: Any) -> Any:
    """The zeros on both sides; None if they differ."""
    if module.padding == "valid":
        return 0
    if module.padding != "same":
        return _one(module.padding)
    reach = [each * (size - 1) for each, size in zip(module.dilation, module.kernel_size, strict=True)]
    return None if any(one % 2 for one in reach) else _one(tuple(one // 2 for one in reach))


def _without_default(options: dict[str, Any], dilation: Any) -> dict[str, Any]:
    """The options without a padding that the layer has by itself."""
    axes = len(dilation) if isinstance(dilation, tuple) else 2
    if lengths(options["padding"], axes) == same_paddings(options["kernel_size"], dilation, axes):
        del options["padding"]
    return options


def _one(sizes: Any) -> Any:
    """One number where all are equal."""
    if isinstance(sizes, tuple) and len(set(sizes)) == 1:
        return sizes[0]
    return list(sizes) if isinstance(sizes, tuple) else sizes


def _linear(module: nn.Linear) -> Written:
    return "linear", {"out_features": module.out_features, "bias": module.bias is not None}


def _batch_norm(module: Any) -> Written | None:
    if not module.track_running_stats or module.momentum is None:
        return None
    return "batch_norm", {"eps": module.eps, "momentum": module.momentum, "affine": module.affine}


def _layer_norm(module: nn.LayerNorm) -> Written | None:
    if len(module.normalized_shape) != 1:
        return None
    affine = module.weight is not None
    return "layer_norm", {"eps": module.eps, "affine": affine, "bias": module.bias is not None or not affine}


def _group_norm(module: nn.GroupNorm) -> Written | None:
    return "group_norm", {"num_groups": module.num_groups, "eps": module.eps, "affine": module.affine}


def _plain(name: str, **options: str) -> Callable[[Any], Written]:
    """A layer whose options are attributes of the module."""
    return lambda module: (name, {option: getattr(module, attribute) for option, attribute in options.items()})


def _pool(name: str) -> Callable[[Any], Written | None]:
    def written(module: Any) -> Written | None:
        if _one(getattr(module, "dilation", 1)) != 1 or getattr(module, "return_indices", False):
            return None
        if getattr(module, "divisor_override", None):
            return None
        found = {
            "kernel_size": _one(module.kernel_size),
            "stride": _one(module.stride),
            "padding": _one(module.padding),
            "ceil_mode": module.ceil_mode,
        }
        if name == "avg_pool":
            found["count_include_pad"] = module.count_include_pad
        return name, _without_default(found, 1)

    return written


def _adaptive(name: str, whole: str) -> Callable[[Any], Written | None]:
    def written(module: Any) -> Written | None:
        if getattr(module, "return_indices", False):
            return None
        size = _one(module.output_size)
        return (whole, {"keepdim": True}) if size == 1 else (name, {"output_size": size})

    return written


def _upsample(module: nn.Upsample) -> Written:
    given = {"size": module.size, "scale_factor": module.scale_factor, "mode": module.mode}
    found = {name: _one(value) for name, value in given.items() if value is not None}
    if module.align_corners is not None:
        found["align_corners"] = module.align_corners
    return "upsample", found


def _zero_pad(module: nn.ZeroPad2d) -> Written | None:
    sides = dict(zip(("left", "right", "top", "bottom"), module.padding, strict=True))
    return ("zero_pad", sides) if min(sides.values()) >= 0 else None


def _conv_transpose(module: nn.ConvTranspose2d) -> Written | None:
    found = _conv("conv_transpose2d")(module)
    if found is None:
        return None
    return found[0], {**found[1], "output_padding": _one(module.output_padding)}


def _prelu(module: nn.PReLU) -> Written:
    return "prelu", {"num_parameters": module.num_parameters}


def _softmax(module: nn.Softmax) -> Written | None:
    return None if module.dim is None or (module.dim < 0 and module.dim != -1) else ("softmax", {"dim": module.dim})


_LAYERS: Mapping[type, Callable[[Any], Written | None]] = {
    nn.Conv1d: _conv("conv1d"),
    nn.Conv2d: _conv("conv2d"),
    nn.Conv3d: _conv("conv3d"),
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.BatchNorm3d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
    nn.ReLU: _plain("relu"),
    nn.ReLU6: _plain("relu6"),
    nn.SiLU: _plain("silu"),
    nn.GELU: _plain("gelu", approximate="approximate"),
    nn.Hardswish: _plain("hard_swish"),
    nn.Hardsigmoid: _plain("hard_sigmoid"),
    nn.Sigmoid: _plain("sigmoid"),
    nn.Tanh: _plain("tanh"),
    nn.LeakyReLU: _plain("leaky_relu", negative_slope="negative_slope"),
    nn.Identity: _plain("identity"),
    nn.Dropout: _plain("dropout", p="p"),
    nn.PReLU: _prelu,
    nn.Softmax: _softmax,
    **dict.fromkeys((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), _pool("max_pool")),
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), _pool("avg_pool")),
    nn.AdaptiveAvgPool1d: _adaptive("adaptive_avg_pool", "global_avg_pool"),
    nn.AdaptiveAvgPool2d: _adaptive("adaptive_avg_pool", "global_avg_pool"),
    nn.AdaptiveMaxPool2d: _adaptive("adaptive_max_pool", "global_max_pool"),
    nn.Upsample: _upsample,
    nn.ZeroPad2d: _zero_pad,
    nn.ConvTranspose2d: _conv_transpose,
    nn.PixelShuffle: _plain("pixel_shuffle", upscale_factor="upscale_factor"),
    nn.PixelUnshuffle: _plain("pixel_unshuffle", downscale_factor="downscale_factor"),
}


def function_of(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], num_tensors: int) -> Written | None:
    """As `layer_of`, for a function: its name as recorded, its arguments with something else where tensors stand."""
    if name in ("add", "mul", "sub", "div") and len(args) == num_tensors == 2 and not kwargs:
        return name, {}
    if name in ("relu", "sigmoid", "tanh") and num_tensors == 1 and len(args) == 1 and not kwargs.get("inplace"):
        return name, {}
    return None
