"""Axes and grids that no step tells, and a later one does."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.dag.host import HostScope
from composer.dag.tensor import TensorSpec
from composer.hosts.recording.record import record
from composer.registry import TokenGrid


class Backwards(nn.Module):
    """Turns its positions around and back, by steps of which none says where they went, then adds."""

    order: Tensor

    def __init__(self, add: bool) -> None:
        super().__init__()
        self.add, self.norm, self.drop = add, nn.LayerNorm(4), nn.Identity()
        self.register_buffer("order", torch.arange(63, -1, -1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x.permute(0, 2, 3, 1))
        y = x.flatten(1, 2)[:, self.order][:, self.order].view(-1, 8, 8, 4)
        y = self.drop(y)
        return x + y if self.add else y


def layout(add: bool) -> str | None:
    output = record(Backwards(add), (torch.zeros(2, 4, 8, 8),)).nodes["drop"].output
    assert isinstance(output, TensorSpec)
    return output.layout


def test_what_is_added_to_a_map_is_a_map() -> None:
    assert layout(add=True) == "b h w c"
    assert layout(add=False) is None


class Mixing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj, self.drop = nn.Linear(4, 12), nn.Linear(4, 4), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).view(2, -1, 3, 2, 2).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(q * 2, k, v).transpose(1, 2).flatten(2)
        result: Tensor = self.drop(self.proj(y))
        return result


class Tokens(nn.Module):
    def __init__(self, fewer: bool) -> None:
        super().__init__()
        self.fewer, self.attention = fewer, Mixing()

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)
        result: Tensor = self.attention(x[:, 1:] if self.fewer else x)
        return result


def grid(fewer: bool) -> TokenGrid | None:
    scope = record(Tokens(fewer), (torch.zeros(2, 4, 3, 5),)).nodes["attention"].content
    assert isinstance(scope, HostScope)
    output = scope.nodes["drop"].output
    assert isinstance(output, TensorSpec)
    return output.grid


def test_as_many_tokens_as_a_module_takes_have_their_grid() -> None:
    assert grid(fewer=False) == TokenGrid(3, 5)
    assert grid(fewer=True) is None
