"""Plain modules that follow the descriptions of YOLO's blocks, and the network of models/yolo0.yaml made of them.

Names of parts are ultralytics', so that a state_dict goes from one to the other. Nothing here reads a model file.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conv(nn.Sequential):
    """A convolution that keeps the size of the map at stride 1, batch norm, and SiLU."""

    def __init__(self, c1, c2, k=1, s=1, p=None, g=1, d=1, act=True):
        span = d * (k - 1) + 1
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, span // 2 if p is None else p, d, g, bias=False)
        self.bn = nn.BatchNorm2d(c2, eps=1e-3, momentum=0.03)
        if act:
            self.act = nn.SiLU()


class Bottleneck(nn.Module):
    def __init__(self, c1, c2, shortcut=True, g=1, k=(3, 3), e=0.5):
        super().__init__()
        inside = int(c2 * e)
        self.cv1, self.cv2 = Conv(c1, inside, k[0]), Conv(inside, c2, k[1], g=g)
        self.residual = shortcut and c1 == c2

    def forward(self, x: Tensor) -> Tensor:
        y = self.cv2(self.cv1(x))
        return x + y if self.residual else y


class Gathered(nn.Module):
    """Both halves of a map, and what each of a row of modules makes of the second; a convolution over all."""

    def __init__(self, c1, c2, inner, e=0.5):
        super().__init__()
        self.c = int(c2 * e)
        self.cv1, self.cv2 = Conv(c1, 2 * self.c), Conv((2 + len(inner)) * self.c, c2)
        self.m = nn.ModuleList(inner)

    def forward(self, x: Tensor) -> Tensor:
        maps = [*self.cv1(x).split(self.c, 1)]
        for module in self.m:
            maps.append(module(maps[-1]))
        return self.cv2(torch.cat(maps, 1))


class C2(nn.Module):
    """A row of modules on one half of a map, `first` or the other, and the other half as it is."""

    def __init__(self, c1, c2, inner, first=True):
        super().__init__()
        self.cv1, self.cv2, self.m, self.first = Conv(c1, c2), Conv(c2, c2), nn.Sequential(*inner), first

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.cv1(x).chunk(2, 1)
        return self.cv2(torch.cat([self.m(a), b] if self.first else [a, self.m(b)], 1))


class C3(nn.Module):
    def __init__(self, c1, c2, n=1, shortcut=True, k=(1, 3)):
        super().__init__()
        c = c2 // 2
        self.cv1, self.cv2, self.cv3 = Conv(c1, c), Conv(c1, c), Conv(2 * c, c2)
        self.m = nn.Sequential(*(Bottleneck(c, c, shortcut, k=k, e=1) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        return self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], 1))


def c3k(c, shortcut=True):
    return C3(c, c, 2, shortcut, k=(3, 3))


class SPP(nn.Module):
    def __init__(self, c1, c2, kernels):
        super().__init__()
        self.cv1, self.cv2 = Conv(c1, c1 // 2), Conv(c1 // 2 * (1 + len(kernels)), c2)
        self.kernels = kernels

    def forward(self, x: Tensor) -> Tensor:
        x = self.cv1(x)
        return self.cv2(torch.cat([x, *(F.max_pool2d(x, k, 1, k // 2) for k in self.kernels)], 1))


class SPPF(nn.Module):
    def __init__(self, c, k=5, n=3, act=True, shortcut=False):
        super().__init__()
        self.cv1, self.cv2 = Conv(c, c // 2, act=act), Conv(c // 2 * (1 + n), c)
        self.k, self.n, self.shortcut = k, n, shortcut

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.cv1(x)]
        for _ in range(self.n):
            maps.append(F.max_pool2d(maps[-1], self.k, 1, self.k // 2))
        y = self.cv2(torch.cat(maps, 1))
        return x + y if self.shortcut else y


class Focus(nn.Module):
    def __init__(self, c1, c2, k):
        super().__init__()
        self.conv = Conv(4 * c1, c2, k)

    def forward(self, x: Tensor) -> Tensor:
        corners = [x[:, :, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.conv(torch.cat(corners, 1))


class Attention(nn.Module):
    """Softmax attention written as loops over areas and heads; each head's q, k, v lie side by side in the channels."""

    def __init__(self, c, heads, key, kernel, area):
        super().__init__()
        self.heads, self.key, self.area, self.value = heads, key, area, c // heads
        self.qkv = Conv(c, heads * (2 * key + self.value), act=False)
        self.proj = Conv(c, c, act=False)
        self.pe = Conv(c, c, kernel, g=c, act=False)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.qkv(x).flatten(2).chunk(self.heads, 1)
        mixed, values = [], []
        for head in heads:
            parts = []
            for run in head.chunk(self.area, 2):
                q, k, v = run.split([self.key, self.key, self.value], 1)
                weights = torch.einsum("bcn,bcm->bnm", q, k).div(math.sqrt(self.key)).softmax(2)
                parts.append(torch.einsum("bnm,bcm->bcn", weights, v))
            mixed.append(torch.cat(parts, 2))
            values.append(head[:, 2 * self.key :])
        mixed, values = (torch.cat(one, 1).view(x.shape) for one in (mixed, values))
        return self.proj(mixed + self.pe(values))


