"""Features at several scales, timm's habits, and a classifier of another size."""

from __future__ import annotations

import copy
import pickle

import pytest
import timm
import torch

import composer

NAMES = ["resnet18", "efficientnet_b0", "mobilenetv2_100", "vit_base_patch16_224"]
SMALL = {"resnet18": 64, "efficientnet_b0": 64, "mobilenetv2_100": 64, "vit_base_patch16_224": 224}


@pytest.fixture(scope="module", params=NAMES)
def pair(request):
    """A network of ours and timm's with the same weights, and an input."""
    ours, peer = composer.build(request.param).eval(), timm.create_model(request.param).eval()
    peer.load_state_dict(ours.state_dict())
    return ours, peer, torch.randn(1, 3, SMALL[request.param], SMALL[request.param])


@torch.no_grad()
def test_parts_of_the_forward_equal_timms(pair) -> None:
    ours, peer, x = pair
    features = ours.forward_features(x)
    assert torch.equal(features, peer.forward_features(x))
    assert torch.equal(ours.forward_head(features), ours(x))
    pooled = peer.forward_head(peer.forward_features(x), pre_logits=True)
    assert torch.equal(ours.forward_head(features, pre_logits=True), pooled)
    assert (ours.num_features, ours.num_classes) == (peer.num_features, peer.num_classes)
    assert ours.head_hidden_size == peer.head_hidden_size
    assert type(ours.get_classifier()) is type(peer.get_classifier())


def test_levels_are_timms(pair) -> None:
    ours, peer, _ = pair
    theirs = list(peer.feature_info)
    for key in ("num_chs", "reduction", "module"):
        assert [one[key] for one in ours.feature_info] == [one[key] for one in theirs]
    assert ours.feature_info.channels() == [one["num_chs"] for one in theirs]


@pytest.mark.parametrize("stride", [16, 8])
@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "efficientnet_b0", "regnety_002", "mobilenetv2_050"])
def test_levels_of_dilated_networks_are_timms(name: str, stride: int) -> None:
    theirs = timm.create_model(name, features_only=True, output_stride=stride).feature_info
    found = composer.build(name, vars={"output_stride": stride})
    ours = found.feature_info
    assert (ours.channels(), ours.reduction()) == (theirs.channels(), theirs.reduction())
    assert list(composer.features(found).graph.outputs) == list(composer.features(name).graph.outputs)


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenetv3_large_100"])
def test_a_padded_image_is_no_level(name: str) -> None:
    theirs = timm.create_model(f"tf_{name}", features_only=True).feature_info
    ours = composer.build(name, vars={"tensorflow_padding": True}).feature_info
    assert (ours.channels(), ours.reduction()) == (theirs.channels(), theirs.reduction())


@pytest.mark.parametrize("name", ["efficientnet_b1", "efficientnet_b2", "inception_v3", "vgg16", "densenet121"])
def test_a_level_halves_the_input_whatever_its_side(name: str) -> None:
    with torch.device("meta"):
        theirs = list(timm.create_model(name).feature_info)
    found = [(level.channels, level.reduction) for level in composer.graph(name).levels]
    assert found == [(one["num_chs"], one["reduction"]) for one in theirs]
    assert list(composer.features(name).graph.outputs) == [f"c{one['reduction'].bit_length() - 1}" for one in theirs]


@torch.no_grad()
def test_features_are_what_the_whole_network_computes_and_share_its_weights(pair) -> None:
    ours, _, x = pair
    seen: dict[str, torch.Tensor] = {}
    hooks = [
        ours.get_submodule(path).register_forward_hook(lambda m, i, y, path=path: seen.update({path: y.clone()}))
        for path in ours.feature_info.module_name()
    ]
    ours(x)
    for hook in hooks:
        hook.remove()
    part = composer.features(ours, maps=False)
    assert not part.training
    found = part(x)
    assert all(torch.equal(a, b) for a, b in zip(found.values(), seen.values(), strict=True))
    own = dict(ours.named_parameters())
    assert all(parameter is own[name] for name, parameter in part.named_parameters())
    assert len(dict(part.named_parameters())) < len(own)


@torch.no_grad()
@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"])
def test_features_of_tokens_are_timms_maps(name: str) -> None:
    source = {"backbone": name, "input": [3, 64, 96]}
    ours = composer.build(source).eval()
    peer = timm.create_model(name, img_size=(64, 96)).eval()
    peer.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 64, 96)
    part = composer.features(ours)
    found = list(part(x).values())
    for one, wanted in zip(found, peer.forward_intermediates(x, intermediates_only=True), strict=True):
        assert one.shape == (2, 192, 4, 6)
        assert torch.equal(one, wanted)
    assert {str(tensor) for tensor in part.graph.outputs.values()} == {"b×192×4×6"}
    for twin in (copy.deepcopy(part), pickle.loads(pickle.dumps(part))):
        assert all(torch.equal(one, other) for one, other in zip(twin(x).values(), found, strict=True))
        assert twin.graph.outputs == part.graph.outputs
    # What is asked for by its path is what that node gives, unless it is to be a map.
    tokens = composer.features(ours, {"last": "blocks.11", "first": "patch_embed"})(x)
    assert [tuple(value.shape) for value in tokens.values()] == [(2, 24 + ours.spec.vars["prefix"], 192), (2, 24, 192)]
    one = composer.features(ours, {"last": "blocks.11", "logits": "head"}, maps=True)(x)
    assert torch.equal(one["last"], found[-1])
    assert one["logits"].shape == (2, 1000)


