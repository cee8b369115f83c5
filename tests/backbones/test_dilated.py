"""The same weights on other maps: `output_stride` and TensorFlow's padding beside timm's, the stem for small images."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import assert_close, check_outputs, randomised
from torch import nn

import composer
from composer.errors import SpecError

# One of each way in which a family writes its strides, at the output stride that dilates more of it, or both.
DILATED = [
    ("resnet18", 8),
    ("resnet50", 16),
    ("skresnext50_32x4d", 8),
    ("regnety_002", 8),
    ("mobilenetv1_100", 16),
    ("mobilenetv2_100", 8),
    ("semnasnet_100", 8),
    ("efficientnet_b0", 8),
    ("efficientnet_b0", 16),
    ("resnet50d", 8),
    ("resnest26d", 16),
    ("convnext_tiny", 8),
    ("convnext_tiny", 16),
    ("nfnet_f0", 8),
]
DILATED_AND_SLOW = [("efficientnetv2_s", 8), ("resnest50d_4s2x40d", 8), ("dm_nfnet_f0", 16)]
SMALL = ["resnet18", "resnet50d", "mobilenetv2_100", "mobilenetv3_small_100", "regnety_002"]
SMALL_AND_SLOW = ["skresnext50_32x4d", "densenet121", "efficientnet_b0"]


def images(size):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("name", "stride"), [*DILATED, *(pytest.param(*one, marks=pytest.mark.slow) for one in DILATED_AND_SLOW)]
)
def test_output_stride_is_timms(name, stride):
    peer = randomised(timm.create_model(name, output_stride=stride)).eval()
    ours = composer.build(name, vars={"output_stride": stride}).eval()
    ours.load_state_dict(peer.state_dict())
    check_outputs(ours, peer, images(96))
    with torch.no_grad():
        assert ours.forward_features(images(96)).shape[2:] == (96 // stride, 96 // stride)


@pytest.mark.parametrize("size", [64, 97])
@pytest.mark.parametrize(
    "name",
    [
        "efficientnet_b0",
        "mobilenetv3_large_100",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("efficientnet_lite0", "efficientnetv2_s")),
    ],
)
def test_tensorflow_padding_is_that_of_timms_tf_networks(name, size):
    peer = randomised(timm.create_model(f"tf_{name}")).eval()
    ours = composer.build(name, vars={"tensorflow_padding": True, "norm_eps": 1e-3}).eval()
    ours.load_state_dict(peer.state_dict())
    check_outputs(ours, peer, images(size))


@pytest.mark.parametrize("stride", [8, 16])
def test_output_stride_of_mobilenetv3(stride):
    """timm's has it where it gives features alone."""
    peer = timm.create_model("mobilenetv3_small_100", features_only=True, output_stride=stride)
    randomised(peer).eval()
    ours = composer.build("mobilenetv3_small_100", vars={"output_stride": stride}).eval()
    assert not ours.load_state_dict(peer.state_dict(), strict=False).unexpected_keys
    with torch.no_grad():
        assert_close(ours.forward_features(images(96)), peer(images(96))[-1], "features", exact=False)


@pytest.mark.parametrize("name", [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in SMALL_AND_SLOW)])
def test_small_stem_is_that_of_a_peer_with_its_first_layers_changed(name):
    """For CIFAR: where the stem is 7x7 and pools, one 3x3 at stride 1 and no pooling; elsewhere the stride alone."""
    peer = randomised(with_small_stem(timm.create_model(name))).eval()
    ours = composer.build(name, vars={"stem": "small"}).eval()
    ours.load_state_dict(peer.state_dict())
    check_outputs(ours, peer, images(64))


def with_small_stem(peer):
    """The peer with its first convolution at stride 1, of 3x3 where it was 7x7, and without the pooling behind it."""
    first = next(module for module in peer.modules() if isinstance(module, nn.Conv2d))
    if first.kernel_size == (7, 7):
        first.weight = nn.Parameter(first.weight[..., :3, :3].contiguous())
        first.kernel_size, first.padding = (3, 3), (1, 1)
    first.stride = (1, 1)
    for holder in (peer, getattr(peer, "features", None)):
        for name in ("maxpool", "pool0"):
            if hasattr(holder, name):
                setattr(holder, name, nn.Identity())
    return peer


def test_a_small_stem_and_an_output_stride_go_together():
    """The stride of the whole network is what is bounded, so that of a small stem has less to dilate."""
    vars = {"stem": "small", "output_stride": 8}
    assert composer.graph("resnet18", vars=vars).num_macs == composer.graph("resnet18", vars={"stem": "small"}).num_macs


@pytest.mark.parametrize(
    ("vars", "said"),
    [
        ({"output_stride": 12}, "`output_stride` is the number 12"),
        ({"output_stride": 4}, "`output_stride` is the number 4"),
        ({"output_stride": 8.0}, "`output_stride` is the number 8.0"),
        ({"stem": "smal"}, "did you mean `small`?"),
    ],
)
@pytest.mark.parametrize("name", ["resnet50", "regnetx_002", "mobilenetv3_small_100"])
def test_what_is_possible_is_said(name, vars, said):
    with pytest.raises(SpecError) as caught:
        composer.load(name, vars=vars)
    assert said in str(caught.value)
    assert "`8`, `16`, `32`" in str(caught.value) or "`'large'`, `'small'`" in str(caught.value)


def test_places_stay_where_they_are():
    """Attention goes to the same places, at larger maps."""
    rule = {"use": "se", "after": "branch", "expect": 16}
    spec = {"backbone": "resnet50", "vars": {"output_stride": 8}, "attention": [rule]}
    assert composer.graph(spec).num_parameters == 28_088_024
