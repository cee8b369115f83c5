"""attention_unet, one file, plain PyTorch. Ejected by composer 0.1.0 from `segmentation/attention_unet`.

    31,389,230 parameters, 49,249,255,424 MACs at 3 × 256 × 256
    rule 1: use attention_gate before up*.concat, 4 places, +351,532 parameters

Backbone   U-Net: Ronneberger et al., 2015, 'U-Net: Convolutional Networks for Biomedical Image Segmentation',
           https://arxiv.org/abs/1505.04597.
Attention  Oktay et al., Attention U-Net: Learning Where to Look for the Pancreas, MIDL 2018. arXiv:1804.03999

Keys of the state_dict are those of the composed network: those of `unet`, and `*.pre_concat_attention_gate.*`.
Needs torch alone.

    model = AttentionUNet(num_classes=10)
    model.load_state_dict(torch.load("attention_unet.pth", weights_only=True))
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The images that the network was made for.
SHAPE = (3, 256, 256)
INPUT = {"interpolation": "bilinear", "crop": 1.0}


def _at_size_of(x: Tensor, y: Tensor) -> Tensor:
    """The map y, bilinearly, on the positions of x."""
    return F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=False)


class AttentionGate(nn.Module):
    """Rescale each position of a map, such as a skip connection, by a gate that a coarser map helps to compute.

    Shape:   b c h w, b e i j -> b c h w
    Math:    y = BN(W (a * x))        a = up(sigmoid(psi(relu(theta(x) + up(phi(g))))))
             theta: c -> d, a convolution s × s of stride s,  phi: e -> d,  psi: d -> 1,  W: c -> c
             up: bilinear, to the size of theta(x) and then of x;  d = max(1, c // 2) unless `inner` sets it
    """

    def __init__(self, channels: int, gating_channels: int):
        super().__init__()
        inner = max(1, channels // 2)
        self.theta, self.theta_bn = nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner)
        self.phi, self.phi_bn = nn.Conv2d(gating_channels, inner, 1), nn.BatchNorm2d(inner)
        self.psi, self.psi_bn = nn.Conv2d(inner, 1, 1), nn.BatchNorm2d(1)

    def forward(self, x: Tensor, gating: Tensor) -> Tensor:
        both = self.theta_bn(self.theta(x)) + self.phi_bn(self.phi(_at_size_of(x, gating)))
        return x * self.psi_bn(self.psi(both.relu())).sigmoid()


class DoubleConv(nn.Module):
    """b c h w -> b c h w"""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.act2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv1(x)))
        return self.act2(self.bn2(self.conv2(x)))


class Up(nn.Module):
    """b c h w, b c h w -> b c h w"""

    def __init__(self, channels: int, skip_channels: int):
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, skip_channels, 2, 2)
        self.pre_concat_attention_gate = AttentionGate(skip_channels, skip_channels)
        self.conv = DoubleConv(channels, skip_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        return self.conv(torch.cat([self.pre_concat_attention_gate(skip, x), x], 1))


def init_weights(module: nn.Module) -> None:
    """N(0, 2 / (k² outputs)) for nn.Conv2d. What attention adds draws its own."""
    for layer in module.children():
        if isinstance(layer, AttentionGate):
            continue
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        else:
            init_weights(layer)


class AttentionUNet(nn.Module):
    """b c h w -> b c h w"""

    def __init__(self, num_classes: int = 2):
        super().__init__()
        self.stem = DoubleConv(3, 64)
        self.down1 = nn.Sequential(OrderedDict(pool=nn.MaxPool2d(2), conv=DoubleConv(64, 128)))  # b 128 h/2 w/2
        self.down2 = nn.Sequential(OrderedDict(pool=nn.MaxPool2d(2), conv=DoubleConv(128, 256)))  # b 256 h/4 w/4
        self.down3 = nn.Sequential(OrderedDict(pool=nn.MaxPool2d(2), conv=DoubleConv(256, 512)))  # b 512 h/8 w/8
        self.down4 = nn.Sequential(OrderedDict(pool=nn.MaxPool2d(2), conv=DoubleConv(512, 1024)))  # b 1024 h/16 w/16
        self.up1 = Up(1024, 512)
        self.up2 = Up(512, 256)
        self.up3 = Up(256, 128)
        self.up4 = Up(128, 64)
        self.head = nn.Conv2d(64, num_classes, 1)
        init_weights(self)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        down1 = self.down1(x)
        down2 = self.down2(down1)
        down3 = self.down3(down2)
        return self.up4(self.up3(self.up2(self.up1(self.down4(down3), down3), down2), down1), x)

    def forward(self, x: Tensor) -> Tensor:
        x = self.forward_features(x)
        return self.head(x)


if __name__ == "__main__":
    model = AttentionUNet().eval()
    output = model(torch.zeros(1, *SHAPE))
    print(tuple(output.shape), f"{sum(p.numel() for p in model.parameters()):,} parameters")
