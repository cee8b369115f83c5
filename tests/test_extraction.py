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
    assert type(ours.get_classifier()).__mro__[1] is type(peer.get_classifier())


def test_levels_are_timms(pair) -> None:
    ours, peer, _ = pair
    theirs = list(peer.feature_info)
    for key in ("num_chs", "reduction", "module"):
        assert [one[key] for one in ours.feature_info] == [one[key] for one in theirs]
    assert ours.feature_info.channels() == [one["num_chs"] for one in theirs]


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
    part = composer.features(ours)
    assert not part.training
    found = part(x)
    assert all(torch.equal(a, b) for a, b in zip(found.values(), seen.values(), strict=True))
    own = dict(ours.named_parameters())
    assert all(parameter is own[name] for name, parameter in part.named_parameters())
    assert len(dict(part.named_parameters())) < len(own)


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
    assert composer.features("resnet18", {"end": "layer2"})(x).shape == (2, 128, 8, 8)
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
