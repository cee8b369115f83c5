"""The MobileViT block. Mehta & Rastegari, MobileViT, ICLR 2022."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.conv_norm import conv_norm
from composer.mechanisms.shared.divisors import dim_of_heads
from composer.mechanisms.shared.memory_format import in_format_of, with_gradient_in_format
from composer.mechanisms.shared.resized import at_multiple, at_size_of
from composer.mechanisms.token.mhsa import MultiHeadSelfAttention
from composer.options import PositiveInt
from composer.registry import mechanism

for _name in ("at_multiple", "at_size_of", "in_format_of", "with_gradient_in_format"):
    torch.fx.wrap(_name)


@mechanism(
    "mobilevit_block",
    kind="token",
    layout="b c h w",
    place={"after": "stage", "where": "last"},
    aliases=("mobilevit", "MobileViTBlock", "MobileVitBlock", "MobileViTAttention", "轻量视觉变换器"),
)
class MobileViTBlock(nn.Module):
    """Change a map by a transformer in which positions with one place in their patches look at each other.

    Shape:   b c h w -> b c h w
    Math:    y = F [x; P f(LN(T(u(W L x))))]        L: c -> c and F: 2c -> c of 3 × 3,  P: d -> c of 1 × 1, each with BN
             and silu;  W: c -> d of 1 × 1;  u: b d h w -> (b p²) n d, a sequence for each place in a patch of p × p,  f
             back;  T: l blocks x + mhsa(LN(x)), then x + W_2 silu(W_1 LN(x)),  W_1: d -> 2d
    Params:  27c² + 6c + 2c d + l (8d² + 11d) + 2d
    MACs:    27c² h w + 2c d h w + 8l d² h' w' + 2l d h' w' n        h' = p ceil(h / p),  w' = p ceil(w / p)
    Source:  Mehta & Rastegari, MobileViT, ICLR 2022. arXiv:2110.02178. The form of timm's MobileVitBlock.
    Departs: nothing from timm. A map that does not divide into patches is resized for T, and back, bilinearly.
    Start:   timm's: convolutions N(0, 2 / (k² outputs)), linear maps N(0, 0.01²), cut off at -2 and 2, and zero biases.

    In MobileViT it stands behind a block, in the last three stages. `dim` is d, by default 1.5c, rounded to the heads;
    `depth` is l, `patch` is p, and n is the number of patches. The networks `mobilevit_xxs` … have its nodes one by
    one, so that rules reach them.

    >>> sum(p.numel() for p in MobileViTBlock(64).parameters())
    273024
    """

    def __init__(
        self,
        channels: int,
        *,
        dim: PositiveInt | None = None,
        depth: PositiveInt = 2,
        num_heads: PositiveInt = 4,
        patch: PositiveInt = 2,
    ):
        super().__init__()
        dim = dim or num_heads * max(1, round(1.5 * channels / num_heads))
        dim_of_heads("mobilevit_block", dim, num_heads, ", or set dim")
        self.patch = patch
        self.conv_kxk = conv_norm(channels, channels, 3, act=True)
        self.conv_1x1 = nn.Conv2d(channels, dim, 1, bias=False)
        self.transformer = nn.Sequential(*[TransformerBlock(dim, num_heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)
        self.conv_proj = conv_norm(dim, channels, act=True)
        self.conv_fusion = conv_norm(2 * channels, channels, 3, act=True)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def attention(self, x: Tensor) -> Tensor:
        """The last block's weights of all patches for each patch, for each place in them and head: b (p² heads) n n."""
        tokens = self.transformer[:-1](unfolded(at_multiple(self.conv_1x1(self.conv_kxk(x)), self.patch), self.patch))
        last = self.transformer[-1]
        assert isinstance(last, TransformerBlock)
        weights = last.attn.attention(last.norm1(tokens))
        return weights.unflatten(0, (-1, self.patch**2)).flatten(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = with_gradient_in_format(x)
        local = self.conv_1x1(self.conv_kxk(x))
        resized = at_multiple(local, self.patch)
        tokens = self.norm(self.transformer(unfolded(resized, self.patch)))
        y = at_size_of(local, folded(tokens, resized, self.patch))
        return self.conv_fusion(torch.cat([x, self.conv_proj(in_format_of(x, y))], 1))


class TransformerBlock(nn.Module):
    """Self-attention and a perceptron of twice the width, each on what is normed and added to what it is given."""

    def __init__(self, dim: int, num_heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = MultiHeadSelfAttention(dim, num_heads=num_heads, std=0.01)
        layers = {"fc1": nn.Linear(dim, 2 * dim), "act": nn.SiLU(), "fc2": nn.Linear(2 * dim, dim)}
        self.mlp = nn.Sequential(OrderedDict(layers))
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x


def unfolded(x: Tensor, patch: int) -> Tensor:
    """A sequence for each place in a patch p × p: b c (h p) (w q) -> (b p q) (h w) c"""
    patches = x.unflatten(3, (-1, patch)).unflatten(2, (-1, patch))
    return patches.permute(0, 3, 5, 2, 4, 1).flatten(3, 4).flatten(0, 2)


def folded(tokens: Tensor, like: Tensor, patch: int) -> Tensor:
    """The same back, for a map like the second."""
    places = tokens.unflatten(0, (-1, patch**2)).permute(0, 3, 1, 2).flatten(1, 2)
    # A shuffle, because an export of any size cannot merge rows that it has permuted.
    return F.pixel_shuffle(places.unflatten(2, (like.shape[2] // patch, like.shape[3] // patch)), patch)