class AttentionBlock(nn.Module):
    """Attention and two convolutions, each added to its input; `inner` is how ultralytics calls the convolutions."""

    def __init__(self, inner, c, heads, hidden, key, kernel, area=1):
        super().__init__()
        self.attn, self.inner = Attention(c, heads, key, kernel, area), inner
        setattr(self, inner, nn.Sequential(Conv(c, hidden), Conv(hidden, c, act=False)))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(x)
        return x + getattr(self, self.inner)(x)


def psa(c):
    heads = max(c // 64, 1)
    return AttentionBlock("ffn", c, heads, 2 * c, c // heads // 2, 3)


class A2C2f(nn.Module):
    def __init__(self, c1, c2, inner, residual=False):
        super().__init__()
        c = c2 // 2
        self.cv1, self.cv2, self.m = Conv(c1, c), Conv((1 + len(inner)) * c, c2), nn.ModuleList(inner)
        self.gamma = nn.Parameter(torch.full((c2,), 0.01)) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.cv1(x)]
        for module in self.m:
            maps.append(module(maps[-1]))
        y = self.cv2(torch.cat(maps, 1))
        return y if self.gamma is None else x + self.gamma[:, None, None] * y


class Detect(nn.Module):
    """The maps of both heads at each scale, position by position: boxes and scores."""

    def __init__(self, channels, classes):
        super().__init__()
        box, c = max(16, channels[0] // 4, 64), max(channels[0], min(classes, 100))
        self.cv2 = nn.ModuleList(
            nn.Sequential(Conv(one, box, 3), Conv(box, box, 3), nn.Conv2d(box, 64, 1)) for one in channels
        )
        self.cv3 = nn.ModuleList(
            nn.Sequential(
                nn.Sequential(Conv(one, one, 3, g=one), Conv(one, c)),
                nn.Sequential(Conv(c, c, 3, g=c), Conv(c, c)),
                nn.Conv2d(c, classes, 1),
            )
            for one in channels
        )

    def forward(self, maps: list[Tensor]) -> dict[str, Tensor]:
        heads = {"boxes": self.cv2, "scores": self.cv3}
        return {
            name: torch.cat([part(one).flatten(2) for part, one in zip(parts, maps, strict=True)], 2)
            for name, parts in heads.items()
        }


class Concat(nn.Module):
    def __init__(self, *others):
        super().__init__()
        self.others = others


class EveryModule(nn.Module):
    """models/yolo0.yaml, row by row: at scale n, or at scale l."""

    def __init__(self, scale: str) -> None:
        super().__init__()
        large = scale == "l"
        few, many = (2, 4) if large else (1, 2)

        def narrow(c):
            # Scale l has C3k in every C3k2.
            return [c3k(c) if large else Bottleneck(c, c) for _ in range(few)]

        def areas(c):
            hidden = int(c * (1.2 if large else 2))
            return nn.Sequential(*(AttentionBlock("mlp", c, c // 32, hidden, 32, 7, area=4) for _ in range(2)))

        with_psa = [nn.Sequential(Bottleneck(32, 32, shortcut=False), psa(32)) for _ in range(few)]
        pools = [SPPF(64, 5, 2, act=False, shortcut=True) for _ in range(few)]
        self.model = nn.ModuleList(
            [
                *(Focus(3, 16, 3), nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, 1, 0), Conv(16, 32, 3, 2, g=16)),
                nn.Sequential(*(Bottleneck(32, 32) for _ in range(many))),
                C3(32, 32, few),
                C2(32, 32, [Bottleneck(16, 16, g=2, e=1) for _ in range(few)]),
                Conv(32, 64, 6, 2, 2),
                Gathered(64, 64, [Bottleneck(16, 16, e=1) for _ in range(many)], e=0.25),
                Conv(64, 64, 3, 2, g=2),
                Gathered(64, 64, narrow(16), e=0.25),
                Gathered(64, 64, [c3k(32) for _ in range(few)]),
                Gathered(64, 64, with_psa),
                A2C2f(64, 64, [areas(32) for _ in range(many)], residual=large),
                *(SPP(64, 64, (3, 5, 9)), SPPF(64, 3), nn.Sequential(*pools) if large else pools[0]),
                C2(64, 64, [psa(32) for _ in range(few)], first=False),
                *(nn.Identity(), nn.Upsample(scale_factor=2), Concat(8)),
                A2C2f(128, 64, [c3k(32) for _ in range(few)]),
                *(nn.ConvTranspose2d(64, 32, 2, 2), Concat(8, 21), Conv(160, 64, 3, 2, 2, d=2, act=False)),
                Detect([160, 64], 7),
            ]
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        seen: list[Tensor] = []
        for number, layer in enumerate(self.model[:-1]):
            if isinstance(layer, Concat):
                x = torch.cat([x, *(seen[one] for one in layer.others)], 1)
            else:
                x = layer(seen[18] if number == 22 else x)
            seen.append(x)
        return self.model[-1]([seen[23], seen[24]])
