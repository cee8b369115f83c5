"""The same weights for images of other channels and sizes: what timm's own loading makes of them, and what is said."""

from __future__ import annotations

import pytest
import timm
import torch
from timm.layers import AttentionPool2d

import composer
from composer.images import input_of
from composer.weights import Checkpoint, load_weights
from composer.weights.facts import Facts

VIT, SWIN = "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"


def timms(name: str, tmp_path, **options) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """Random weights of a network of timm's, and the network that timm makes of them with other options."""
    torch.manual_seed(0)
    weights = timm.create_model(name).state_dict()
    torch.save(weights, tmp_path / "w.pth")
    overlay = {"file": str(tmp_path / "w.pth")}
    return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **options).eval(), weights


def both(ours: torch.nn.Module, peer: torch.nn.Module, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return ours.eval()(x), peer(x)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        *(("resnet18", channels) for channels in (1, 4, 5, 13)),
        ("convnext_tiny", 4),
        *(pytest.param("convnext_tiny", channels, marks=pytest.mark.slow) for channels in (1, 5, 13)),
    ],
)
def test_channels(name, channels, tmp_path):
    peer, weights = timms(name, tmp_path, in_chans=channels)
    model = composer.build({"backbone": name, "input": [channels, 64, 64]})
    report = load_weights(model, weights)
    assert torch.equal(*both(model, peer, channels, 64, 64))
    ((adapted,), said) = report.adapted, str(report).splitlines()[1]
    how = "summed" if channels == 1 else f"repeated and multiplied by 3/{channels}; mean and std are repeated too"
    assert said == str(adapted)
    assert said.endswith(f".weight: images of 3 channels in the file, {channels} here: {how}")
    assert len(input_of(model).mean) == (3 if channels == 1 else channels)
    assert input_of(model).mean[:3] == [0.485, 0.456, 0.406]


def test_what_must_fit_exactly_is_not_changed(refused):
    weights = composer.build("resnet18").state_dict()
    message = refused(composer.build({"backbone": "resnet18", "input": [1, 64, 64]}), weights, require="all")
    assert "conv1.weight 64×3×7×7, not 64×1×7×7" in message


def test_another_convolution_is_no_first_one(refused):
    weights = composer.build("resnet18").state_dict()
    weights["layer1.0.conv1.weight"] = torch.zeros(64, 3, 3, 3)
    assert "layer1.0.conv1.weight 64×3×3×3, not 64×64×3×3" in refused(composer.build("resnet18"), weights)


@pytest.mark.parametrize("size", [(256, 256), (256, 512), (112, 112)])
@pytest.mark.parametrize("name", [VIT, "deit_tiny_distilled_patch16_224"])
def test_positions_of_another_image(name, size, tmp_path):
    peer, weights = timms(name, tmp_path, img_size=size)
    model = composer.build({"backbone": name, "input": [3, *size]})
    report = load_weights(model, weights)
    assert torch.equal(*both(model, peer, 3, *size))
    rows, columns = (length // 16 for length in size)
    said = f"pos_embed: positions of a grid of 14×14 in the file, {rows}×{columns} here: resampled"
    assert str(report).splitlines()[1] == said


def test_positions_of_an_attention_pool():
    """As timm's resamples them when it meets another map."""
    rule = {"use": "attention_pool", "replace": "global_pool", "with": {"num_heads": 8}}
    small, large = (
        composer.build({"backbone": "resnet18", "input": [3, side, side], "attention": [rule]}) for side in (96, 160)
    )
    report = load_weights(large, Checkpoint("it", small.state_dict()))
    said = "global_pool.pos_embed: positions of a grid of 3×3 in the file, 5×5 here: resampled"
    assert said in str(report)
    peer = AttentionPool2d(512, 3, num_heads=8, qkv_separate=True)
    peer.load_state_dict(small.get_submodule("global_pool").state_dict())
    x = torch.randn(2, 512, 5, 5)
    torch.testing.assert_close(large.get_submodule("global_pool")(x), peer(x))


def test_as_many_positions_of_another_form():
    wide = composer.build({"backbone": VIT, "input": [3, 64, 256]})
    square = composer.build({"backbone": VIT, "input": [3, 128, 128]})
    weights = wide.state_dict()
    image = input_of(wide).model_copy(update={"shape": [3, 64, 256]})
    report = load_weights(square, Checkpoint("it", weights, facts=Facts(image)))
    assert "grid of 4×16 in the file, 8×8 here" in str(report.adapted[0])
    assert not torch.equal(square.state_dict()["pos_embed"], weights["pos_embed"])
    assert load_weights(wide, Checkpoint("it", weights, facts=Facts(image))).adapted == ()


# Of timm's own interpolation.
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.filterwarnings("ignore:torch.searchsorted")
@pytest.mark.parametrize(
    ("size", "window", "tables", "said"),
    [
        (112, 7, 2, "7×7 in the file, 4×4"),
        pytest.param(256, 8, 12, "7×7 in the file, 8×8", marks=pytest.mark.slow),
    ],
)
def test_biases_of_another_window(size, window, tables, said, tmp_path):
    peer, weights = timms(SWIN, tmp_path, img_size=size, window_size=window)
    model = composer.build({"backbone": SWIN, "input": [3, size, size], "vars": {"window": window}})
    report = load_weights(model, weights)
    assert torch.allclose(*both(model, peer, 3, size, size), atol=1e-5)
    assert len(report.adapted) == tables
    assert f"positions of a window of {said} here: resampled" in str(report)


def test_another_image_than_a_transformer_was_built_for_is_said():
    model = composer.build(VIT, device="meta")
    with pytest.raises(ValueError, match="built for 197 tokens, found 257; build the network for images of that size"):
        model(torch.empty(1, 3, 256, 256, device="meta"))
