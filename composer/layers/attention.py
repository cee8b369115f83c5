"""Softmax attention beyond self-attention of tokens: from other tokens, between heads, and between channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.options import PositiveFloat, PositiveInt
from composer.registry import layer


def drawn(channels: int, out_features: int, bias: bool = True) -> nn.Linear:
    """A linear map as timm's transformers draw it: N(0, 0.02²), cut off at -2 and 2, with zero biases."""
    made = nn.Linear(channels, out_features, bias=bias)
    nn.init.trunc_normal_(made.weight, std=0.02)
    if bias:
        nn.init.zeros_(made.bias)
    return made


def in_heads(x: Tensor, num_heads: int) -> Tensor:
    """b n (heads p) -> b heads n p"""
    return x.unflatten(2, (num_heads, -1)).transpose(1, 2)


def weights_of(q: Tensor, k: Tensor, scale: float, added: Tensor | None = None) -> Tensor:
    """softmax(scale q kᵀ + added) over keys, in float32 or better: b heads n p, b heads m p -> b heads n m."""
    precision = torch.promote_types(q.dtype, torch.float32)
    logits = q.to(precision) * scale @ k.to(precision).transpose(2, 3)
    return (logits if added is None else logits + added).softmax(-1)


def check_heads(name: str, channels: int, num_heads: int) -> None:
    """Raises ValueError if channels do not divide into heads."""
    if channels % num_heads:
        raise ValueError(
            f"`{name}`: {channels} channels do not divide into {num_heads} heads; set num_heads to a divisor"
        )


def _tokens(name: str, inputs: Sequence[Any]) -> None:
    for tensor in inputs:
        if tensor.layout != "b n c":
            raise ValueError(f"`{name}` works on `b n c`, found `{tensor.layout}`; rearrange it, or use map_to_tokens")


def _attended_layout(inputs: Sequence[Any], *, num_heads: int = 1, scale: float | None = None) -> str:
    name = "scaled_dot_product_attention"
    if len(inputs) not in (3, 4):
        raise ValueError(
            f"`{name}` takes 3 inputs, found {len(inputs)}; write `from: [queries, keys, values]`, and at the end what "
            "is added to the weights' logits"
        )
    _tokens(name, inputs[:3])
    q, k, v = inputs[:3]
    if len(inputs) == 4:
        _check_mask(name, inputs[3], (num_heads, q.axis("n"), k.axis("n")))
    for tensor in (q, v):
        check_heads(name, tensor.channels, num_heads)
    if q.channels != k.channels or k.axis("n") != v.axis("n"):
        raise ValueError(
            f"`{name}` takes queries and keys of as many channels, and a value for each key, found {q}, {k} and {v}"
        )
    return "b n c"


def _check_mask(name: str, mask: Any, wanted: tuple[int, ...]) -> None:
    """Raises ValueError unless a fourth input can be added to the logits, b heads n m."""
    lengths = tuple(mask.shape)[1:] if len(mask.shape) == 4 else tuple(mask.shape)
    if len(lengths) not in (2, 3) or any(a not in (1, b) for a, b in zip(lengths[::-1], wanted[::-1], strict=False)):
        raise ValueError(
            f"`{name}` adds a fourth input of shape 1×{'×'.join(map(str, wanted))} to logits, found {mask}"
        )


@layer("scaled_dot_product_attention", kind="token", layout=_attended_layout)
class ScaledDotProductAttention(nn.Module):
    """Give each query a mixture of the values, weighted by how well it matches their keys.

    Shape:   b n (H p), b m (H p), b m (H d) -> b n (H d)        queries, keys, values; H = num_heads
             b n (H p), b m (H p), b m (H d), 1 H n m -> b n (H d)        and B, such as relative_position_bias
    Math:    y_i = A_i V_i        A_i = softmax_keys(scale Q_i K_iᵀ + B_i),  scale = 1 / sqrt(p) unless given
    Params:  0
    Source:  Vaswani et al., Attention Is All You Need, NeurIPS 2017, sec. 3.2. arXiv:1706.03762

    This is what attention written in YAML ends in: linear maps before it make queries, keys and values, and another
    mixes its heads. PyTorch's function of that name, which never stores the weights.
    """

    def __init__(self, *, num_heads: PositiveInt = 1, scale: PositiveFloat | None = None):
        super().__init__()
        self.num_heads, self.scale = num_heads, scale

    def attention(self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        """The weights of all keys for each query (row), b heads n m, at least float32; rows sum to 1."""
        q, k = in_heads(query, self.num_heads), in_heads(key, self.num_heads)
        return weights_of(q, k, q.shape[3] ** -0.5 if self.scale is None else self.scale, attn_mask)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        q, k, v = (in_heads(x, self.num_heads) for x in (query, key, value))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask, scale=self.scale)
        return y.transpose(1, 2).flatten(2)

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}" + ("" if self.scale is None else f", scale={self.scale}")


