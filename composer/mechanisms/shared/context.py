"""What a bottleneck says of each channel, at every position or on the whole: MS-CAM. Dai et al., WACV 2021."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from composer.mechanisms.shared.pooled_norm import PooledNorm, pooled_norm


def local_context(channels: int, inner: int) -> nn.Sequential:
    """Logits at each position: b c h w -> b c h w, through `inner` channels."""
    return _bottleneck(channels, inner, nn.BatchNorm2d(inner), nn.BatchNorm2d(channels))


class PooledContext(nn.Module):
    """Logits of the whole map: b c h w -> b c 1 1, through `inner` channels and with a norm for pooled vectors."""

    def __init__(self, channels: int, inner: int, norm: PooledNorm):
        super().__init__()
        self.context = _bottleneck(channels, inner, pooled_norm(norm, inner), pooled_norm(norm, channels))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.context(x.mean((2, 3), keepdim=True))
        return y


def _bottleneck(channels: int, inner: int, bn1: nn.Module, bn2: nn.Module) -> nn.Sequential:
    conv1, conv2 = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)
    layers: dict[str, nn.Module] = {"conv1": conv1, "bn1": bn1, "act": nn.ReLU(), "conv2": conv2, "bn2": bn2}
    return nn.Sequential(OrderedDict(layers))
