"""MHSA: multi-head self-attention. Vaswani et al., Attention Is All You Need, NeurIPS 2017."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.layers.positions import RotaryPositions
from composer.mechanisms.shared.divisors import dim_of_heads, nearest_divisors
from composer.mechanisms.shared.precision import at_least_float32, full_precision
from composer.mechanisms.shared.relative_bias import RelativeBias
from composer.options import NonNegativeInt, PositiveFloat, PositiveInt
from composer.registry import mechanism


def plain_attention(module: MultiHeadSelfAttention, x: Tensor) -> Tensor:
    """The same output, computed with stored weights, without fused attention."""
    _, _, v = module._heads(x)
    return module._joined(module.attention(x).to(v.dtype) @ v, x)


@mechanism(
    "mhsa",
    kind="token",
    reference=plain_attention,
    aliases=(
        *("multi-head self-attention", "self-attention", "MultiheadAttention", "transformer attention", "自注意力"),
        "talking heads attention",
    ),
)
class MultiHeadSelfAttention(nn.Module):
    """Replace each token by a mixture of all tokens, weighted by how well its query matches their keys.

    Shape:   b n c -> b n c
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(Q_i K_iᵀ / sqrt(p)),  Q_i, K_i, V_i: c -> p
    Params:  4cHp + 3Hp + c;  4cHp without bias        p = c / H unless `head_dim` sets it
    MACs:    4ncHp + 2n²Hp
    Source:  Vaswani et al., Attention Is All You Need, NeurIPS 2017, sec. 3.2. arXiv:1706.03762
    Departs: biases are on, as in ViT; the equations have none. No dropout.
    Start:   timm's ViT: N(0, std²), cut off at -2 and 2, and zero biases; the paper does not state it.

    `num_heads` is H. `mode: hard` gives each token the value of its best key, with the gradient of the soft mixture.
    Later papers' changes, all of which may be combined:

    `positions`     `relative` adds to the logits a number per head and offset on the grid, and one each to, from and
                    among prefix tokens (BEiT, arXiv:2106.08254); `rotary` turns queries and keys by row and column
                    (EVA-02, arXiv:2303.11331), which takes heads of a multiple of 4. Both fit a single grid, and raise
                    ValueError for others
    `qk_norm`       a layer norm over the channels of each query and key (ViT-22B, arXiv:2302.05442)
    `talking_heads` a linear map over the heads before and after the softmax (arXiv:2003.02436)
    `num_kv_heads`  fewer heads of keys and values, each for H / num_kv_heads heads of queries (arXiv:2305.13245)
    `num_sinks`     so many learnt keys and values, which tokens may look at instead of each other (arXiv:2309.17453);
                    `attention` has them last
    `gated`         a gate sigmoid(W_g x) for each number that is mixed, before W_o (arXiv:2505.06708)
    `layer_scale`   a factor per channel of y, which starts at this number (CaiT, arXiv:2103.17239)

    >>> sum(p.numel() for p in MultiHeadSelfAttention(64).parameters())
    16640
    """

    def __init__(
        self,
        channels: int,
        grid_height: int = 0,
        grid_width: int = 0,
        prefix_tokens: int = 0,
        *,
        num_heads: PositiveInt = 8,
        head_dim: PositiveInt | None = None,
        bias: bool = True,
        mode: Literal["soft", "hard"] = "soft",
        std: PositiveFloat = 0.02,
        positions: Literal["none", "relative", "rotary"] = "none",
        qk_norm: bool = False,
        talking_heads: bool = False,
        num_kv_heads: PositiveInt | None = None,
        num_sinks: NonNegativeInt = 0,
        gated: bool = False,
        layer_scale: PositiveFloat | None = None,
    ):
        super().__init__()
        if head_dim is None:
            head_dim = dim_of_heads("mhsa", channels, num_heads, ", or set head_dim")
        groups = num_kv_heads or num_heads
        if num_heads % groups:
            fits = nearest_divisors(num_heads, groups)
            text = f"{num_heads} heads do not divide among {groups} heads of keys and values"
            raise ValueError(f"mhsa: {text}; set num_kv_heads to {fits}")
        self.num_heads, self.num_kv_heads, self.head_dim, self.mode = num_heads, groups, head_dim, mode
        self.num_sinks = num_sinks
        self.qkv = nn.Linear(channels, (num_heads + 2 * groups) * head_dim, bias=bias)
        self.q_norm = nn.LayerNorm(head_dim) if qk_norm else None
        self.k_norm = nn.LayerNorm(head_dim) if qk_norm else None
        self.proj_l = nn.Linear(num_heads, num_heads) if talking_heads else None
        self.proj_w = nn.Linear(num_heads, num_heads) if talking_heads else None
        self.sinks = nn.Parameter(torch.empty(2, groups, num_sinks, head_dim)) if num_sinks else None
        self.gate = nn.Linear(channels, num_heads * head_dim, bias=bias) if gated else None
        self.proj = nn.Linear(num_heads * head_dim, channels, bias=bias)
        self.gamma = None if layer_scale is None else nn.Parameter(torch.full((channels,), layer_scale))
        self.relative: RelativeBias | None = None
        self.rotary: RotaryPositions | None = None
        if positions != "none":
            self._place(positions, (grid_height, grid_width), prefix_tokens)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=std)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        if self.sinks is not None:
            nn.init.trunc_normal_(self.sinks, std=std)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        # Pickles from before there were these options lack them.
        self.__dict__.setdefault("num_kv_heads", self.num_heads)
        self.__dict__.setdefault("num_sinks", 0)
        for name in ("q_norm", "k_norm", "proj_l", "proj_w", "sinks", "gate", "gamma", "relative", "rotary"):
            if not hasattr(self, name):
                setattr(self, name, None)

    def _place(self, positions: str, grid: tuple[int, int], prefix: int) -> None:
        if not all(grid):
            text = f"`positions: {positions}` needs tokens whose grid is known"
            raise ValueError(f"mhsa: {text}; use it on a map, or write `grid` at the input")
        self.num_tokens = prefix + grid[0] * grid[1]
        if positions == "relative":
            self.relative = RelativeBias(grid, prefix, self.num_heads)
        elif self.head_dim % 4:
            raise ValueError(
                f"mhsa: `positions: rotary` takes heads of a multiple of 4, found {self.head_dim}; set head_dim"
            )
        else:
            self.rotary = RotaryPositions(self.head_dim, *grid, prefix)

    def _turned(self, x: Tensor) -> Tensor:
        """Queries or keys b heads n p, turned by their positions."""
        assert self.rotary is not None
        return self.rotary(x.flatten(0, 1)).unflatten(0, (-1, x.shape[1]))

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries b H n p, and keys and values b H m p."""
        if self.relative is not None or self.rotary is not None:
            x = of_built_count(x, self.num_tokens)
        lengths = [heads * self.head_dim for heads in (self.num_heads, self.num_kv_heads, self.num_kv_heads)]
        q, k, v = self.qkv(x).split(lengths, 2)
        q, k, v = (one.unflatten(2, (-1, self.head_dim)).transpose(1, 2) for one in (q, k, v))
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if self.rotary is not None:
            q, k = self._turned(q), self._turned(k)
        if self.sinks is not None:
            k, v = with_sinks(k, self.sinks[0]), with_sinks(v, self.sinks[1])
        if self.num_kv_heads < self.num_heads:
            k, v = (one.repeat_interleave(self.num_heads // self.num_kv_heads, 1) for one in (k, v))
        return q, k, v

    def _bias(self, dtype: torch.dtype) -> Tensor | None:
        """What positions add to the logits, 1 H n m; nothing for sinks."""
        if self.relative is None:
            return None
        bias = self.relative().to(dtype)
        return bias if self.sinks is None else F.pad(bias, (0, self.num_sinks))

    def _weights(self, q: Tensor, k: Tensor) -> Tensor:
        bias = self._bias(torch.promote_types(q.dtype, torch.float32))
        if self.proj_l is None or self.proj_w is None:
            soft = softmax_of_keys(q, k, self.head_dim**-0.5, bias)
        else:
            logits = logits_of_keys(q, k, self.head_dim**-0.5, bias).to(q.dtype).movedim(1, -1)
            soft = at_least_float32(self.proj_l(logits)).softmax(-2).to(q.dtype)
            soft = at_least_float32(self.proj_w(soft).movedim(-1, 1))
        return straight_through(soft) if self.mode == "hard" else soft

    def _joined(self, y: Tensor, x: Tensor) -> Tensor:
        """The output, from what each head mixed for x, b H n p."""
        y = y.transpose(1, 2).flatten(2)
        y = self.proj(y if self.gate is None else y * self.gate(x).sigmoid())
        return y if self.gamma is None else y * self.gamma

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all tokens for each token (row), b heads n n, at least float32; rows sum to 1.

        A soft forward never stores them. With talking heads rows need not sum to 1, and it stores them.
        """
        q, k, _ = self._heads(x)
        return self._weights(q, k)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        # ONNX export decomposes fused attention with a mask into a result with other strides than traced.
        decomposed = self.relative is not None and torch.onnx.is_in_onnx_export()
        if self.mode == "hard" or self.proj_l is not None or decomposed:
            return self._joined(self._weights(q, k).to(v.dtype) @ v, x)
        return self._joined(F.scaled_dot_product_attention(q, k, v, attn_mask=self._bias(q.dtype)), x)


def with_sinks(x: Tensor, sinks: Tensor) -> Tensor:
    """Keys or values b heads n p, and behind them those of sinks, heads m p: b heads (n + m) p."""
    return torch.cat([x, sinks.to(x.dtype).expand(x.shape[0], -1, -1, -1)], 2)


def of_built_count(x: Tensor, count: int) -> Tensor:
    """The tokens b n c, unchanged. Raises ValueError if there are not so many."""
    if x.shape[1] != count:
        raise ValueError(f"mhsa: its positions were built for {count} tokens, found {x.shape[1]}; build it for those")
    return x


def logits_of_keys(q: Tensor, k: Tensor, scale: float, bias: Tensor | None = None) -> Tensor:
    """scale q kᵀ + bias: b h n p, b h m p -> b h n m, in float32 or better."""
    with full_precision(q):
        logits = torch.einsum("bhip,bhjp->bhij", at_least_float32(q) * scale, at_least_float32(k))
    return logits if bias is None else logits + bias


def softmax_of_keys(q: Tensor, k: Tensor, scale: float, bias: Tensor | None = None) -> Tensor:
    """softmax(scale q kᵀ + bias) over keys: b h n p, b h m p -> b h n m, in float32 or better."""
    return logits_of_keys(q, k, scale, bias).softmax(-1)


# A region without autocast cannot be traced, and a traced tensor has no shape to compare.
for _name in ("at_least_float32", "logits_of_keys", "of_built_count", "softmax_of_keys", "with_sinks"):
    torch.fx.wrap(_name)


def straight_through(soft: Tensor) -> Tensor:
    """1 at the largest weight of each row and 0 elsewhere, with the gradient of the weights themselves."""
    hard = torch.zeros_like(soft).scatter(-1, soft.argmax(-1, keepdim=True), 1.0)
    return hard + (soft - soft.detach())
