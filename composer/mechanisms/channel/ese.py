"""eSE, also SE-Var-3: squeeze-and-excitation without the bottleneck. Lee & Park, CenterMask, CVPR 2020."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from composer.kernels import fused
from composer.kernels.channel import gated_by_mean
from composer.kernels.passes import is_large
from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.registry import mechanism

_GATES = {"sigmoid": nn.Sigmoid, "hard_sigmoid": nn.Hardsigmoid}


@mechanism("se_var3", kind="channel", layout="b c *")
@mechanism(
    "ese", kind="channel", layout="b c *", aliases=("effective squeeze-and-excitation", "vovnet", "EffectiveSEModule")
)
class EffectiveSE(ChannelGate):
    """Rescale each channel by a gate computed from the means of all channels, with one full matrix.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid(W mean_hw(x))        W: c -> c
    Params:  c² + c;  c² without bias
    MACs:    c²
    Source:  Lee & Park, CenterMask, CVPR 2020, eq. 3 (eSE). arXiv:1911.06667
             Wang et al., ECA-Net, CVPR 2020, table 2 (SE-Var-3). arXiv:1910.03151
    Departs: the bias is on, as in the authors' code; CenterMask's code has `gate: hard_sigmoid`.
    Start:   timm's VoVNet: N(0, 2 / c), and PyTorch's own biases, U(-b, b) with b = 1 / sqrt(c).

    >>> sum(p.numel() for p in EffectiveSE(64).parameters())
    4160
    """

    def __init__(
        self,
        channels: int,
        spatial_dims: int = 2,
        *,
        bias: bool = True,
        gate: Literal["sigmoid", "hard_sigmoid"] = "sigmoid",
    ):
        super().__init__(spatial_dims)
        if gate not in _GATES:
            raise ValueError(f"ese: unknown gate {gate!r}; use one of {', '.join(_GATES)}")
        self.fc = self.pointwise(channels, channels, bias=bias)
        self.gate = _GATES[gate]()
        nn.init.kaiming_normal_(self.fc.weight, mode="fan_out", nonlinearity="relu")

    def excite(self, z: Tensor) -> Tensor:
        """The gate of a pooled input, both b c 1 1."""
        return self.gate(self.fc(z))

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c 1 1, in (0, 1); with hard_sigmoid in [0, 1]."""
        return self.excite(self.mean(x))

    @fused(gated_by_mean, where=is_large)
    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
