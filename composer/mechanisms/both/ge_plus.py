"""GE-θ⁺: gather-excite with learnt gathering and a perceptron over channels. Hu et al., Gather-Excite, NeurIPS 2018."""

from __future__ import annotations

from torch import Tensor, nn

from composer.mechanisms.shared.pooled_norm import PooledNorm
from composer.mechanisms.spatial.ge import Extent, Gather, spread
from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism("ge_plus", kind="channel+spatial", aliases=("ge-theta-plus",))
class GatherExcitePlus(nn.Module):
    """Rescale each element by a gate that a perceptron over channels computes from gathered surroundings.

    Shape:   b c h w -> b c h w
    Math:    y = x * up(sigmoid(W2 relu(W1 relu(z))))        z gathered as in GE-θ
             W1: c -> d,  W2: d -> c,  d = max(1, c // r)
    Params:  c (h w + 2) + 2cd + c + d;  11c i + 2cd + c + d with an extent of 2^i;  c + d less without bias
    MACs:    c h w + 2cd;  9c S + 2cd s with an extent of 2^i,  s = ceil(h / 2^i) ceil(w / 2^i),  S as in GE-θ
    Source:  Hu et al., Gather-Excite: Exploiting Feature Context in CNNs, NeurIPS 2018, sec. 3. arXiv:1810.12348
    Departs: relu after the gathering and the biases are the authors' code. up is nearest-neighbour interpolation.
    Start:   the authors' files: gathering as in GE-θ, W1 and W2 N(0, 0.01²), zero biases.

    `extent` is e; with 0 it fits maps of a single size and raises ValueError for others. In training mode it needs a
    batch of at least 2 if it gathers to a single position, since a batch norm over one value raises ValueError;
    `norm: layer` and `norm: none` work with a batch of 1. `reduction` is r; `bias` is that of W1 and W2.

    >>> sum(p.numel() for p in GatherExcitePlus(64, 7, 7, extent=8).parameters())
    2692
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        extent: Extent = 0,
        reduction: PositiveInt = 16,
        bias: bool = True,
        norm: PooledNorm = "batch",
    ):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.gather = Gather("ge_plus", channels, height, width, extent, norm)
        # A layer per call: quantisers refuse a layer that is called twice.
        self.act1 = nn.ReLU()
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=bias)
        self.act2 = nn.ReLU()
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=bias)
        for layer in (self.fc1, self.fc2):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c h w (b c 1 1 where it gathers the whole map), in (0, 1)."""
        z = self.act1(self.gather(x))
        return spread(self.fc2(self.act2(self.fc1(z))).sigmoid(), x, self.gather.extent)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
