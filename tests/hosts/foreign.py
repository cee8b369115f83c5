"""Ten models of other libraries, small enough to be quick, with the same two rules in each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import Tensor, nn

import composer

BETWEEN = {"use": "se", "after": "branch"}
END = {"use": "eca", "after": "block"}


@dataclass(frozen=True)
class Foreign:
    """A model of a library.

    make    makes it, with the library's own start
    size    side of its images
    blocks  what the paths of its blocks match
    listed  it takes a list of images, and gives a list of mappings
    rules   between the steps of its blocks, and at their ends
    """

    name: str
    library: str
    make: Callable[[], nn.Module]
    size: int
    blocks: str
    listed: bool = False
    rules: Sequence[Mapping[str, Any]] = (BETWEEN, END)

    def plain(self) -> nn.Module:
        """The model as it comes but for norms and scales, whose weights let every branch speak; in eval mode."""
        torch.manual_seed(0)
        model = self.make()
        with torch.no_grad():
            for path, parameter in model.named_parameters():
                if parameter.ndim == 1 and path.rpartition(".")[2] in ("weight", "gamma", "layer_scale_parameter"):
                    nn.init.uniform_(parameter, 0.5, 1.5)
        return model.eval()

    def changed(self) -> nn.Module:
        """The model with both rules in it."""
        model = self.plain()
        composer.insert(traced(self, model), list(self.rules), self.images())
        return model

    def images(self, count: int = 2) -> Tensor:
        """So many images."""
        return torch.randn(count, 3, self.size, self.size, generator=torch.Generator().manual_seed(count))

    def paths(self, model: nn.Module) -> list[str]:
        """The paths of its blocks."""
        return [path for path, _ in model.named_modules() if re.fullmatch(self.blocks, path)]


def traced(foreign: Foreign, model: nn.Module) -> nn.Module:
    """What tracers are given: of a detector its backbone, for the rest of it decides by numbers."""
    part = model.backbone if foreign.listed else model
    assert isinstance(part, nn.Module)
    return part


def outputs(foreign: Foreign, model: nn.Module, images: Tensor) -> Any:
    """What the whole model gives for images."""
    return model(list(images.sigmoid())) if foreign.listed else model(images)


def _timm(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, **options)


def _torchvision() -> nn.Module:
    import torchvision

    return torchvision.models.resnet50(weights=None)


def _detector() -> nn.Module:
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    body = resnet_fpn_backbone(backbone_name="resnet18", weights=None, norm_layer=nn.BatchNorm2d)
    return FasterRCNN(body, num_classes=3, min_size=64, max_size=64, box_detections_per_img=5)


def _vit() -> nn.Module:
    import transformers

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    return transformers.ViTForImageClassification(transformers.ViTConfig(**sizes, image_size=64, patch_size=16))


def _convnext() -> nn.Module:
    import transformers

    config = transformers.ConvNextConfig(depths=[1, 1, 2, 1], hidden_sizes=[8, 16, 24, 32])
    return transformers.ConvNextForImageClassification(config)


_SWIN = _timm("swin_tiny_patch4_window7_224", img_size=112, depths=(2, 2, 2, 2))
MODELS = (
    Foreign("resnet26", "timm", _timm("resnet26"), 64, r"layer\d\.\d"),
    Foreign("convnext_atto", "timm", _timm("convnext_atto"), 64, r"stages\.\d\.blocks\.\d"),
    Foreign("vit_tiny", "timm", _timm("vit_tiny_patch16_224", img_size=64, depth=3), 64, r"blocks\.\d"),
    Foreign("swin_tiny", "timm", _SWIN, 112, r"layers\.\d\.blocks\.\d", rules=({"use": "se", "after": "mlp"}, END)),
    Foreign("efficientnet_b0", "timm", _timm("efficientnet_b0"), 64, r"blocks\.\d\.\d"),
    Foreign("mobilenetv3_small", "timm", _timm("mobilenetv3_small_100"), 64, r"blocks\.\d\.\d"),
    Foreign("resnet50", "torchvision", _torchvision, 64, r"layer\d\.\d"),
    Foreign("fasterrcnn", "torchvision", _detector, 64, r"backbone\.body\.layer\d\.\d", listed=True),
    Foreign("ViT", "transformers", _vit, 64, r"vit\.layers\.\d"),
    Foreign("ConvNext", "transformers", _convnext, 64, r"convnext\.encoder\.stages\.\d\.layers\.\d"),
)
