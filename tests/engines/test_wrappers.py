"""What segments and detects takes a composed network for its encoder as it takes timm's."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch
import torch
from engines.networks import NETWORKS, Network, among, images, ours, theirs
from torch import Tensor, nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.segmentation import FCN, DeepLabV3
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead
from torchvision.ops import MultiScaleRoIAlign

import composer

# Children of the root that give maps, and their channels.
LAYERS = {
    "seresnet50": {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048},
    "mobilenetv3_small_100": {"conv_stem": 16, "blocks": 576},
}
OF_RESNET18 = {"layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}
# Their layers give maps with channels last, or tokens: not what torchvision's wrappers take, from timm either.
NO_MAPS = ("vit_tiny_patch16_224", "swin_tiny_patch4_window7_224")
of_maps = among(lambda one: one.name not in NO_MAPS)
TARGET = {"boxes": torch.tensor([[2.0, 3.0, 40.0, 50.0]]), "labels": torch.tensor([1])}


def both(network: Network) -> list[nn.Module]:
    return [ours(network), theirs(network)]


def layers(network: Network) -> dict[str, int]:
    return LAYERS.get(network.name, OF_RESNET18)


def pyramid(model: nn.Module, network: Network) -> nn.Module:
    """The network with torchvision's feature pyramid, drawn alike around each."""
    torch.manual_seed(0)
    names = {name: str(index) for index, name in enumerate(layers(network))}
    return BackboneWithFPN(model, names, list(layers(network).values()), 64)


def parts(network: Network, detector: type[nn.Module]) -> dict[str, nn.Module]:
    """The parts of a detector that know how many levels there are."""
    names = [str(index) for index in range(len(layers(network)))]
    # The pyramid adds a level.
    count = len(names) + 1
    found: dict[str, nn.Module] = {"anchor_generator": AnchorGenerator(((16,),) * count, ((0.5, 1.0, 2.0),) * count)}
    if detector is RetinaNet:
        return found
    return {"rpn_anchor_generator": found["anchor_generator"], "box_roi_pool": MultiScaleRoIAlign(names, 7, 2)}


def tree(found: object) -> list[Tensor]:
    return [one for one in torch.utils._pytree.tree_leaves(found) if isinstance(one, Tensor)]


def same(found: list[object]) -> None:
    torch.testing.assert_close(*map(tree, found), rtol=1e-4, atol=1e-4)


@of_maps
@pytest.mark.parametrize("detector", [FasterRCNN, RetinaNet], ids=lambda one: one.__name__.lower())
def test_torchvision_detectors(network, detector):
    image, found = images(network)[0], []
    for model in both(network):
        body = pyramid(model, network)
        whole = detector(body, num_classes=5, min_size=64, max_size=64, **parts(network, detector))
        torch.manual_seed(1)
        losses = whole.train()([image], [TARGET])
        sum(losses.values()).backward()
        gradient = next(model.parameters()).grad
        with torch.no_grad():
            boxes = whole.eval()([image])
        assert gradient.abs().max() > 0
        assert boxes[0]["boxes"].shape[1] == 4
        # Boxes whose scores are all but equal change places with a last bit.
        found.append((losses, gradient, boxes if network.rounding == 0 else []))
    same(found)


@of_maps
@torch.no_grad()
@pytest.mark.parametrize("whole", [FCN, DeepLabV3], ids=lambda one: one.__name__.lower())
def test_torchvision_segmentation(network, whole):
    x, (name, channels) = images(network), list(layers(network).items())[-1]
    head, found = FCNHead if whole is FCN else DeepLabHead, []
    for model in both(network):
        torch.manual_seed(0)
        found.append(whole(IntermediateLayerGetter(model, {name: "out"}), head(channels, 5)).eval()(x)["out"])
    assert found[0].shape == (len(x), 5, *x.shape[2:])
    same(found)


def test_torchvisions_getter_runs_children_one_after_another():
    """Right where the root is a chain; where it is not, `composer.features` is."""
    conv = {"op": "conv2d", "kernel_size": 3, "from": "input"}
    nodes = {
        "a": {**conv, "out_channels": 4},
        "b": {**conv, "out_channels": 5},
        "c": {"op": "concat", "from": ["a", "b"]},
    }
    model = composer.build({"input": [3, 8, 8], "nodes": nodes}).eval()
    x = torch.randn(1, 3, 8, 8)
    assert composer.features(model, ["b"])(x)["b"].shape == (1, 5, 8, 8)
    with pytest.raises(RuntimeError, match="to have 3 channels, but got 4 channels"):
        IntermediateLayerGetter(model, {"b": "b"})(x)


@pytest.mark.parametrize("name", ["tu-composer_vit_tiny_patch16_224", "tu-vit_tiny_patch16_224"])
def test_segmentation_models_pytorch_refuse_a_vit(name):
    """Its maps are of one scale; timm's are refused in the same words."""
    composer.register_with_timm()
    with pytest.raises(ValueError, match="Unsupported model downsampling pattern"):
        segmentation_models_pytorch.Unet(name, encoder_weights=None)


@among(lambda one: one.name in composer.list_backbones() and not one.name.startswith("vit"))
@torch.no_grad()
@pytest.mark.parametrize("whole", ["Unet", "FPN"])
def test_segmentation_models_pytorch(network, whole):
    composer.register_with_timm()
    x = images(NETWORKS[0])
    options = {"img_size": x.shape[2]} if network.name in NO_MAPS else {}
    make = getattr(segmentation_models_pytorch, whole)
    found = []
    for name in (f"tu-composer_{network.name}", f"tu-{network.name}"):
        torch.manual_seed(0)
        found.append(make(name, encoder_weights=None, classes=2, **options).eval())
    mine, peer = found
    peers = {key.replace("encoder.model.", "encoder.model.body."): one for key, one in peer.state_dict().items()}
    peers = {key.replace("layers_", "layers."): one for key, one in peers.items()}
    mine.load_state_dict(peers)
    assert mine(x).shape == (len(x), 2, *x.shape[2:])
    same([mine(x), peer(x)])
