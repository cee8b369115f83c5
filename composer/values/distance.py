"""How far the weights of each node are from others."""

from __future__ import annotations

from collections.abc import Container, Iterator

from torch import nn

from composer.draw.values import Values


def distances(own: nn.Module, other: nn.Module, paths: Container[str], known: Container[str] | None = None) -> Values:
    """Distance of each node's parameters to those of another module: ‖own − other‖ / ‖other‖, L2 norms.

    own, other  two modules with equal keys
    paths       the nodes of the network; a block has the norms over all parameters in it
    known       names of parameters to compare; None for all

    Buffers, such as statistics of norms, do not count. None where the other parameters are all 0.
    """
    apart: dict[str, list[float]] = {}
    others = dict(other.named_parameters())
    for name, parameter in own.named_parameters():
        if known is not None and name not in known:
            continue
        one, two = parameter.detach().cpu().double(), others[name].detach().cpu().double()
        squares = float((one - two).square().sum()), float(two.square().sum())
        for path in _around(name):
            if path in paths:
                sums = apart.setdefault(path, [0.0, 0.0])
                sums[0], sums[1] = sums[0] + squares[0], sums[1] + squares[1]
    numbers = {path: (sums[0] / sums[1]) ** 0.5 if sums[1] else None for path, sums in apart.items()}
    return Values("distance", "distance of weights", "Distance of the weights, ‖a − b‖ / ‖b‖", numbers)


def _around(name: str) -> Iterator[str]:
    """A name, and the paths that it begins with."""
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))