@torch.no_grad()
def test_features_of_swin_are_timms_with_the_channels_first() -> None:
    options = {"depths": [1, 1, 1, 1], "drop_path": 0.0}
    ours = composer.build({"backbone": "swin_tiny_patch4_window7_224", "vars": options, "input": [3, 64, 64]}).eval()
    peer = timm.create_model("swin_tiny_patch4_window7_224", img_size=64, depths=(1, 1, 1, 1)).eval()
    peer.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 64, 64)
    found = composer.features(ours)(x)
    assert list(found) == ["c2", "c3", "c4", "c5"]
    for one, wanted in zip(found.values(), peer.forward_intermediates(x, intermediates_only=True), strict=True):
        assert one.shape == wanted.shape
        assert torch.allclose(one, wanted, atol=1e-5)
    assert composer.features(ours, ["layers.0"])(x)["layers_0"].shape == (2, 16, 16, 96)


def test_names_of_features() -> None:
    spec = {"backbone": "resnet18", "attention": [{"use": "bam", "after": "stage", "where": "not last"}]}
    x = torch.randn(2, 3, 64, 64)
    assert {name: tuple(y.shape[1:]) for name, y in composer.features(spec)(x).items()} == {
        "c1": (64, 32, 32),
        "c2": (64, 16, 16),
        "c3": (128, 8, 8),
        "c4": (256, 4, 4),
        "c5": (512, 2, 2),
    }
    assert list(composer.features("resnet18", ["layer1.0", "layer3"])(x)) == ["layer1_0", "layer3"]
    assert composer.features("resnet18", {"end": "layer2"})(x)["end"].shape == (2, 128, 8, 8)
    with pytest.raises(composer.GraphError, match="no `9` in `layer1`"):
        composer.features("resnet18", ["layer1.9"])


def test_a_network_of_other_parts_says_what_is_missing() -> None:
    model = composer.build(
        {"input": [3, 8, 8], "nodes": {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 1}}}
    )
    for call in (lambda: model.forward_features(torch.zeros(1, 3, 8, 8)), lambda: model.num_features):
        with pytest.raises(composer.InputError, match="site: features"):
            call()
    with pytest.raises(composer.InputError, match="neither stages nor blocks"):
        composer.features(model)
    with pytest.raises(composer.InputError, match="no var `num_classes`"):
        model.reset_classifier(3)
    assert model.num_classes == 0


def test_another_classifier_leaves_every_other_weight(monkeypatch) -> None:
    model = composer.build("resnet18", dtype=torch.float64).eval()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    before = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("fc")}
    convolution = model.layer1[0].conv1
    pooled = model.forward_head(model.forward_features(x), pre_logits=True)
    for classes in (7, 0, 7, 1000):
        model.reset_classifier(classes)
        assert model.num_classes == model.spec.vars["num_classes"] == classes
        assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in before.items())
        assert model.layer1[0].conv1 is convolution
        for twin in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            y = twin(x)
            assert y.dtype == torch.float64
            assert torch.equal(y, pooled) if classes == 0 else y.shape == (2, classes)
    assert torch.equal(model.fc.weight, composer.build("resnet18").double().fc.weight)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("resnet18", None),
        ("resnet18", {"inside": "layer2.0.bn1", "logits": "fc"}),
        ("resnet18", ["layer4.1.conv1", "layer4"]),
        ("swin_tiny_patch4_window7_224", ["layers.3.blocks.1.mlp", "layers.0", "norm"]),
    ],
)
def test_forward_features_of_a_view_is_the_networks_own(name: str, outputs) -> None:
    side = 224 if name.startswith("swin") else 64
    options = {"vars": {"depths": [1, 1, 1, 2]}} if side == 224 else {}
    model, x = composer.build(name, **options).eval(), torch.randn(1, 3, side, side)
    view = composer.features(model, outputs)
    assert torch.equal(view.forward_features(x), model.forward_features(x))
    assert view.num_features == model.num_features
    again = pickle.loads(pickle.dumps(view))
    assert torch.equal(again.forward_features(x), model.forward_features(x))


@pytest.mark.parametrize(
    ("name", "outputs", "end"),
    [
        ("vit_tiny_patch16_224", None, "norm"),
        ("swin_tiny_patch4_window7_224", None, "norm"),
        ("resnet18", ["layer4.0"], "layer4"),
        ("resnet18", ["layer4.1.conv1", "layer3"], "layer4"),
    ],
)
def test_a_view_without_the_end_of_the_features_says_so(name: str, outputs, end: str) -> None:
    view = composer.features(composer.build(name, device="meta"), outputs)
    x = torch.zeros(1, 3, 64, 64, device="meta")
    for call in (lambda: view.forward_features(x), lambda: view.forward_head(x), lambda: view.num_features):
        with pytest.raises(composer.InputError, match=rf"end at `{end}`, which its outputs leave out"):
            call()
