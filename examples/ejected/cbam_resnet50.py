"""cbam_resnet50, one file, plain PyTorch. Ejected by composer 0.1.0 from `papers/cbam/resnet50`.

    28,089,608 parameters, 3,864,362,102 MACs at 3 × 224 × 224
    rule 1: use cbam after branch, 16 places, +2,532,576 parameters

Backbone   ResNet (He et al. 2016, arXiv:1512.03385) and ResNeXt (Xie et al. 2017, arXiv:1611.05431).
Attention  Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018, eq. 1-3. arXiv:1807.06521

Keys of the state_dict are those of the composed network: those of `resnet50`, and `*.cbam.*`. Needs torch alone.

    model = CBAMResNet50(num_classes=10)
    model.load_state_dict(torch.load("cbam_resnet50.pth", weights_only=True))
"""

import torch
from torch import Tensor, nn

# The images that the network was made for.
SHAPE = (3, 224, 224)
INPUT = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "interpolation": "bicubic", "crop": 0.95}


class SpatialAttention(nn.Module):
    """Rescale each position by a gate computed from the mean and the maximum over channels around it.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(conv_k([mean_c(x); max_c(x)]))        conv_k: 2 -> 1, zero padded
    """

    def __init__(self, kernel_size: int = 7):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def excite(self, mean: Tensor, maximum: Tensor) -> Tensor:
        """The gate b 1 h w, from the statistics."""
        gate: Tensor = self.conv(torch.cat([mean, maximum], 1)).sigmoid()
        return gate

    def forward(self, x: Tensor) -> Tensor:
        return x * self.excite(x.mean(1, keepdim=True), x.amax(1, keepdim=True))


class ChannelAttention(nn.Module):
    """Rescale each channel by a gate computed from its mean and its maximum, with one shared perceptron.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid(M(mean_hw(x)) + M(max_hw(x)))        M(z) = W2 relu(W1 z),  d = max(1, c // r)
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.act = nn.ReLU()
        self.fc2 = nn.Conv2d(hidden, channels, 1)
        for layer in (self.fc1, self.fc2):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def excite(self, mean: Tensor, maximum: Tensor) -> Tensor:
        """The gate b c 1 1, from the statistics."""
        # Stacked, so that the perceptron runs once: quantisers refuse a layer that is called twice. As images: PyTorch
        # is several times slower with two positions.
        z = torch.cat([mean, maximum])
        return self.fc2(self.act(self.fc1(z))).unflatten(0, (2, -1)).sum(0).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.excite(x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True))


class CBAM(nn.Module):
    """Rescale channels first, then the positions of the result.

    Shape:   b c h w -> b c h w
    Math:    x' = x * sigmoid(M(mean_hw(x)) + M(max_hw(x)))        M(z) = W2 relu(W1 z),  d = max(1, c // r)
             y = x' * sigmoid(conv_k([mean_c(x'); max_c(x')]))
    """

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7):
        super().__init__()
        self.channel = ChannelAttention(channels, reduction=reduction)
        self.spatial = SpatialAttention(kernel_size=kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.spatial(self.channel(x))


class Bottleneck(nn.Module):
    """b c h w -> b c h w"""

    def __init__(self, channels: int, planes: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.act2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.cbam = CBAM(4 * planes)  # rule 1: use cbam after branch
        self.downsample = (
            nn.Sequential(nn.Conv2d(channels, 4 * planes, 1, stride, bias=False), nn.BatchNorm2d(4 * planes))
            if channels != 4 * planes
            else nn.Identity()
        )
        self.act3 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act1(self.bn1(self.conv1(x)))
        y = self.act2(self.bn2(self.conv2(y)))
        x = self.cbam(self.bn3(self.conv3(y))) + self.downsample(x)
        return self.act3(x)


def init_weights(module: nn.Module) -> None:
    """N(0, 2 / (k² outputs)) for nn.Conv2d. What attention adds draws its own."""
    for layer in module.children():
        if isinstance(layer, CBAM):
            continue
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        else:
            init_weights(layer)


class CBAMResNet50(nn.Module):
    """b c h w -> b c"""

    def __init__(self, num_classes: int = 1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.act1 = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Bottleneck(64, 64), Bottleneck(256, 64), Bottleneck(256, 64))  # b 256 h/4 w/4
        self.layer2 = nn.Sequential(Bottleneck(256, 128, stride=2), *(Bottleneck(512, 128) for _ in range(3)))
        self.layer3 = nn.Sequential(Bottleneck(512, 256, stride=2), *(Bottleneck(1024, 256) for _ in range(5)))
        self.layer4 = nn.Sequential(Bottleneck(1024, 512, stride=2), Bottleneck(2048, 512), Bottleneck(2048, 512))
        self.fc = nn.Linear(2048, num_classes)
        init_weights(self)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(self.maxpool(x))))
        return self.layer4(x)

    def forward(self, x: Tensor) -> Tensor:
        x = self.forward_features(x)
        return self.fc(x.mean((2, 3)))


if __name__ == "__main__":
    model = CBAMResNet50().eval()
    output = model(torch.zeros(1, *SHAPE))
    print(tuple(output.shape), f"{sum(p.numel() for p in model.parameters()):,} parameters")
