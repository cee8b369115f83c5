"""One run on images: values, halves, altered copies, photographs; the network itself is left as it was."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from PIL import Image

import composer
from composer.errors import InputError
from composer.images import prepare, read_image
from composer.looking.forms import ElementMaps, Gates, Other, SpatialMaps
from composer.looking.gather import COPIES, gather
from composer.looking.photograph import crop, enlarge, overlay, undo
from composer.looking.prepared import SHOWN
from composer.looking.sites import sites_of


def test_values_are_those_that_record_gives(network, images, seen):
    model = network("se")
    with torch.no_grad(), composer.record(model) as values:
        logits = model(images)
    found = seen(model)
    (gates,) = found.of(Gates)
    assert torch.allclose(gates.values, values["se"][..., 0, 0], atol=1e-6)
    assert torch.allclose(found.logits, logits, atol=1e-6)
    (one,) = found.seen
    assert one.everything.shape == (2 + len(COPIES), 32)
    assert one.fed.shape == (2 + len(COPIES), 32)


def test_the_network_is_left_as_it_was(network, images):
    model = network("cbam").train().bfloat16()
    before = copy.deepcopy(model.state_dict())
    gather(model, images)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_cbam_shows_both_halves_whose_product_is_its_own(network, seen):
    found = seen(network("cbam"))
    (product,), (channel,), (spatial,) = (found.of(form) for form in (ElementMaps, Gates, SpatialMaps))
    expected = channel.values[:, :, None, None] * spatial.values[:, None]
    assert torch.allclose(product.values, expected, atol=1e-6)


def test_numbers_are_of_all_images_and_maps_of_those_that_are_drawn(network):
    found = gather(network("se"), torch.randn(11, 3, 32, 32))
    assert len(found.names) == 11
    assert len(found.photos) == len(found.inputs) == SHOWN
    assert found.of(Gates)[0].values.shape[0] == 11
    large = composer.build(
        {"backbone": "resnet18", "input": [3, 64, 64], "attention": [{"use": "bam", "after": "layer1"}]}
    )
    (maps,) = gather(large, torch.randn(9, 3, 64, 64)).of(ElementMaps)
    assert maps.values.shape[0] in (SHOWN, 9)


def test_where_sites_are_and_what_put_them_there():
    spec = {
        "backbone": "resnet18",
        "attention": [{"use": "se", "after": "branch", "where": "stage == 2", "with": {"reduction": 4}}],
    }
    sites = sites_of(composer.build(spec))
    assert list(sites) == ["layer2.0.se", "layer2.1.se"]
    one = sites["layer2.1.se"]
    assert (one.stage, one.block, one.rule, one.options, one.grid) == (2, 2, 1, {"reduction": 4}, (28, 28))
    assert one.gamma is None


def test_tokens_know_the_map_they_were_made_of():
    vit = composer.build("vit_tiny_patch16_224", vars={"depth": 1, "dim": 24, "num_heads": 3})
    assert [one.grid for one in sites_of(vit).values()] == [(14, 14)]
    for axis, grid in (("pixels", (7, 7)), ("channels", None)):
        rule = {"use": "mhsa", "after": "layer4", "tokens": axis, "with": {"num_heads": 7}}
        rule["with"] = {"num_heads": 8} if axis == "pixels" else rule["with"]
        (site,) = sites_of(composer.build({"backbone": "resnet18", "attention": [rule]})).values()
        assert site.grid == grid


def test_gamma_of_attention_that_starts_as_identity():
    rule = {"use": "se", "after": "layer4", "start": "identity"}
    model = composer.build({"backbone": "resnet18", "attention": [rule]})
    assert [one.gamma for one in sites_of(model).values()] == [0.0]
    with torch.no_grad():
        model.get_parameter("layer4.out_se_gamma").fill_(0.25)
    assert [one.gamma for one in sites_of(model).values()] == [0.25]


@pytest.mark.parametrize(
    ("size", "crop_share"), [((60, 48), 0.8), ((48, 60), 1.0), ((32, 32), 1.0), ((31, 400), 0.7), ((900, 700), 0.875)]
)
def test_the_crop_of_a_photograph_is_what_the_network_sees(tmp_path, size, crop_share):
    ramp = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    ramp[..., 0], ramp[..., 1] = np.linspace(0, 255, size[0])[None], np.linspace(0, 255, size[1])[:, None]
    path = tmp_path / "ramp.png"
    Image.fromarray(ramp).save(path)
    spec = composer.load({"input": {"shape": [3, 32, 32], "crop": crop_share}, "nodes": {"a": "relu"}}).inputs["input"]
    image = read_image(path)
    photo = crop(path, image, spec, (3, 32, 32))
    seen = prepare(image, spec, (3, 32, 32)).permute(1, 2, 0)
    shrunk = Image.fromarray((photo.pixels * 255).astype(np.uint8)).resize((32, 32), Image.Resampling.BILINEAR)
    assert np.abs(np.asarray(shrunk) / 255 - seen.numpy())[2:-2, 2:-2].max() < 0.02
    assert max(photo.size) <= 512


def test_a_prepared_tensor_becomes_its_picture_again():
    spec = composer.load(
        {"input": {"shape": [3, 4, 4], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}, "nodes": {"a": "relu"}}
    ).inputs["input"]
    pixels = torch.rand(3, 4, 4)
    prepared = (pixels - torch.tensor(spec.mean).view(3, 1, 1)) / torch.tensor(spec.std).view(3, 1, 1)
    assert np.allclose(undo("x", prepared, spec).pixels, pixels.permute(1, 2, 0).numpy(), atol=1e-6)


def test_a_map_lands_on_its_own_pixels():
    values = torch.zeros(4, 6)
    values[1, 4] = 1.0
    spread = enlarge(values, (40, 60))
    assert divmod(int(spread.argmax()), 60) in [(row, column) for row in (14, 15) for column in (44, 45)]
    # Bilinear: a number has gone to nothing at the middle of its neighbours' areas.
    assert float(spread[:, :35].abs().max()) == float(spread[26:].abs().max()) == 0


def test_an_overlay_shows_the_map_in_colour_and_the_photograph_in_greys():
    spec = composer.load({"input": {"shape": [3, 8, 8]}, "nodes": {"a": "relu"}}).inputs["input"]
    photo = undo("x", torch.cat([torch.zeros(3, 8, 4), torch.ones(3, 8, 4)], 2), spec)
    values = torch.zeros(8, 8)
    values[4:] = 1.0
    shown = overlay(photo, values, 0.0, 1.0, "viridis")
    assert shown.shape == (8, 8, 3)
    # Viridis ends in yellow and begins in violet; the bright half is brighter in both.
    assert shown[7, 7, 0] > shown[7, 7, 2]
    assert shown[0, 7, 2] > shown[0, 7, 1]
    assert (shown[:, 7].sum(1) > shown[:, 0].sum(1)).all()
    flat = overlay(photo, torch.full((2, 2), 3.0), 3.0, 3.0, "viridis")
    assert np.isfinite(flat).all()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 3, 30, 32), "the images are 2×3×30×32"),
        (torch.zeros(0, 3, 32, 32), "the images are 0×3×32×32"),
        ([], "there is nothing to look at"),
        ("gone.png", "there is no image `gone.png`"),
    ],
)
def test_images_that_cannot_be_used(network, images, message):
    with pytest.raises(InputError, match=message):
        gather(network("se"), images)


PLUGIN = '''
import composer, torch
from torch import Tensor, nn

@composer.mechanism("odd", kind="channel")
class Odd(nn.Module):
    """Odd values."""
    def __init__(self, channels: int, *, what: str = "rank"):
        super().__init__()
        self.what = what
    def attention(self, x: Tensor):
        return {"rank": x[:, :, :2, :2, None], "few": x[:1], "tuple": (x.mean(), x.amax()), "scalar": x.mean(),
                "nan": x.mean((2, 3)) * float("nan"), "empty": x[:, :0], "nothing": "words"}[self.what]
    def forward(self, x: Tensor) -> Tensor:
        return x
'''


@pytest.mark.parametrize("what", ["rank", "few", "tuple", "scalar", "nan", "empty", "nothing"])
def test_values_of_plugins_that_fit_no_form_are_listed(tmp_path, what, images):
    path = tmp_path / "odd.py"
    path.write_text(PLUGIN)
    composer.registry.load_plugin(path)
    spec = {"input": [3, 32, 32], "nodes": {"a": "relu", "odd": {"op": "odd", "what": what}, "pool": "global_avg_pool"}}
    spec["nodes"]["fc"] = {"op": "linear", "out_features": 2}
    look = composer.look(composer.build(spec), images)
    (section,) = [one for one in look.sections if one.title == "Other values"]
    (row,) = section.table.rows
    assert row[:2] == ("odd", "odd")
    assert ("not finite" in row[-1]) == (what == "nan")
    assert len(gather(composer.build(spec), images).of(Other)) == 1
