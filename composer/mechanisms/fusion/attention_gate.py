"""The attention gate of Attention U-Net. Oktay et al., Attention U-Net, MIDL 2018."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism(
    "attention_gate",
    kind="fusion",
    applied="gate",
    aliases=("attention u-net", "attention unet", "grid attention", "additive attention gate", "注意力门"),
)
class AttentionGate(nn.Module):
    """Rescale each position of a map, such as a skip connection, by a gate that a coarser map helps to compute.

    Shape:   b c h w, b e i j -> b c h w
    Math:    y = BN(W (a * x))        a = up(sigmoid(psi(relu(theta(x) + up(phi(g))))))
             theta: c -> d, a convolution s × s of stride s,  phi: e -> d,  psi: d -> 1,  W: c -> c
             up: bilinear, to the size of theta(x) and then of x;  d = max(1, c // 2) unless `inner` sets it
    Params:  s² c d + e d + 2d + 1 + c² + 3c;  c d + e d + 7d + 3 at form monai
    MACs:    s² c d h' w' + e d i j + d h' w' + c² h w;  c d h w + e d h w + d h w at form monai
             h' w' = floor(h / s) floor(w / s)
    Source:  Oktay et al., Attention U-Net: Learning Where to Look for the Pancreas, MIDL 2018. arXiv:1804.03999
    Departs: nothing from the authors' code; W and its norm are there and not in the paper. `form: monai` is MONAI's, as
             most implementations for images: y = a * x,  a = sigmoid(BN(psi(relu(BN(theta(x)) + BN(phi(up(g))))))),
             theta: c -> d at each position. MONAI brings g to the size of x by a transposed convolution of its own.
    Start:   the authors' code: kernels N(0, 2 / inputs of an output), biases as PyTorch does, U(-b, b) with
             b = 1 / sqrt(inputs), the scale of BN N(1, 0.02²). `form: monai` is all as PyTorch does.

    x is the place's tensor, `gating` is g, which a rule binds: `from: {gating: ../up}`. It may be smaller than x, or of
    its size. `sub_sample` is s, of `form: oktay`; x must be s × s or larger.

    >>> sum(p.numel() for p in AttentionGate(64, 64, 14, 14).parameters())
    14593
    >>> sum(p.numel() for p in AttentionGate(64, 64, 14, 14, form="monai").parameters())
    4323
    """

    def __init__(
        self,
        channels: int,
        gating_channels: int,
        height: int,
        width: int,
        *,
        form: Literal["oktay", "monai"] = "oktay",
        inner: PositiveInt | None = None,
        sub_sample: PositiveInt = 2,
    ):
        super().__init__()
        inner = inner or max(1, channels // 2)
        self.form = form
        if form == "oktay":
            if min(height, width) < sub_sample:
                text = f"theta has a kernel of {sub_sample}×{sub_sample}, the map is {height}×{width}"
                raise ValueError(f"attention_gate: {text}; set sub_sample to {min(height, width)} or less")
            self.theta = nn.Conv2d(channels, inner, sub_sample, sub_sample, bias=False)
            self.phi = nn.Conv2d(gating_channels, inner, 1)
            self.psi = nn.Conv2d(inner, 1, 1)
            self.proj = nn.Conv2d(channels, channels, 1)
            self.proj_bn = nn.BatchNorm2d(channels)
            for layer in (self.theta, self.phi, self.psi, self.proj):
                nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(self.proj_bn.weight, 1.0, 0.02)
        else:
            self.theta, self.theta_bn = nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner)
            self.phi, self.phi_bn = nn.Conv2d(gating_channels, inner, 1), nn.BatchNorm2d(inner)
            self.psi, self.psi_bn = nn.Conv2d(inner, 1, 1), nn.BatchNorm2d(1)

    def attention(self, x: Tensor, gating: Tensor) -> Tensor:
        """The gate, b 1 h w, in (0, 1)."""
        if self.form == "monai":
            both = self.theta_bn(self.theta(x)) + self.phi_bn(self.phi(_at_size_of(x, gating)))
            return self.psi_bn(self.psi(both.relu())).sigmoid()
        theta = self.theta(x)
        both = theta + _at_size_of(theta, self.phi(gating))
        return _at_size_of(x, self.psi(both.relu()).sigmoid())

    def forward(self, x: Tensor, gating: Tensor) -> Tensor:
        y = x * self.attention(x, gating)
        return y if self.form == "monai" else self.proj_bn(self.proj(y))


def _at_size_of(x: Tensor, y: Tensor) -> Tensor:
    """The map y, bilinearly, on the positions of x."""
    return F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=False)
