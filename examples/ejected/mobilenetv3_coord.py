"""mobilenetv3_coord, one file, plain PyTorch.

Ejected by composer 0.1.0 from `examples/ejected/mobilenetv3_coord.yaml`.

    4,265,847 parameters, 218,563,520 MACs at 3 × 224 × 224
    rule 1: use coord replace gate, 8 places, -1,217,185 parameters

Backbone   MobileNetV3 (Howard et al. 2019, arXiv:1905.02244, table 1: Large).
Attention  Hou et al., Coordinate Attention for Efficient Mobile Network Design, CVPR 2021. arXiv:2103.02907

Keys of the state_dict are those of the composed network: those of `mobilenetv3_large_100`, and `*.se.*`. Needs
torch alone.

    model = MobileNetV3Coord(num_classes=10)
    model.load_state_dict(torch.load("mobilenetv3_coord.pth", weights_only=True))
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

# The images that the network was made for.
SHAPE = (3, 224, 224)
INPUT = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "interpolation": "bicubic", "crop": 0.875}


class CoordinateAttention(nn.Module):
    """Rescale each element by a gate of its row and a gate of its column, computed from the means of rows and columns.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(W_h f_h) * sigmoid(W_w f_w)        [f_h; f_w] = hswish(BN(W [mean_w(x); mean_h(x)]))
             W: c -> d,  W_h, W_w: d -> c,  d = max(floor, c // r),  the h + w means side by side
    """

    def __init__(self, channels: int, reduction: int = 32, floor: int = 8):
        super().__init__()
        hidden = channels // reduction
        hidden = max(floor, hidden)
        self.conv1 = nn.Conv2d(channels, hidden, 1)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.act = nn.Hardswish()
        self.conv_h = nn.Conv2d(hidden, channels, 1)
        self.conv_w = nn.Conv2d(hidden, channels, 1)
        for layer in (self.conv1, self.conv_h, self.conv_w):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def excite(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """The gates of rows, b c h 1, and of columns, b c 1 w, from the statistics."""
        height = rows.shape[2]
        f = self.act(self.bn1(self.conv1(torch.cat([rows, columns.transpose(2, 3)], 2))))
        rows, columns = f[:, :, :height], f[:, :, height:].transpose(2, 3)
        return self.conv_h(rows).sigmoid(), self.conv_w(columns).sigmoid()

    def rescaled(self, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """x, rescaled by the gates of its row and of its column, b c h w."""
        return x * columns * rows

    def forward(self, x: Tensor) -> Tensor:
        return self.rescaled(x, *self.excite(x.mean(3, keepdim=True), x.mean(2, keepdim=True)))


class Separable(nn.Module):
    """b c h w -> b c h w"""

    def __init__(self) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.act1 = nn.ReLU(inplace=True)
        self.conv_pw = nn.Conv2d(16, 16, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act1(self.bn1(self.conv_dw(x)))
        return self.bn2(self.conv_pw(y)) + x


class InvertedResidual(nn.Module):
    """b c h w -> b c h w"""

    def __init__(
        self,
        channels: int,
        kernel: int,
        out: int,
        mid: int,
        act1_act: type[nn.Module],
        se: bool = False,
        stride: int = 1,
        padding: int = 1,
    ):
        super().__init__()
        self.conv_pw = nn.Conv2d(channels, mid, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(mid)
        self.act1 = act1_act(inplace=True)
        self.conv_dw = nn.Conv2d(mid, mid, kernel, stride, padding, groups=mid, bias=False)
        self.bn2 = nn.BatchNorm2d(mid)
        self.act2 = act1_act(inplace=True)
        self.se = CoordinateAttention(mid) if se else nn.Identity()  # rule 1: use coord replace gate
        self.conv_pwl = nn.Conv2d(mid, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.has_add = channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_dw(self.act1(self.bn1(self.conv_pw(x))))
        y = self.conv_pwl(self.se(self.act2(self.bn2(y))))
        y = self.bn3(y)
        return y + x if self.has_add else y


def init_weights(module: nn.Module) -> None:
    """Draw the first weights.

    N(0, 2 groups / (k² outputs)) for `conv_dw`
    N(0, 2 / (k² outputs)) for nn.Conv2d
    between ±1 / sqrt(outputs) for nn.Linear
    """
    for name, layer in module.named_children():
        if isinstance(layer, CoordinateAttention):
            continue
        if isinstance(layer, nn.Conv2d) and name == "conv_dw":
            fan_out = layer.weight.numel() // layer.weight.shape[1] // layer.groups
            nn.init.normal_(layer.weight, std=(2 / fan_out) ** 0.5)
        elif isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            bound = layer.weight.shape[0] ** -0.5
            nn.init.uniform_(layer.weight, -bound, bound)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        else:
            init_weights(layer)


class MobileNetV3Coord(nn.Module):
    """b c h w -> b c"""

    def __init__(self, num_classes: int = 1000):
        super().__init__()
        self.conv_stem = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.act1 = nn.Hardswish(inplace=True)
        self.blocks = nn.Sequential(
            nn.Sequential(Separable()),
            nn.Sequential(
                InvertedResidual(16, 3, 24, mid=64, act1_act=nn.ReLU, stride=2),
                InvertedResidual(24, 3, 24, mid=72, act1_act=nn.ReLU),
            ),
            nn.Sequential(
                InvertedResidual(24, 5, 40, mid=72, act1_act=nn.ReLU, se=True, stride=2, padding=2),
                InvertedResidual(40, 5, 40, mid=120, act1_act=nn.ReLU, se=True, padding=2),
                InvertedResidual(40, 5, 40, mid=120, act1_act=nn.ReLU, se=True, padding=2),
            ),
            nn.Sequential(
                InvertedResidual(40, 3, 80, mid=240, act1_act=nn.Hardswish, stride=2),
                InvertedResidual(80, 3, 80, mid=200, act1_act=nn.Hardswish),
                InvertedResidual(80, 3, 80, mid=184, act1_act=nn.Hardswish),
                InvertedResidual(80, 3, 80, mid=184, act1_act=nn.Hardswish),
            ),
            nn.Sequential(
                InvertedResidual(80, 3, 112, mid=480, act1_act=nn.Hardswish, se=True),
                InvertedResidual(112, 3, 112, mid=672, act1_act=nn.Hardswish, se=True),
            ),
            nn.Sequential(
                InvertedResidual(112, 5, 160, mid=672, act1_act=nn.Hardswish, se=True, stride=2, padding=2),
                InvertedResidual(160, 5, 160, mid=960, act1_act=nn.Hardswish, se=True, padding=2),
                InvertedResidual(160, 5, 160, mid=960, act1_act=nn.Hardswish, se=True, padding=2),
            ),
            nn.Sequential(
                nn.Sequential(
                    OrderedDict(
                        conv=nn.Conv2d(160, 960, 1, bias=False),
                        bn1=nn.BatchNorm2d(960),
                        act1=nn.Hardswish(inplace=True),
                    )
                )
            ),
        )
        self.conv_head = nn.Conv2d(960, 1280, 1)
        self.act2 = nn.Hardswish(inplace=True)
        self.classifier = nn.Linear(1280, num_classes)
        init_weights(self)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv_stem(x)))
        return self.blocks(x)

    def forward(self, x: Tensor) -> Tensor:
        x = self.forward_features(x)
        x = self.act2(self.conv_head(x.mean((2, 3), keepdim=True)))
        return self.classifier(x.flatten(1))


if __name__ == "__main__":
    model = MobileNetV3Coord().eval()
    output = model(torch.zeros(1, *SHAPE))
    print(tuple(output.shape), f"{sum(p.numel() for p in model.parameters()):,} parameters")
