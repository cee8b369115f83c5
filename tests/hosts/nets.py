"""Small modules written by hand, as users write them, and what tests ask of an insertion."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from composer.hosts.recording.nested import tensors_in

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
IDENTITY = {"start": "identity", "with": {"reduction": 2}}


class Block(nn.Module):
    """A residual block with timm's habit of an attribute that may be None."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.act = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.se: nn.Module | None = None
        self.drop = 0.1

    def forward(self, x: Tensor, scale: float | None = None) -> Tensor:
        y = self.act(self.bn1(self.conv1(x)))
        y = self.conv2(y)
        if self.se is not None:
            y = self.se(y)
        if scale is not None:
            y = y * scale
        y = functional.dropout(y, self.drop, self.training)
        return self.act(x + y)


class Net(nn.Module):
    """A stem, a list of blocks that is looped over, a head."""

    block: Any = Block

    def __init__(self, num_blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.blocks = nn.ModuleList([self.block(8) for _ in range(num_blocks)])
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


class Open(nn.Module):
    """A block whose forward decides by numbers, so that nothing can write it down."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 1)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(x))
        if x.shape[-1] > 4:
            y = y + x
        return y * 2


class Undecided(Net):
    block = Open


class Pair(NamedTuple):
    first: Tensor
    second: Tensor


class Outputs(nn.Module):
    """Gives a named tuple; another a mapping; a third a list in a tuple."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.one, self.two = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Any:
        a, b = self.one(x), self.two(x)
        if self.kind == "named":
            return Pair(a, b)
        return OrderedDict(a=a, b=b) if self.kind == "mapping" else (a, [b])


class Giving(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.stem, self.pair = nn.Conv2d(3, 8, 3), Outputs(kind)

    def forward(self, x: Tensor) -> Any:
        return self.pair(self.stem(x))


class Further(nn.Module):
    """Hands further keywords on, as the blocks of transformers do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.inner = nn.BatchNorm2d(width), Scaled()

    def forward(self, x: Tensor, mask: Tensor | None = None, **kwargs: Any) -> Tensor:
        return x + self.inner(self.norm(x), mask, **kwargs)


class Scaled(nn.Module):
    def forward(self, x: Tensor, mask: Tensor | None = None, *, scale: float = 1.0) -> Tensor:
        return x * scale if mask is None else x * scale * mask


class Handing(Net):
    block = Further


def settle(model: nn.Module, images: Tensor) -> None:
    """Give norms the statistics of the images, without which these drown in biases in a deep network."""
    norms = [one for one in model.modules() if isinstance(one, nn.BatchNorm2d)]
    for one in norms:
        one.momentum = 1.0
    with torch.no_grad(), torch.random.fork_rng():
        model.train()(images)
    model.eval()


def numbers(value: Any) -> list[Tensor]:
    return [tensor.detach().clone() for _, tensor in tensors_in(value)]


def equal(one: Any, other: Any) -> bool:
    first, second = numbers(one), numbers(other)
    return len(first) == len(second) and all(map(torch.equal, first, second))


def state(model: nn.Module) -> dict[str, Any]:
    """What a model is: its classes, attributes, children, tensors, by path."""
    found: dict[str, Any] = {}
    for path, module in model.named_modules():
        own = {
            name: value
            for name, value in module.__dict__.items()
            if name not in ("_modules", "_parameters", "_buffers")
        }
        children = [(name, id(child)) for name, child in module.named_children()]
        tensors = [(name, id(one)) for name, one in module.named_parameters(recurse=False)]
        tensors += [(name, id(one)) for name, one in module.named_buffers(recurse=False)]
        found[path] = type(module), {name: repr(value) for name, value in own.items()}, children, tensors
    return found
