"""SE: squeeze-and-excitation. Hu et al., Squeeze-and-Excitation Networks, CVPR 2018."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from composer.arithmetic import make_divisible
from composer.kernels import fused
from composer.kernels.channel import gated_by_mean
from composer.kernels.passes import is_large
from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.options import PositiveInt
from composer.registry import mechanism

_ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "hard_swish": nn.Hardswish}
_GATES = {"sigmoid": nn.Sigmoid, "hard_sigmoid": nn.Hardsigmoid}


@mechanism(
    "se",
    kind="channel",
    layout="b c *",
    aliases=("se-net", "squeeze-and-excitation", "squeeze excite", "SELayer", "SEModule", "通道注意力"),
)
class SqueezeExcitation(ChannelGate):
    """Rescale each channel by a gate computed from the globally pooled input.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid(W2 relu(W1 mean_hw(x)))        W1: c -> d,  W2: d -> c,  d = max(1, c // r)
    Params:  2cd + c + d;  2cd without bias
    MACs:    2cd
    Source:  Hu et al., Squeeze-and-Excitation Networks, CVPR 2018, eq. 2-4. arXiv:1709.01507
    Departs: biases are on, as in the authors' code; the equations have none.
    Start:   N(0, 2 / outputs) and zero biases: He et al., as the paper says, in the form of timm's EfficientNets.

    `reduction` is r. `names: conv` names the layers conv_reduce and conv_expand, as in EfficientNets' weights.
    `init: lecun` draws its weights from N(0, 1 / inputs), as NFNets do, in place of N(0, 2 / outputs).
    `hidden` sets d directly. `round_to` makes d its multiple nearest to c / r, but at most 10 % below c / r.

    >>> sum(p.numel() for p in SqueezeExcitation(64, reduction=4).parameters())
    2128
    """

    def __init__(
        self,
        channels: int,
        spatial_dims: int = 2,
        *,
        reduction: PositiveInt = 16,
        hidden: PositiveInt | None = None,
        round_to: PositiveInt | None = None,
        bias: bool = True,
        act: Literal["relu", "silu", "gelu", "hard_swish"] = "relu",
        gate: Literal["sigmoid", "hard_sigmoid"] = "sigmoid",
        names: Literal["fc", "conv"] = "fc",
        init: Literal["he", "lecun"] = "he",
    ):
        super().__init__(spatial_dims)
        if act not in _ACTIVATIONS:
            raise ValueError(f"se: unknown act {act!r}; use one of {', '.join(_ACTIVATIONS)}")
        if gate not in _GATES:
            raise ValueError(f"se: unknown gate {gate!r}; use one of {', '.join(_GATES)}")
        if hidden is not None and round_to is not None:
            raise ValueError(f"se: hidden={hidden} is already exact; remove round_to={round_to}")
        if hidden is None:
            hidden = make_divisible(channels / reduction, round_to) if round_to else max(1, channels // reduction)
        self.names = ("fc1", "fc2") if names == "fc" else ("conv_reduce", "conv_expand")
        down, up = self.pointwise(channels, hidden, bias=bias), self.pointwise(hidden, channels, bias=bias)
        self.add_module(self.names[0], down)
        self.act = _ACTIVATIONS[act]()
        self.add_module(self.names[1], up)
        self.gate = _GATES[gate]()
        for layer in (down, up):
            if init == "he":
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            else:
                nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="linear")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def excite(self, z: Tensor) -> Tensor:
        """The gate of a pooled input, both b c 1 1."""
        down, up = (getattr(self, name) for name in self.names)
        return self.gate(up(self.act(down(z))))

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c 1 1, in (0, 1)."""
        return self.excite(self.mean(x))

    @fused(gated_by_mean, where=is_large)
    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
