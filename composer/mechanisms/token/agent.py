"""Agent attention. Han et al., Agent Attention: On the Integration of Softmax and Linear Attention, ECCV 2024."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.kernel.bot import attend, side_by_side, weights_of_keys
from composer.mechanisms.shared.divisors import dim_of_heads
from composer.mechanisms.shared.map_size import of_built_size
from composer.mechanisms.shared.memory_format import in_format_of
from composer.options import PositiveInt
from composer.registry import mechanism

for _name in ("attend", "in_format_of", "of_built_size", "side_by_side", "weights_of_keys"):
    torch.fx.wrap(_name)

# Side of the tables that are resized to the map.
TABLE = 7


@mechanism(
    "agent",
    kind="token",
    layout="b c h w",
    aliases=("agent attention", "agentattention", "agent tokens", "agent swin", "代理注意力"),
)
class AgentAttention(nn.Module):
    """Let a few agents gather from all positions, and each position from the agents: softmax attention at linear cost.

    Shape:   b c h w -> b c h w
    Math:    y = W_o (O + conv_3×3(V))        O = softmax_agents(Q Aᵀ / sqrt(p) + B_2) softmax(A Kᵀ / sqrt(p) + B_1) V
             in each of H heads of p = c / H channels;  A, the m agents, is Q pooled to a map of sqrt(m) × sqrt(m)
             B_1, B_2: a number per agent from a 7 × 7 table resized to the map, plus one per row and one per column
    Params:  4c² + 14c + 98Hm + 2Hm (h + w);  3c less without qkv_bias
    MACs:    4c² h w + 9c h w + 4c m h w
    Source:  Han et al., Agent Attention, ECCV 2024. arXiv:2312.08874
    Departs: nothing. It is the authors' module for maps; that of their DeiT has numbers for a class token as well.
    Start:   the authors' code: N(0, 0.02²) maps and tables, cut off at -2 and 2, and zero biases; the convolution as
             PyTorch does.

    `num_agents` is m, a square, `num_heads` is H. It fits maps of the built size and raises ValueError for others.

    >>> sum(p.numel() for p in AgentAttention(64, 14, 14).parameters())
    77648
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        num_agents: PositiveInt = 49,
        num_heads: PositiveInt = 8,
        qkv_bias: bool = True,
    ):
        super().__init__()
        dim_of_heads("agent", channels, num_heads)
        side = math.isqrt(num_agents)
        if side**2 != num_agents:
            text = f"num_agents={num_agents} is not a square"
            raise ValueError(f"agent: {text}; set num_agents to {side**2} or {(side + 1) ** 2}")
        self.num_heads, self.size, self.side = num_heads, (height, width), side
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = nn.Linear(channels, channels)
        self.dwc = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.an_bias = nn.Parameter(torch.empty(num_heads, num_agents, TABLE, TABLE))
        self.na_bias = nn.Parameter(torch.empty(num_heads, num_agents, TABLE, TABLE))
        self.ah_bias = nn.Parameter(torch.empty(num_heads, num_agents, height, 1))
        self.aw_bias = nn.Parameter(torch.empty(num_heads, num_agents, 1, width))
        self.ha_bias = nn.Parameter(torch.empty(num_heads, height, 1, num_agents))
        self.wa_bias = nn.Parameter(torch.empty(num_heads, 1, width, num_agents))
        for weight in (self.qkv.weight, self.proj.weight, *(one for _, one in self.named_parameters(recurse=False))):
            nn.init.trunc_normal_(weight, std=0.02)
        for layer in (self.qkv, self.proj):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Queries, agents, keys and values b heads n p, and values as a map b c h w."""
        x = of_built_size(x, self.size, "agent:")
        q, k, v = self.qkv(x.permute(0, 2, 3, 1)).chunk(3, -1)
        agents = F.adaptive_avg_pool2d(q.permute(0, 3, 1, 2), self.side).permute(0, 2, 3, 1)
        maps = v.permute(0, 3, 1, 2)
        q, agents, k, v = (
            side_by_side(one.flatten(1, 2).unflatten(2, (self.num_heads, -1)).transpose(1, 2))
            for one in (q, agents, k, v)
        )
        return q, agents, k, v, maps

    def _gathering(self) -> Tensor:
        """What is added to the logits of positions for each agent, 1 heads m n"""
        table = F.interpolate(self.an_bias, self.size, mode="bilinear")
        return (table + self.ah_bias + self.aw_bias).flatten(2)[None]

    def _giving(self) -> Tensor:
        """What is added to the logits of agents for each position, 1 heads n m"""
        table = F.interpolate(self.na_bias, self.size, mode="bilinear").flatten(2).transpose(1, 2)
        return (table + (self.ha_bias + self.wa_bias).flatten(1, 2))[None]

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions for each position (row), by way of agents, b heads n n; rows sum to 1.

        Computed on request, in float32 or better: a forward never has them.
        """
        q, agents, k, _, _ = self._heads(x)
        return weights_of_keys(q, agents, self._giving()) @ weights_of_keys(agents, k, self._gathering())

    def forward(self, x: Tensor) -> Tensor:
        q, agents, k, v, maps = self._heads(x)
        gathered = attend(agents, k, v, self._gathering().to(q.dtype))
        y = attend(q, agents, gathered, self._giving().to(q.dtype))
        y = y.transpose(1, 2).flatten(2).unflatten(1, self.size) + self.dwc(maps).permute(0, 2, 3, 1)
        return in_format_of(x, self.proj(y).permute(0, 3, 1, 2))
