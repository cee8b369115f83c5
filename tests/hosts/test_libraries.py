"""Insertions into the models of other libraries: at identity start nothing changes, keys stay, all of it trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

import composer
from composer.hosts.recording.nested import tensors_in
from tests.hosts.nets import equal, state

SMALL, LARGE = torch.randn(2, 3, 64, 64), torch.randn(2, 3, 224, 224)


@dataclass(frozen=True)
class Case:
    """A model, what it is called with, a rule, and the first path that it makes."""

    make: Callable[[], nn.Module]
    images: Any
    use: str
    where: dict[str, str]
    first: str


def _timm(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, **options)


def _torchvision(name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import torchvision

        return torchvision.models.get_model(name, weights=None)

    return make


def _transformers(kind: str, **config: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import transformers

        options = getattr(transformers, f"{kind}Config")(**config)
        return getattr(transformers, f"{kind}ForImageClassification")(options)

    return make


def _unet() -> nn.Module:
    import segmentation_models_pytorch

    return segmentation_models_pytorch.Unet("resnet18", encoder_weights=None)


_VIT = _timm("vit_tiny_patch16_224", img_size=64, depth=3)
_HF_VIT = _transformers(
    "ViT",
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=48,
    image_size=64,
    patch_size=16,
)
_HF_SWIN = _transformers("Swin", image_size=64, embed_dim=16, depths=[2, 1], num_heads=[2, 4], window_size=4)
_HF_CONVNEXT = _transformers("ConvNext", depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32])
QUICK = {
    "bottleneck_between": Case(_timm("resnet26"), SMALL, "cbam", {"after": "branch"}, "layer1.0.cbam"),
    "convnext_between": Case(
        _timm("convnext_atto"), SMALL, "se", {"after": "stages.*.*.*.conv_dw"}, "stages.0.blocks.0.conv_dw_se"
    ),
    "vit_between": Case(_VIT, SMALL, "eca", {"after": "blocks.*.norm1"}, "blocks.0.norm1_eca"),
    "relu_called_three_times": Case(
        _torchvision("resnet50"), SMALL, "se", {"before": "layer4.*.relu_3"}, "layer4.0.pre_relu_3_se"
    ),
}
MORE = {
    "transformers_tuple": Case(
        _HF_SWIN, SMALL, "eca", {"after": "swin.encoder.layers.*.blocks.*"}, "swin.encoder.layers.0.blocks.0.out_eca"
    ),
    "resnet_end": Case(_timm("resnet26"), SMALL, "se", {"after": "layer*.*"}, "layer1.0.out_se"),
    "convnext_end": Case(
        _timm("convnext_atto"), SMALL, "cbam", {"after": "stages.*.blocks.*"}, "stages.0.blocks.0.out_cbam"
    ),
    "vit_end": Case(_VIT, SMALL, "eca", {"after": "blocks.*"}, "blocks.0.out_eca"),
    "vit_before_add": Case(_VIT, SMALL, "eca", {"before": "blocks.*.add"}, "blocks.0.pre_add_eca"),
    "swin_between": Case(
        _timm("swin_tiny_patch4_window7_224"),
        LARGE,
        "eca",
        {"after": "layers.0.blocks.*.norm1"},
        "layers.0.blocks.0.norm1_eca",
    ),
    "efficientnet_own_se": Case(_timm("efficientnet_b0"), SMALL, "eca", {"after": "blocks.*.*"}, "blocks.0.0.out_eca"),
    "mobilenetv3": Case(_timm("mobilenetv3_small_100"), SMALL, "cbam", {"after": "blocks.*.*"}, "blocks.0.0.out_cbam"),
    "stem": Case(_timm("resnet18"), SMALL, "cbam", {"after": "maxpool"}, "maxpool_cbam"),
    "downsample": Case(
        _torchvision("resnet18"), SMALL, "se", {"after": "layer*.0.downsample.1"}, "layer2.0.downsample.at1_se"
    ),
    "densenet_dict": Case(
        _torchvision("densenet121"), SMALL, "se", {"after": "features.denseblock*"}, "features.denseblock1.out_se"
    ),
    "inside_sequential": Case(
        _torchvision("convnext_tiny"), SMALL, "se", {"after": "features.1.*.block.0"}, "features.1.0.block.at0_se"
    ),
    "transformers_vit": Case(_HF_VIT, SMALL, "eca", {"after": "vit.layers.*"}, "vit.layers.0.out_eca"),
    "transformers_between": Case(
        _HF_VIT, SMALL, "eca", {"after": "vit.layers.*.layernorm_before"}, "vit.layers.0.layernorm_before_eca"
    ),
    "transformers_swin_between": Case(
        _HF_SWIN,
        SMALL,
        "eca",
        {"after": "swin.encoder.layers.*.blocks.*.layernorm_before"},
        "swin.encoder.layers.0.blocks.0.layernorm_before_eca",
    ),
    "transformers_convnext": Case(
        _HF_CONVNEXT,
        SMALL,
        "se",
        {"after": "convnext.encoder.stages.*.layers.*.dwconv"},
        "convnext.encoder.stages.0.layers.0.dwconv_se",
    ),
    "unet_decoder": Case(_unet, SMALL, "cbam", {"after": "decoder.blocks.*"}, "decoder.blocks.0.out_cbam"),
    "unet_encoder": Case(_unet, SMALL, "se", {"after": "encoder.layer*.*.bn2"}, "encoder.layer1.0.se"),
}


def fits(case: Case) -> None:
    torch.manual_seed(0)
    model = case.make().eval()
    for module in model.modules():
        # Some start with scales of zero, behind which nothing can be seen.
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    before, keys = state(model), list(model.state_dict())
    with torch.no_grad():
        plain = model(case.images)
        report = composer.insert(model, {"use": case.use, **case.where, "start": "identity"}, case.images)
        assert equal(model(case.images), plain)
    assert report.places[0] == case.first
    assert [name for name in model.state_dict() if name not in report.keys] == keys
    for parameter in composer.inserted(model):
        if parameter.shape == (1,):
            parameter.data.fill_(0.5)
    assert not equal(model(case.images), plain)
    _loss(model.train()(case.images)).backward()
    assert all(parameter.grad is not None for parameter in composer.inserted(model))
    model.zero_grad()
    composer.remove(model.eval())
    assert {path: one[0] for path, one in state(model).items()} == {path: one[0] for path, one in before.items()}
    assert {path: one[2:] for path, one in state(model).items()} == {path: one[2:] for path, one in before.items()}


def _loss(value: Any) -> Tensor:
    return sum(tensor.square().mean() for _, tensor in tensors_in(value))  # type: ignore[return-value]


@pytest.mark.parametrize("case", QUICK.values(), ids=QUICK)
def test_a_mechanism_fits(case: Case) -> None:
    fits(case)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:inserted into BatchNorm|inserted into Linear|the model runs what:UserWarning")
@pytest.mark.parametrize("case", MORE.values(), ids=MORE)
def test_a_mechanism_fits_more(case: Case) -> None:
    fits(case)


@pytest.mark.slow
def test_a_detector_takes_eca_in_its_backbone() -> None:
    import torchvision

    model = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    keys = list(model.state_dict())
    report = composer.insert(
        model.backbone, {"use": "eca", "after": "body.layer*.*", "start": "identity"}, torch.zeros(1, 3, 64, 64)
    )
    assert len(report.places) == 16
    assert [name for name in model.state_dict() if ".out_eca" not in name] == keys
    images = [torch.rand(3, 64, 64)]
    targets = [{"boxes": torch.tensor([[4.0, 4.0, 40.0, 40.0]]), "labels": torch.tensor([1])}]
    sum(model.train()(images, targets).values()).backward()
    assert all(parameter.grad is not None for parameter in composer.inserted(model))


@pytest.mark.slow
def test_a_unet_takes_attention_gates_on_its_skips_and_cbam_in_its_decoder() -> None:
    gate = {
        "inputs": ["input", "guide"],
        "nodes": {
            "logit": {"op": "conv2d", "from": "guide", "out_channels": 1, "kernel_size": 1},
            "attention": "sigmoid",
            "gated": {"op": "mul", "from": ["input", "attention"], "broadcast": True},
        },
    }
    rules = [
        {"use": "gate", "before": "decoder.blocks.*.concat", "input": 1, "from": {"guide": "./interpolate"}},
        {"use": "cbam", "after": "decoder.blocks.*"},
    ]
    model = _unet().eval()
    plain, keys = model(SMALL), list(model.state_dict())
    starting = [{**rule, "start": "identity"} for rule in rules]
    report = composer.insert(model, {"blocks": {"gate": gate}, "attention": starting}, SMALL)
    assert report.places[:2] == ("decoder.blocks.0.pre2_concat_gate", "decoder.blocks.0.out_cbam")
    assert len(report.places) == 4 + 5
    assert torch.equal(model(SMALL), plain)
    assert [name for name in model.state_dict() if name not in report.keys] == keys
    model.train()(SMALL).mean().backward()
    assert all(parameter.grad is not None for parameter in composer.inserted(model))
    # By hand, without identity start.
    model = _unet().eval()
    composer.insert(model, {"blocks": {"gate": gate}, "attention": rules}, SMALL)
    block: Any = model.decoder.blocks[0]
    deep, skip = torch.randn(1, 512, 2, 2), torch.randn(1, 256, 4, 4)
    up = torch.nn.functional.interpolate(deep, size=(4, 4))
    joined = torch.cat([up, block.pre2_concat_gate(skip, up)], 1)
    assert torch.equal(block(deep, 4, 4, skip), block.out_cbam(block.conv2(block.conv1(joined))))


def test_a_detector_that_reads_values_is_recorded_with_values() -> None:
    model = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None)
    model.eval()
    images = [torch.rand(3, 128, 128)]
    (before,) = model(images)
    rule = {"use": "eca", "after": "backbone.fpn.layer_blocks.*", "start": "identity"}
    report = composer.insert(model, rule, (images,))
    (after,) = model(images)
    assert len(report.places) == 2
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    target = [{"boxes": torch.tensor([[10.0, 10, 60, 60]]), "labels": torch.tensor([1])}]
    sum(model.train()(images, target).values()).backward()
    assert all(parameter.grad is not None for parameter in composer.inserted(model))
