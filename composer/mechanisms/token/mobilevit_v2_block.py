"""The MobileViTv2 block. Mehta & Rastegari, Separable Self-attention for Mobile Vision Transformers, 2022."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.layers.init import fill
from composer.mechanisms.shared.channel_norm import ChannelNorm
from composer.mechanisms.shared.conv_norm import conv_norm
from composer.mechanisms.shared.memory_format import in_format_of, with_gradient_in_format
from composer.mechanisms.shared.precision import at_least_float32
from composer.mechanisms.shared.resized import at_multiple, at_size_of
from composer.options import PositiveInt
from composer.registry import mechanism

for _name in ("at_least_float32", "at_multiple", "at_size_of", "in_format_of", "with_gradient_in_format"):
    torch.fx.wrap(_name)


@mechanism(
    "mobilevit_v2_block",
    kind="token",
    layout="b c h w",
    place={"after": "stage", "where": "last"},
    aliases=(
        *("mobilevit_v2", "mobilevitv2 block", "MobileViTv2Attention", "MobileVitV2Block", "separable self-attention"),
        *("linear self-attention", "可分离自注意力"),
    ),
)
class MobileViTv2Block(nn.Module):
    """Change a map by a transformer whose positions all get one context, a mixture that costs no more than they count.

    Shape:   b c h w -> b c h w
    Math:    y = P f(N(T(u(W L x))))        L: c -> c, depthwise, of 3 × 3, with BN and silu;  W: c -> d and P: d -> c,
             of 1 × 1, P with BN;  u: b d h w -> (b p²) n d, a sequence for each place in a patch p × p, f back
             T: l blocks x + a(N(x)), then x + W_2 silu(W_1 N(x)),  W_1: d -> 2d
             a(z) = W_o (relu(W_v z) Σ_n s W_k z)        s = softmax_n(w z), a number for each position of a sequence
             N: a norm over all channels and positions of an image, with a scale and shift for each channel
    Params:  13c + 2c d + l (7d² + 11d + 1) + 2d
    MACs:    9c h' w' + 2c d h' w' + l (7d² + d) h' w'        h' = p ceil(h / p),  w' = p ceil(w / p)
    Source:  Mehta & Rastegari, Separable Self-attention for Mobile Vision Transformers, 2022. arXiv:2206.02680. The
             form of timm's MobileVitV2Block.
    Departs: a map that does not divide into patches is resized bilinearly, as in timm, whose output stays so; here it
             gets the size of the input back.
    Start:   timm's: convolutions N(0, 2 g / (k² outputs)) with g groups, and zero biases.

    In MobileViTv2 it stands behind a block, in the last three stages. `dim` is d, by default c / 2; `depth` is l, and
    `patch` is p.

    >>> sum(p.numel() for p in MobileViTv2Block(64).parameters())
    20034
    """

    def __init__(
        self, channels: int, *, dim: PositiveInt | None = None, depth: PositiveInt = 2, patch: PositiveInt = 2
    ):
        super().__init__()
        dim = dim or max(1, channels // 2)
        self.patch = patch
        self.conv_kxk = conv_norm(channels, channels, 3, groups=channels, act=True)
        self.conv_1x1 = nn.Conv2d(channels, dim, 1, bias=False)
        self.transformer = nn.Sequential(*[LinearTransformerBlock(dim) for _ in range(depth)])
        self.norm = ChannelNorm(dim, 1)
        self.conv_proj = conv_norm(dim, channels)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                fill(layer, "he_per_group")

    def _places(self, x: Tensor) -> Tensor:
        """A resized map, by place in a patch and patch: b d (h p) (w q) -> b d (p q) (h w)"""
        y = self.conv_1x1(self.conv_kxk(x))
        patches = y.unflatten(3, (-1, self.patch)).unflatten(2, (-1, self.patch))
        return patches.permute(0, 1, 3, 5, 2, 4).flatten(4, 5).flatten(2, 3)

    def attention(self, x: Tensor) -> Tensor:
        """The shares of all patches in the last block's contexts, a context for each place in a patch: b p² 1 n.

        They sum to 1.
        """
        y = self.transformer[:-1](self._places(at_multiple(x, self.patch, align_corners=True)))
        last = self.transformer[-1]
        assert isinstance(last, LinearTransformerBlock)
        return last.attn.shares(last.norm1(y)).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        resized = at_multiple(with_gradient_in_format(x), self.patch, align_corners=True)
        y = self.norm(self.transformer(self._places(resized))).flatten(1, 2)
        # A shuffle, because an export of any size cannot merge rows that it has permuted.
        grid = (resized.shape[2] // self.patch, resized.shape[3] // self.patch)
        y = self.conv_proj(in_format_of(x, F.pixel_shuffle(y.unflatten(2, grid), self.patch)))
        return at_size_of(x, y, align_corners=True)


class LinearTransformerBlock(nn.Module):
    """Separable self-attention and a perceptron of twice the width, each on what is normed and added to its input."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm1, self.norm2 = ChannelNorm(dim, 1), ChannelNorm(dim, 1)
        self.attn = SeparableSelfAttention(dim)
        layers = {"fc1": nn.Conv2d(dim, 2 * dim, 1), "act": nn.SiLU(), "fc2": nn.Conv2d(2 * dim, dim, 1)}
        self.mlp = nn.Sequential(OrderedDict(layers))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x


class SeparableSelfAttention(nn.Module):
    """Gate the values of the n positions of each sequence by a mixture of their keys: b d p² n -> b d p² n."""

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        self.qkv_proj = nn.Conv2d(dim, 1 + 2 * dim, 1)
        self.out_proj = nn.Conv2d(dim, dim, 1)

    def shares(self, x: Tensor) -> Tensor:
        """What each position gives to the mixture, b 1 p² n, at least float32."""
        return at_least_float32(self.qkv_proj(x)[:, :1]).softmax(3)

    def forward(self, x: Tensor) -> Tensor:
        logits, keys, values = self.qkv_proj(x).split([1, self.dim, self.dim], 1)
        shares = at_least_float32(logits).softmax(3).to(keys.dtype)
        context = (keys * shares).sum(3, keepdim=True)
        return self.out_proj(values.relu() * context)
