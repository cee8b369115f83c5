"""Models that a spec names are the library's own: keys, shapes, arguments from vars and input, seeds."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from torch import nn

import composer
from composer.sources import example, make
from composer.spec.model_source import ModelSource

TIMM = (
    *("resnet18", "vit_tiny_patch16_224", "convnext_atto", "swin_tiny_patch4_window7_224", "mobilenetv3_small_050"),
    *("efficientnet_b0", "regnetx_002", "mixer_s32_224", "beit_base_patch16_224", "poolformer_s12", "mvitv2_tiny"),
    *("edgenext_xx_small", "maxvit_pico_rw_256", "levit_128s", "ghostnet_050"),
)
_LARGE = ("vit_h_14", "vit_l_16", "vit_l_32", "regnet_y_128gf", "quantized", "raft_large", "resnet152", "_101")
_QUICK = (
    "resnet18",
    "regnet_x_400mf",
    "googlenet",
    "fcn_resnet50",
    "lraspp",
    "ssdlite320",
    "fcos",
    "r3d_18",
    "raft_small",
)
TORCHVISION = [name for name in torchvision.models.list_models() if not name.startswith(_LARGE)]
TORCHVISION = [name for name in TORCHVISION if "_101" not in name]


def source_of(source: Any, **options: Any) -> ModelSource:
    found = composer.load_spec(source, **options).source
    assert found is not None
    return found


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(one.shape) for name, one in model.state_dict().items()}


@pytest.mark.parametrize("name", TIMM)
def test_models_of_timm(name: str) -> None:
    spec = composer.load_spec(f"timm:{name}")
    with torch.device("meta"):
        theirs = timm.create_model(name)
    source = source_of(spec)
    model = make(source)
    assert type(model) is type(theirs)
    assert not model.training
    assert shapes_of(model) == shapes_of(theirs)
    (image,) = spec.inputs.values()
    config = theirs.default_cfg
    assert (tuple(image.shape), tuple(image.mean or ())) == (config["input_size"], config["mean"])
    assert spec.vars["num_classes"] == config["num_classes"]
    args, kwargs = example(source)
    assert model(*args, **kwargs).shape == (2, config["num_classes"])


def check_torchvision(name: str) -> None:
    model = make(source_of(f"torchvision:{name}"))
    builder = torchvision.models.get_model_builder(name)
    none = {"weights_backbone": None} if "weights_backbone" in builder.__annotations__ else {}
    try:
        with torch.device("meta"):
            theirs = builder(weights=None, **none)
    except RuntimeError:
        theirs = builder(weights=None)
    assert {one.device.type for one in model.parameters()} == {"meta"}
    assert shapes_of(model) == shapes_of(theirs)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", [name for name in TORCHVISION if name.startswith(_QUICK)])
def test_models_of_torchvision(name: str) -> None:
    check_torchvision(name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", TORCHVISION)
def test_every_model_of_torchvision(name: str) -> None:
    check_torchvision(name)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("resnet18", (3, 224, 224)), ("inception_v3", (3, 299, 299)), ("r3d_18", (3, 16, 112, 112))],
)
def test_inputs_are_those_of_torchvisions_weights(name: str, shape: tuple[int, ...]) -> None:
    source = source_of(f"torchvision:{name}")
    assert example(source)[0][0].shape == (2, *shape)


def test_detectors_take_a_list_of_images_and_optical_flow_two() -> None:
    (images,), _ = example(source_of("torchvision:fcos_resnet50_fpn"))
    assert [tuple(one.shape) for one in images] == [(3, 224, 224)] * 2
    args, _ = example(source_of("torchvision:raft_small"))
    assert [tuple(one.shape) for one in args] == [(2, 3, 224, 224)] * 2


@pytest.mark.parametrize("name", list(smp.MODEL_ARCHITECTURES_MAPPING.values()), ids=lambda one: one.__name__)
def test_architectures_of_segmentation_models(name: type[nn.Module]) -> None:
    encoder = "tu-vit_tiny_patch16_224" if name.__name__ == "DPT" else "resnet18"
    written = {"backbone": {"smp": name.__name__, "args": {"encoder_name": encoder}}, "input": [1, 224, 224]}
    source = source_of({**written, "vars": {"num_classes": 5}})
    model = make(source)
    with torch.device("meta"):
        theirs = name(encoder_name=encoder, encoder_weights=None, in_channels=1, classes=5)
    assert shapes_of(model) == shapes_of(theirs)
    args, kwargs = example(source)
    assert model(*args, **kwargs).shape == (2, 5, 224, 224)


def test_vars_and_input_go_to_the_factory() -> None:
    written = {"backbone": "timm:vit_tiny_patch16_224", "input": [1, 64, 96], "vars": {"num_classes": 3, "depth": 2}}
    model = make(source_of(written))
    with torch.device("meta"):
        theirs = timm.create_model("vit_tiny_patch16_224", in_chans=1, img_size=(64, 96), num_classes=3, depth=2)
    assert shapes_of(model) == shapes_of(theirs)
    sized = composer.load_spec("torchvision:vit_b_32", sets=["input=[3, 64, 64]", "vars.num_classes=3"])
    assert make(source_of(sized)).get_parameter("encoder.pos_embedding").shape == (1, 5, 768)
    assert make(source_of(sized)).get_submodule("heads.head").out_features == 3


def test_arguments_are_expressions_of_vars_and_change_the_input() -> None:
    written = {
        "backbone": {"timm": "vit_tiny_patch16_224", "args": {"img_size": "${2 * side}", "in_chans": 1, "depth": 1}},
        "vars": {"side": 32},
    }
    spec = composer.load_spec(written)
    assert [one.shape for one in spec.inputs.values()] == [[1, 64, 64]]
    source = source_of(spec)
    assert make(source)(*example(source)[0]).shape == (2, 1000)


def test_keywords_of_composer_reach_the_model() -> None:
    from composer.spec.sized import sized

    spec = sized(composer.load_spec("timm:vit_tiny_patch16_224"), num_classes=7, in_chans=2, img_size=32)
    source = source_of(spec)
    assert make(source)(*example(source)[0]).shape == (2, 7)
    assert example(source)[0][0].shape == (2, 2, 32, 32)


def test_a_seed_gives_one_network_and_moves_no_random_state() -> None:
    source = source_of("timm:resnet18", vars={"num_classes": 3})
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1]
    first, again, other = (make(source, seed=seed).state_dict() for seed in (0, 0, 1))
    torch.manual_seed(5)
    later = make(source, seed=0).state_dict()
    assert torch.equal(first["conv1.weight"], again["conv1.weight"])
    assert torch.equal(first["fc.weight"], later["fc.weight"])
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])
    torch.set_rng_state(states[0])
    make(source, seed=3)
    make(source)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])


def test_the_weights_of_a_seed_are_those_of_the_library() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        theirs = timm.create_model("resnet18").state_dict()
    ours = make(source_of("timm:resnet18"), seed=4)
    assert ours.training
    assert all(torch.equal(value, theirs[name]) for name, value in ours.state_dict().items())


def test_nothing_is_drawn_where_the_default_device_is_meta() -> None:
    with torch.device("meta"):
        model = make(source_of("timm:resnet18"), seed=0)
    assert model.training
    assert {one.device.type for one in model.parameters()} == {"meta"}
    assert {one.device.type for one in make(source_of("timm:resnet18"), seed=0).parameters()} == {"cpu"}
