"""The mechanism that the checks run on, and the exceptions by which they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from composer.contract.others import with_others
from composer.registry import ANY_MAP, ModuleEntry, facts_of_others

# Heights and widths of maps: equal, unequal and even ones.
SIZES = ((7, 7), (13, 17), (4, 10))
# Sides of the map where a check asks for no size: the first that the mechanism takes.
SIDES = (7, 16)


class Refusal(Exception):
    """A mechanism states, before it runs or by a clear error, that it does not support a case; the message says why."""


class Failure(Exception):
    """A mechanism breaks the contract; the message says what it does instead."""


def require(holds: object, otherwise: str) -> None:
    """Raise Failure(otherwise) unless `holds`. Not `assert`, which `python -O` removes."""
    if not holds:
        raise Failure(otherwise)


@dataclass(frozen=True)
class Subject:
    """A mechanism, and the options and sizes for its checks."""

    entry: ModuleEntry
    options: Mapping[str, Any] = field(default_factory=dict)
    groups: int = 1
    channels: int = 64
    spatial_dims: int = 2

    @cached_property
    def side(self) -> int:
        """Height and width of the map where a check asks for no size."""
        for side in SIDES:
            try:
                self.build(side, side)
            except Refusal:
                continue
            return side
        return SIDES[0]

    def build(
        self, height: int | None = None, width: int | None = None, factory: Callable[..., Any] | None = None
    ) -> nn.Module:
        """The mechanism (or the module of another factory) for a place of this size, by default `side`.

        Raises Refusal with the message of its own ValueError.
        """
        return self.build_at(height or self.side, width or self.side, self.conv, factory)

    @property
    def conv(self) -> dict[str, Any]:
        """The settings of the convolution in whose place it is checked."""
        return {"kernel_size": 3, "stride": 1, "padding": 1, "dilation": 1, "groups": self.groups, "bias": False}

    def build_at(
        self, height: int, width: int, conv: Mapping[str, Any], factory: Callable[..., Any] | None = None
    ) -> nn.Module:
        """As `build`, in place of a convolution with these settings."""
        arguments = {**self.facts(height, width, conv), **self.options}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            try:
                module: nn.Module = (factory or self.entry.factory)(**arguments)
            except ValueError as error:
                raise Refusal(str(error)) from error
        return with_others(module, self.entry.inputs[0] - 1)

    def facts(self, height: int, width: int, conv: Mapping[str, Any]) -> dict[str, Any]:
        """The facts that the mechanism asks for, of a place of this size."""
        c = self.channels
        place = {"channels": c, "height": height, "width": width, "tokens": height * width}
        place |= {"grid_height": height, "grid_width": width, "prefix_tokens": 0, "place_index": 0}
        place |= {"length": height * width, "frames": height, "spatial_dims": self.spatial_dims}
        place |= {"in_channels": c, "out_channels": c, **conv}
        if "prefix_tokens" in self.entry.facts and "grid_height" not in self.entry.facts:
            # What asks for prefix tokens without their grid is about them alone.
            place["prefix_tokens"] = 1
        # The other tensors have the shape of the first.
        place |= {name: place[fact] for name, (_, fact) in facts_of_others(self.entry.tensors).items()}
        return {name: place[name] for name in self.entry.facts}

    def on_sizes(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Height, width and the mechanism in eval mode, for each of SIZES that it takes. Raises Refusal for none."""
        refused = []
        for height, width in SIZES:
            try:
                yield height, width, self.build(height, width).eval()
            except Refusal as refusal:
                refused.append(str(refusal))
        if len(refused) == len(SIZES):
            raise Refusal("; ".join(refused))

    def sample(
        self, batch: int = 2, height: int | None = None, width: int | None = None, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """A random input with this batch size and map size, by default `side`."""
        height, width = height or self.side, width or self.side
        sizes = {
            "b": batch,
            "c": self.channels,
            "h": height,
            "w": width,
            "n": height * width,
            "l": height * width,
            "t": height,
        }
        x = torch.randn([sizes[axis] for axis in self.axes], generator=torch.Generator().manual_seed(1))
        return x.to(dtype)

    @property
    def axes(self) -> list[str]:
        """The axes of its layout: b c h w, also for `b c *`, or b n c."""
        return ["b", "c", "h", "w"] if self.entry.works_on == ANY_MAP else str(self.entry.works_on).split()


def shake(module: nn.Module, amount: float = 0.1, seed: int = 3) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype), alpha=amount)


def close(found: Tensor, expected: Tensor, otherwise: str, tolerance: float = 1e-5) -> None:
    scale = expected.abs().max().clamp_min(1)
    difference = ((found - expected).abs().max() / scale).item()
    require(difference <= tolerance, f"{otherwise} (by {difference:.1e})")