class ContextAttention(nn.Module):
    """The weights of attention from some tokens to others, b n c and b m k, and what it makes of them.

    k is `context_channels`, by default c. Raises ValueError, with `name`, for channels that do not divide into heads.
    """

    def __init__(
        self, channels: int, context_channels: int | None = None, *, num_heads: int, qkv_bias: bool, name: str
    ):
        super().__init__()
        check_heads(name, channels, num_heads)
        self.num_heads = num_heads
        self.q = drawn(channels, channels, qkv_bias)
        self.k = drawn(context_channels or channels, channels, qkv_bias)
        self.v = drawn(context_channels or channels, channels, qkv_bias)
        self.proj = drawn(channels, channels)

    def weights(self, x: Tensor, context: Tensor) -> Tensor:
        """b heads n m, at least float32."""
        q, k = in_heads(self.q(x), self.num_heads), in_heads(self.k(context), self.num_heads)
        return weights_of(q, k, q.shape[3] ** -0.5)

    def mixed(self, x: Tensor, context: Tensor) -> Tensor:
        """b n c"""
        q, k, v = (in_heads(one, self.num_heads) for one in (self.q(x), self.k(context), self.v(context)))
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}"


def _crossed_layout(inputs: Sequence[Any], **options: Any) -> str:
    if len(inputs) != 2:
        raise ValueError(f"`cross_attention` takes 2 inputs, found {len(inputs)}; write `from: [queries, context]`")
    _tokens("cross_attention", inputs)
    return "b n c"


@layer("cross_attention", kind="token", layout=_crossed_layout)
class CrossAttention(ContextAttention):
    """Give each token of the first input a mixture of the tokens of the second, weighted by how well they match.

    Shape:   b n c, b m k -> b n c
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(Q_i K_iᵀ / sqrt(p)),  p = c / H
             queries of the first input, keys and values of the second
    Params:  2c² + 2ck + 4c;  3c fewer without qkv_bias
    Source:  Vaswani et al., Attention Is All You Need, NeurIPS 2017, sec. 3.2. arXiv:1706.03762

    With the class token as the only query this is CaiT's class attention (Touvron et al., ICCV 2021, sec. 3;
    arXiv:2103.17239), and names of the weights are those of timm's. `num_heads` is H. The mechanism `class_attention`
    takes the query from the tokens itself.

    >>> sum(p.numel() for p in CrossAttention(64).parameters())
    16640
    """

    def __init__(
        self,
        channels: int,
        context_channels: int | None = None,
        *,
        num_heads: PositiveInt = 8,
        qkv_bias: bool = True,
    ):
        super().__init__(channels, context_channels, num_heads=num_heads, qkv_bias=qkv_bias, name="cross_attention")

    def attention(self, x: Tensor, context: Tensor) -> Tensor:
        """The weights of all tokens of the context for each token (row), b heads n m, at least float32."""
        return self.weights(x, context)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return self.mixed(x, context)


