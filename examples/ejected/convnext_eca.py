"""convnext_eca, one file, plain PyTorch. Ejected by composer 0.1.0 from `examples/ejected/convnext_eca.yaml`.

    28,589,212 parameters, 4,455,563,808 MACs at 3 × 224 × 224
    rule 1: use eca after branch, 18 places, +84 parameters

Backbone   ConvNeXt (Liu et al. 2022, arXiv:2201.03545).
Attention  Wang et al., ECA-Net: Efficient Channel Attention for Deep CNNs, CVPR 2020, eq. 9 and 12.
           arXiv:1910.03151

Keys of the state_dict are those of the composed network: those of `convnext_tiny`, and `*.eca.*`. Needs torch
alone.

    model = ConvNeXtECA()
    model.load_state_dict(torch.load("convnext_eca.pth", weights_only=True))
"""

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The images that the network was made for.
SHAPE = (3, 224, 224)
INPUT = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "interpolation": "bicubic", "crop": 0.95}


def adaptive_kernel_size(channels: int, gamma: float = 2.0, beta: float = 1.0) -> int:
    """The number of neighbouring channels for a gate. Raises ValueError if it is larger than possible."""
    k = abs((math.log2(channels) + beta) / gamma)
    return int(k) if int(k) % 2 else int(k) + 1


class ECA(nn.Module):
    """Rescale each channel by a gate computed from the pooled values of its neighbours in channel order.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid(conv_k(mean_hw(x)))        a kernel of length k over the c pooled values, zero-padded
             k = the odd number nearest to (log2(c) + beta) / gamma, ties up
    """

    def __init__(self, channels: int, gamma: float = 2.0, beta: float = 1.0):
        super().__init__()
        kernel_size = adaptive_kernel_size(channels, gamma, beta)
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def excite(self, z: Tensor) -> Tensor:
        """The gate of a pooled input, both b c 1 1."""
        gate = self.conv(z.flatten(1).unsqueeze(1)).sigmoid().transpose(1, 2)
        for axis in (2, 3)[1:]:
            gate = gate.unsqueeze(axis)
        return gate

    def forward(self, x: Tensor) -> Tensor:
        return x * self.excite(x.mean((2, 3), keepdim=True))


class LayerNorm2d(nn.LayerNorm):
    """Normalise each position of a feature map over its channels.

    Shape:   b c h w -> b c h w
    """

    def __init__(self, channels: int, eps: float = 1e-05):
        super().__init__(channels, eps, True, True)

    def forward(self, input: Tensor) -> Tensor:
        x = input.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class MLP(nn.Module):
    """b h w c -> b h w c"""

    def __init__(self, channels: int):
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Downsample(nn.ModuleList):
    """b c h w -> b c h w"""

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.append(LayerNorm2d(channels, eps=1e-06))
        self.append(nn.Conv2d(channels, out, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self[1](self[0](x))


class Unit(nn.Module):
    """b c h w -> b c h w"""

    def __init__(self, channels: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), 1e-06))
        self.conv_dw = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-06)
        self.mlp = MLP(channels)
        self.eca = ECA(channels)  # rule 1: use eca after branch

    def forward(self, x: Tensor) -> Tensor:
        y = self.mlp(self.norm(self.conv_dw(x).permute(0, 2, 3, 1))) * self.gamma
        return self.eca(y.permute(0, 3, 1, 2)) + x


def init_weights(module: nn.Module) -> None:
    """N(0, 0.02²) for nn.Conv2d; N(0, 0.02²) for nn.Linear. What attention adds draws its own."""
    for layer in module.children():
        if isinstance(layer, ECA):
            continue
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        else:
            init_weights(layer)


class ConvNeXtECA(nn.Module):
    """b c h w -> b c"""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 96, 4, 4), LayerNorm2d(96, eps=1e-06))
        self.stages = nn.Sequential(
            nn.Sequential(OrderedDict(blocks=nn.Sequential(*(Unit(96) for _ in range(3))))),
            nn.Sequential(
                OrderedDict(downsample=Downsample(96, 192), blocks=nn.Sequential(*(Unit(192) for _ in range(3))))
            ),
            nn.Sequential(
                OrderedDict(downsample=Downsample(192, 384), blocks=nn.Sequential(*(Unit(384) for _ in range(9))))
            ),
            nn.Sequential(
                OrderedDict(downsample=Downsample(384, 768), blocks=nn.Sequential(*(Unit(768) for _ in range(3))))
            ),
        )
        self.head = nn.Sequential(OrderedDict(norm=nn.LayerNorm(768, eps=1e-06), fc=nn.Linear(768, 1000)))
        init_weights(self)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.stages(self.stem(x))

    def forward(self, x: Tensor) -> Tensor:
        x = self.forward_features(x)
        return self.head(x.mean((2, 3)))


if __name__ == "__main__":
    model = ConvNeXtECA().eval()
    output = model(torch.zeros(1, *SHAPE))
    print(tuple(output.shape), f"{sum(p.numel() for p in model.parameters()):,} parameters")
