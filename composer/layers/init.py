"""How the weights of PyTorch's own layers are drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from torch import Tensor, nn

from composer.options import FiniteFloat
from composer.seeds import generator

Weighted = TypeVar("Weighted", nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)
ConvLaw = Literal[
    "he",
    "he_per_group",
    "he_fan_in",
    "lecun_normal",
    "normal",
    "trunc_normal",
    "xavier_uniform",
    "xavier_normal",
    "zeros",
    "torch",
]
TransposedLaw = Literal["torch", "normal", "trunc_normal", "xavier_uniform", "xavier_normal", "zeros"]
LinearLaw = Literal["torch", "uniform_fan_out", "normal", "trunc_normal", "xavier_uniform", "xavier_normal", "zeros"]
BiasLaw = Literal["zeros", "torch", "normal"] | FiniteFloat
# Classes that make a layer of PyTorch's as its own class does, but for drawing the weights.
_UNDRAWN: Mapping[Any, Any] = {
    kind: type(kind.__name__, (kind,), {"reset_parameters": lambda self: None})
    for kind in (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)
}
# Deviation of biases that are drawn, as in ViT and MLP-Mixer.
BIAS_STD = 1e-6


def undrawn(kind: type[Weighted], *arguments: Any) -> Weighted:
    """A PyTorch layer with uninitialised weights, on the device where a new layer's weights would be."""
    made: Weighted = _UNDRAWN[kind](*arguments)
    made.__class__ = kind
    return made


def fill(module: Weighted, law: str, std: float = 0.02, bias_law: BiasLaw | None = None) -> Weighted:
    """Draw a layer's weights and bias anew, and return the layer.

    law       for a convolution k x k (k² is the size of any other kernel) with g groups, c inputs and o outputs
              (He et al., Delving Deep into Rectifiers, ICCV 2015): `he`: N(0, 2 / (k² o)), `he_per_group`:
              N(0, 2 g / (k² o)), `he_fan_in`: N(0, 2 g / (k² c)), and `lecun_normal`: variance g / (k² c), a normal
              law cut off at two deviations;
              for a linear layer with o outputs: `uniform_fan_out`: between -1/sqrt(o) and 1/sqrt(o); for both:
              `normal`: N(0, std²), `trunc_normal`: the same, cut off at -2 and 2, `xavier_uniform` and `xavier_normal`:
              PyTorch's of that name (Glorot & Bengio, AISTATS 2010), `zeros`, and `torch`: PyTorch's own
    std       standard deviation for `normal` and `trunc_normal`
    bias_law  `zeros`, `normal`: N(0, 1e-12), `torch`: PyTorch's own, or a number that all biases start at; by default
              `torch` with `torch` weights, otherwise `zeros`
    """
    if module.weight.is_meta:
        return module
    if "torch" in (law, bias_law):
        _draw_as_torch(module)
    if law != "torch":
        _draw(module, law, std)
    if module.bias is not None:
        _draw_bias(module.bias, ("torch" if law == "torch" else "zeros") if bias_law is None else bias_law)
    return module


def _draw_as_torch(module: nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.Linear) -> None:
    """What `reset_parameters` does, from our generator."""
    nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator())
    if module.bias is not None:
        bound = module.weight[0].numel() ** -0.5
        nn.init.uniform_(module.bias, -bound, bound, generator())


def _draw_bias(bias: Tensor, law: BiasLaw) -> None:
    """Fill the bias of a layer that has PyTorch's own biases if the law is `torch`."""
    if law == "normal":
        nn.init.normal_(bias, std=BIAS_STD, generator=generator())
    elif law != "torch":
        nn.init.constant_(bias, 0.0 if law == "zeros" else law)


def _draw(module: nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.Linear, law: str, std: float) -> None:
    weight, own = module.weight, generator()
    if law in ("he", "he_fan_in"):
        nn.init.kaiming_normal_(weight, mode="fan_out" if law == "he" else "fan_in", nonlinearity="relu", generator=own)
    elif law == "he_per_group":
        assert isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)
        nn.init.normal_(weight, std=(2 * module.groups * weight.shape[1] / weight.numel()) ** 0.5, generator=own)
    elif law == "lecun_normal":
        # Divided by the deviation of N(0, 1) that is cut off at -2 and 2.
        deviation = weight[0].numel() ** -0.5 / 0.87962566103423978
        nn.init.trunc_normal_(weight, std=deviation, a=-2 * deviation, b=2 * deviation, generator=own)
    elif law == "uniform_fan_out":
        bound = weight.shape[0] ** -0.5
        nn.init.uniform_(weight, -bound, bound, own)
    elif law == "xavier_uniform":
        nn.init.xavier_uniform_(weight, generator=own)
    elif law == "xavier_normal":
        nn.init.xavier_normal_(weight, generator=own)
    elif law == "zeros":
        nn.init.zeros_(weight)
    elif law == "normal":
        nn.init.normal_(weight, std=std, generator=own)
    else:
        nn.init.trunc_normal_(weight, std=std, generator=own)