@layer("talking_head_attention", kind="token", layout="b n c -> b n c")
class TalkingHeadAttention(nn.Module):
    """Replace each token by a mixture of all tokens, where heads exchange their weights before and after the softmax.

    Shape:   b n c -> b n c
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A = P_w softmax_keys(P_l S),  S_i = Q_i K_iᵀ / sqrt(p),  p = c / H
             P_l and P_w are linear maps, with biases, over the H heads
    Params:  4c² + 4c + 2H² + 2H;  3c fewer without qkv_bias
    Source:  Shazeer et al., Talking-Heads Attention, 2020. arXiv:2003.02436

    CaiT's. `num_heads` is H. The weights must be stored, so no fused kernel computes it.

    >>> sum(p.numel() for p in TalkingHeadAttention(64).parameters())
    16784
    """

    def __init__(self, channels: int, *, num_heads: PositiveInt = 8, qkv_bias: bool = True):
        super().__init__()
        check_heads("talking_head_attention", channels, num_heads)
        self.num_heads, self.scale = num_heads, (channels // num_heads) ** -0.5
        self.qkv = drawn(channels, 3 * channels, qkv_bias)
        self.proj = drawn(channels, channels)
        self.proj_l = drawn(num_heads, num_heads)
        self.proj_w = drawn(num_heads, num_heads)

    def _mixed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The weights b heads n n, and the values b heads n p."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return talking_weights(q * self.scale, k, self.proj_l, self.proj_w), v

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all tokens for each token (row), b heads n n; after P_w rows need not sum to 1."""
        return self._mixed(x)[0]

    def forward(self, x: Tensor) -> Tensor:
        weights, v = self._mixed(x)
        return self.proj((weights @ v).transpose(1, 2).flatten(2))

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}"


def talking_weights(q: Tensor, k: Tensor, proj_l: nn.Linear, proj_w: nn.Linear) -> Tensor:
    """P_w softmax_keys(P_l q kᵀ), maps over the heads of b heads n p and b heads m p: b heads n m."""
    weights = _over_heads(proj_l, q @ k.transpose(2, 3)).softmax(-1)
    return _over_heads(proj_w, weights)


def _over_heads(linear: nn.Linear, x: Tensor) -> Tensor:
    """A linear map over the heads of b heads n m."""
    return linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _unit(x: Tensor) -> Tensor:
    """Rows of length 1: ... n -> ... n. Squares of many tokens sum to more than float16 holds."""
    precision = torch.float32 if x.dtype == torch.float16 else x.dtype
    return F.normalize(x.to(precision), dim=-1).to(x.dtype)


# What asks for a type is no step that a tracer can write down.
torch.fx.wrap("_unit")


@layer("cross_covariance_attention", kind="other", layout="b n c -> b n c")
class CrossCovarianceAttention(nn.Module):
    """Replace each channel by a mixture of its head's channels, weighted by how alike they are over all tokens.

    Shape:   b n c -> b n c
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(t_i q_i k_iᵀ),  Q, K, V: p x n,  p = c / H
             q_i and k_i are Q_i and K_i, each channel divided by its length over the tokens; t_i, learnt, starts at 1
    Params:  4c² + 4c + H;  3c fewer without qkv_bias
    Source:  El-Nouby et al., XCiT: Cross-Covariance Image Transformers, NeurIPS 2021, sec. 3.2. arXiv:2106.09681

    Its cost grows with n and not with n². `num_heads` is H.

    >>> sum(p.numel() for p in CrossCovarianceAttention(64).parameters())
    16648
    """

    def __init__(self, channels: int, *, num_heads: PositiveInt = 8, qkv_bias: bool = True):
        super().__init__()
        check_heads("cross_covariance_attention", channels, num_heads)
        self.num_heads = num_heads
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.qkv = drawn(channels, 3 * channels, qkv_bias)
        self.proj = drawn(channels, channels)

    def _mixed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The weights b heads p p, and the values b heads p n."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 4, 1).unbind(0)
        q, k = _unit(q), _unit(k)
        return ((q @ k.transpose(2, 3)) * self.temperature).softmax(-1), v

    def attention(self, x: Tensor) -> Tensor:
        """The weights of a head's channels for each of them (row), b heads p p; rows sum to 1."""
        return self._mixed(x)[0]

    def forward(self, x: Tensor) -> Tensor:
        weights, v = self._mixed(x)
        return self.proj((weights @ v).permute(0, 3, 1, 2).flatten(2))

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}"
