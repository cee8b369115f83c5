"""Vision models of transformers, made of small configurations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

import composer
from composer.sources import example, make

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
NO_MLP = {name: value for name, value in SMALL.items() if name != "intermediate_size"}
STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
HEADS = {**STAGES, "num_attention_heads": [1, 1, 2, 2], "hidden_sizes": [8, 16, 32, 64]}
WINDOWS = {"embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2]}
CLIPS = {**SMALL, "image_size": 32, "num_frames": 4}
WHOLE: dict[str, Any] = {}
TYPES: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("vit", "deit", "beit", "yolos", "vit_mae", "vit_msn", "ijepa", "data2vec-vision"), SMALL),
    **dict.fromkeys(("clip_vision_model", "siglip_vision_model", "aimv2_vision_model", "dinov3_vit"), SMALL),
    **dict.fromkeys(("dinov2", "dinov2_with_registers"), NO_MLP),
    **dict.fromkeys(("swin", "swinv2", "donut-swin"), WINDOWS),
    **dict.fromkeys(("convnext", "convnextv2", "poolformer"), STAGES),
    **dict.fromkeys(("segformer", "pvt", "pvt_v2", "glpn"), HEADS),
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
    "regnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "groups_width": 8},
    "bit": {"embedding_size": 32, "hidden_sizes": [128, 256], "depths": [1, 1]},
    "focalnet": {"embed_dim": 16, "depths": [1, 1, 1, 1]},
    **dict.fromkeys(("mobilevit", "mobilevitv2", "mobilenet_v1", "mobilenet_v2", "levit", "hiera", "cvt"), WHOLE),
    **dict.fromkeys(("efficientnet", "swiftformer", "hgnet_v2"), WHOLE),
    "dpt": {**SMALL, "backbone_out_indices": [0, 0, 1, 1], "neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8},
    "timm_wrapper": {"architecture": "resnet18"},
    **dict.fromkeys(("videomae", "timesformer", "vivit"), CLIPS),
}


@pytest.mark.parametrize(("model_type", "config"), TYPES.items(), ids=TYPES)
def test_a_configuration_makes_the_model_of_transformers(model_type: str, config: dict[str, Any]) -> None:
    spec = composer.load_spec({"backbone": {"transformers": {"model_type": model_type, **config}}})
    assert spec.source is not None
    model = make(spec.source)
    with torch.device("meta"):
        theirs = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(model_type, **config))
    assert type(model) is type(theirs)
    assert {name: one.shape for name, one in model.state_dict().items()} == {
        name: one.shape for name, one in theirs.state_dict().items()
    }
    args, kwargs = example(spec.source)
    assert list(kwargs) == ["pixel_values"]
    model(*args, **kwargs)


def test_a_detector_has_the_backbone_of_its_configuration_without_weights() -> None:
    backbone = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    config = {
        "model_type": "detr",
        "encoder_layers": 1,
        "decoder_layers": 1,
        "d_model": 32,
        "backbone_config": backbone,
    }
    spec = composer.load_spec({"backbone": {"transformers": config, "class": "DetrForObjectDetection"}})
    assert spec.source is not None
    assert type(make(spec.source)) is transformers.DetrForObjectDetection


def test_vars_and_input_go_to_the_configuration() -> None:
    written = {
        "backbone": {"transformers": {"model_type": "vit", **SMALL}, "class": "ViTForImageClassification"},
        "input": [1, 32, 64],
        "vars": {"num_classes": 5, "num_hidden_layers": 1},
    }
    del written["backbone"]["transformers"]["num_hidden_layers"]
    spec = composer.load_spec(written)
    assert spec.source is not None
    model = make(spec.source)
    assert (model.config.num_labels, model.config.num_channels, model.config.num_hidden_layers) == (5, 1, 1)
    assert list(model.config.image_size) == [32, 64]
    args, kwargs = example(spec.source)
    assert model(*args, **kwargs).logits.shape == (2, 5)


def test_the_class_may_be_that_of_a_configuration_from_a_hub() -> None:
    written = {"model_type": "vit", **SMALL, "architectures": ["ViTForImageClassification"]}
    spec = composer.load_spec({"backbone": {"transformers": written}})
    assert spec.source is not None
    assert type(make(spec.source)) is transformers.ViTForImageClassification
    assert spec.vars["num_classes"] == 2
    auto = composer.load_spec({"backbone": {"transformers": written, "class": "AutoModelForMaskedImageModeling"}})
    assert auto.source is not None
    assert type(make(auto.source)) is transformers.ViTForMaskedImageModeling


def test_arguments_go_to_the_class() -> None:
    written = {"transformers": {"model_type": "vit", **SMALL}, "args": {"add_pooling_layer": False}}
    spec = composer.load_spec({"backbone": written})
    assert spec.source is not None
    assert not any(name.startswith("pooler") for name in make(spec.source).state_dict())
