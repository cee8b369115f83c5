"""Pooling by attention: one query looks at all positions, in place of their mean."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

from composer.layers.attention import check_heads, in_heads, weights_of
from composer.layers.positions import RotaryPositions
from composer.options import NonNegativeInt, PositiveFloat, PositiveInt
from composer.registry import layer


@layer("attention_pool", kind="pool", layout="b c h w -> b c", applied="positions")
class AttentionPool(nn.Module):
    """Pool a map by attention whose query is the mean of all positions, as CLIP's ResNets do.

    Shape:   b c h w -> b o        o = c unless `out_features` sets it
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(q_i K_iᵀ / sqrt(p)),  p = c / H
             q = W_q (m + e_0),  K, V = W_k z, W_v z        z = [m + e_0; x_1 + e_1; ...; x_n + e_n],  m = mean_j(x_j)
             rotary: all e are 0, and keys of positions are turned by row and column, as rotary_positions does
    Params:  3c² + 3c + co + o + (h w + 1) c;  3c fewer without qkv_bias;  (h w + 1) c fewer with rotary positions
    Source:  Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021, and the
             authors' code, AttentionPool2d. arXiv:2103.00020; rotary: timm's RotAttentionPool2d
    Departs: only the query that is kept is computed. timm's resamples its positions when it meets a map of another
             size; here they fit one size, another raises ValueError, and weights are resampled when they are loaded.

    `num_heads` is H, by default that of heads of 64 channels. `ref_feat_shape` is the map in whose steps rotary
    positions are measured. Names of the weights are timm's with separate queries, keys and values.

    >>> sum(p.numel() for p in AttentionPool(64, 7, 7).parameters())
    19840
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        num_heads: PositiveInt | None = None,
        out_features: PositiveInt | None = None,
        positions: Literal["learnt", "rotary"] = "learnt",
        ref_feat_shape: tuple[PositiveInt, PositiveInt] = (7, 7),
        qkv_bias: bool = True,
    ):
        super().__init__()
        heads = num_heads or max(1, channels // 64)
        check_heads("attention_pool", channels, heads)
        self.num_heads, self.size = heads, (height, width)
        self.q = _normal(channels, channels, qkv_bias)
        self.k = _normal(channels, channels, qkv_bias)
        self.v = _normal(channels, channels, qkv_bias)
        self.proj = _normal(channels, out_features or channels)
        self.pos_embed: nn.Parameter | None = None
        self.rotary: RotaryPositions | None = None
        if positions == "learnt":
            self.pos_embed = nn.Parameter(torch.empty(height * width + 1, channels))
            nn.init.normal_(self.pos_embed, std=channels**-0.5)
        elif channels // heads % 4:
            text = f"rotary positions take heads of a multiple of 4 channels, found {channels // heads}"
            raise ValueError(f"`attention_pool`: {text}; set num_heads")
        else:
            self.rotary = RotaryPositions(channels, height, width, 1, num_heads=heads, ref_feat_shape=ref_feat_shape)

    @property
    def position_grids(self) -> dict[str, tuple[int, int]]:
        """Name of each table of positions -> rows and columns of its map."""
        return {} if self.pos_embed is None else {"pos_embed": self.size}

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The query b heads 1 p, and keys and values b heads (1 + h w) p."""
        tokens = _of_size(x, self.size).flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1)
        if self.pos_embed is not None:
            tokens = tokens + self.pos_embed
        q, k, v = self.q(tokens[:, :1]), self.k(tokens), self.v(tokens)
        if self.rotary is not None:
            k = self.rotary(k)
        return in_heads(q, self.num_heads), in_heads(k, self.num_heads), in_heads(v, self.num_heads)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of the mean and of all positions, b heads 1 (1 + h w), at least float32; they sum to 1."""
        q, k, _ = self._heads(x)
        return weights_of(q, k, q.shape[3] ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(F.scaled_dot_product_attention(*self._heads(x)).flatten(1))

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}, size={self.size}"


def _normal(channels: int, out_features: int, bias: bool = True) -> nn.Linear:
    """A linear map as CLIP draws those of its pooling: N(0, 1 / c), and PyTorch's biases."""
    made = nn.Linear(channels, out_features, bias=bias)
    nn.init.normal_(made.weight, std=channels**-0.5)
    return made


def _of_size(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The map, unchanged. Raises ValueError if it has another size."""
    if tuple(x.shape[2:]) != size:
        wanted, found = ("×".join(map(str, one)) for one in (size, x.shape[2:]))
        raise ValueError(f"attention_pool: built for maps of {wanted}, found {found}; build it for that size")
    return x


# Traced as a single call, because a traced tensor has no shape to compare.
torch.fx.wrap("_of_size")


def _layout_of_both(name: str) -> Callable[..., str]:
    def layout(inputs: Sequence[Any], *, skip: int = 0, **options: Any) -> str:
        x = inputs[0]
        if x.layout not in ("b n c", "b c h w"):
            raise ValueError(f"`{name}` works on `b n c` and `b c h w`, found `{x.layout}`; rearrange it")
        count = x.axis("n") if x.layout == "b n c" else x.axis("h") * x.axis("w")
        if skip >= count:
            raise ValueError(f"`{name}` skips {skip} of {count} positions; set skip to {count - 1} or less")
        return "b c"

    return layout


class _TokenPool(nn.Module):
    """What pools of tokens and of maps share: `height` is 0 for tokens, and the first `skip` of them are left out."""

    def __init__(self, name: str, channels: int, height: int, num_heads: int, skip: int):
        super().__init__()
        check_heads(name, channels, num_heads)
        self.num_heads, self.skip, self.is_on_maps = num_heads, skip, height > 0

    def _tokens(self, x: Tensor) -> Tensor:
        """b n c"""
        tokens = x.flatten(2).transpose(1, 2) if self.is_on_maps else x
        return tokens[:, self.skip :]

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}" + (f", skip={self.skip}" if self.skip else "")


@layer("latent_attention_pool", kind="pool", layout=_layout_of_both("latent_attention_pool"), applied="positions")
class LatentAttentionPool(_TokenPool):
    """Pool tokens by attention whose query is learnt, and a perceptron: the MAP head of large vision transformers.

    Shape:   b n c -> b c;  b c h w -> b c
    Math:    y = z + W_2 gelu(W_1 LN(z)),  W_1: c -> d        z = W_o [A_1 V_1; ...; A_H V_H]
             A_i = softmax_keys(q_i K_iᵀ / sqrt(p)),  q = W_q l,  p = c / H;  l, learnt, is the same for all images
    Params:  4c² + 2cd + 8c + d        d = mlp_ratio c;  3c fewer without qkv_bias
    Source:  Zhai et al., Scaling Vision Transformers, CVPR 2022. arXiv:2106.04560; one seed of the pooling of Lee et
             al., Set Transformer, ICML 2019. arXiv:1810.00825; in the form of timm's AttentionPoolLatent
    Departs: nothing.

    `num_heads` is H. The first `skip` tokens, such as a class token, are left out. Names of the weights are timm's.

    >>> sum(p.numel() for p in LatentAttentionPool(64).parameters())
    49920
    """

    def __init__(
        self,
        channels: int,
        height: int = 0,
        *,
        num_heads: PositiveInt = 8,
        mlp_ratio: PositiveFloat = 4.0,
        qkv_bias: bool = True,
        skip: NonNegativeInt = 0,
    ):
        super().__init__("latent_attention_pool", channels, height, num_heads, skip)
        hidden = max(1, int(channels * mlp_ratio))
        self.latent = nn.Parameter(torch.empty(1, 1, channels))
        nn.init.trunc_normal_(self.latent, std=channels**-0.5)
        self.q = nn.Linear(channels, channels, bias=qkv_bias)
        self.kv = nn.Linear(channels, 2 * channels, bias=qkv_bias)
        self.proj = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        layers = {"fc1": nn.Linear(channels, hidden), "act": nn.GELU(), "fc2": nn.Linear(hidden, channels)}
        self.mlp = nn.Sequential(OrderedDict(layers))

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The query b heads 1 p, and keys and values b heads n p."""
        q = in_heads(self.q(self.latent), self.num_heads).expand(x.shape[0], -1, -1, -1)
        k, v = self.kv(self._tokens(x)).chunk(2, 2)
        return q, in_heads(k, self.num_heads), in_heads(v, self.num_heads)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all tokens, b heads 1 n, at least float32; they sum to 1."""
        q, k, _ = self._heads(x)
        return weights_of(q, k, q.shape[3] ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        z = self.proj(F.scaled_dot_product_attention(*self._heads(x)).flatten(1))
        return z + self.mlp(self.norm(z))


# So much is added to values that are raised to a power, so that none is 0.
EPS = 1e-6


@layer("sim_pool", kind="pool", layout=_layout_of_both("sim_pool"), applied="positions")
class SimPool(_TokenPool):
    """Pool tokens by attention whose query is their mean, and whose values are the tokens themselves, normed.

    Shape:   b n c -> b c;  b c h w -> b c
    Math:    y = (Σ_j a_j (u_j - min(u) + 1e-6)^γ)^(1/γ) + β        u = LN(x);  y = Σ_j a_j u_j without `gamma`
             a = softmax_j((W_q mean_j(x_j))ᵀ (W_k u_j) / sqrt(p)),  for each of H heads of p = c / H channels
    Params:  2c² + 2c;  2c more with qkv_bias;  1 more with use_beta
    Source:  Psomas et al., Keep It SimPool, ICCV 2023, and the authors' code. arXiv:2309.06891
    Departs: min(u) is taken over the positions and channels of each image. The authors' code takes it over the batch,
             so that images there depend on each other; timm's takes one for each channel.

    `gamma` is γ; the authors set 2 for convolutional networks. `use_beta` learns β, from 0. `num_heads` is H. The first
    `skip` tokens are left out: the authors pool patches, without a class token. Names of the weights are timm's.

    >>> sum(p.numel() for p in SimPool(64).parameters())
    8320
    """

    def __init__(
        self,
        channels: int,
        height: int = 0,
        *,
        num_heads: PositiveInt = 1,
        qkv_bias: bool = False,
        gamma: PositiveFloat | None = None,
        use_beta: bool = False,
        skip: NonNegativeInt = 0,
    ):
        super().__init__("sim_pool", channels, height, num_heads, skip)
        if use_beta and gamma is None:
            raise ValueError("`sim_pool`: beta is added to what is raised to a power; set gamma, such as to 2")
        self.gamma = gamma
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.q = nn.Linear(channels, channels, bias=qkv_bias)
        self.k = nn.Linear(channels, channels, bias=qkv_bias)
        self.beta = nn.Parameter(torch.zeros(1)) if use_beta else None

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The query b heads 1 p, and keys and values b heads n p."""
        tokens = self._tokens(x)
        u = self.norm(tokens)
        q, k = self.q(tokens.mean(1, keepdim=True)), self.k(u)
        return in_heads(q, self.num_heads), in_heads(k, self.num_heads), in_heads(u, self.num_heads)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all tokens, b heads 1 n, at least float32; they sum to 1."""
        q, k, _ = self._heads(x)
        return weights_of(q, k, q.shape[3] ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        if self.gamma is None:
            return F.scaled_dot_product_attention(q, k, v).flatten(1)
        weights = weights_of(q, k, q.shape[3] ** -0.5)
        # Powers of small numbers are 0 in half precision.
        raised = (v - v.amin((1, 2, 3), keepdim=True)).to(weights.dtype).add(EPS).pow(self.gamma)
        y = (weights @ raised).pow(1 / self.gamma).flatten(1).to(v.dtype)
        return y if self.beta is None else y + self.beta

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.gamma is None else f", gamma={self.gamma}")
