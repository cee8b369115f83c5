"""Photographs become what `input` declares, as torchvision and timm prepare them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from clock import cpu_time
from PIL import Image
from torchvision.transforms import v2

from composer.errors import InputError
from composer.images import find_images, prepare, read_batches, read_image
from composer.looking.photograph import crop
from composer.spec.model import InputSpec


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    shape = (height, width, len(mode)) if len(mode) > 1 else (height, width)
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8), mode)


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (256, 256), (97, 401), (31, 17)])
@pytest.mark.parametrize(("interpolation", "crop"), [("bicubic", 0.9), ("bilinear", 0.875), ("nearest", 1.0)])
def test_equals_torchvisions_transforms(size, interpolation, crop):
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    spec = InputSpec(shape=[3, 64, 64], mean=mean, std=std, interpolation=interpolation, crop=crop)
    image = noise(*size)
    peer = v2.Compose(
        [
            v2.Resize(int(64 / crop), interpolation=getattr(v2.InterpolationMode, interpolation.upper())),
            v2.CenterCrop(64),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )
    assert torch.allclose(prepare(image, spec, (3, 64, 64)), peer(image), atol=1e-6)


def test_a_high_input_is_covered(tmp_path):
    spec = InputSpec(shape=[1, 40, 20])
    noise(30, 30, "L").save(tmp_path / "grey.png")
    found = prepare(read_image(tmp_path / "grey.png", 1), spec, (1, 40, 20))
    assert found.shape == (1, 40, 20)
    assert 0 <= found.min() < found.max() <= 1


def test_palettes_transparency_sixteen_bits_and_rotation(tmp_path):
    red = Image.new("RGBA", (8, 4), (255, 0, 0, 0))
    red.save(tmp_path / "clear.png")
    Image.new("RGB", (8, 4), (255, 0, 0)).quantize(4).save(tmp_path / "palette.png")
    for name in ("clear.png", "palette.png"):
        assert read_image(tmp_path / name).getpixel((0, 0)) == (255, 0, 0)
    Image.fromarray(np.full((4, 8), 51 * 257, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png").getpixel((0, 0)) == (51, 51, 51)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").size == (4, 8)


def test_what_cannot_be_read(tmp_path, monkeypatch):
    noise(50, 50).save(tmp_path / "big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)
    with pytest.raises(InputError, match="cannot read the image"):
        read_image(tmp_path / "big.png")
    with pytest.raises(InputError, match="7 input channels"):
        read_image(tmp_path / "big.png", 7)
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="no image in the folder"):
        find_images([empty])


def test_other_channels_than_the_backbone_has_means_for():
    spec = InputSpec(shape=[3, 8, 8], mean=[0.3, 0.4, 0.5], std=[0.1, 0.2, 0.3])
    grey = noise(8, 8, "L")
    assert torch.allclose(prepare(grey, spec, (1, 8, 8)), (torch.from_numpy(np.array(grey)) / 255 - 0.4) / 0.2)
    with pytest.raises(InputError, match="the input has 4 channels, and `mean` has 3 values"):
        prepare(noise(8, 8, "RGBA"), spec, (4, 8, 8))


def test_a_banner_is_cut_before_it_is_scaled(monkeypatch):
    spec, image = InputSpec(shape=[3, 32, 32], crop=0.875), noise(4000, 20)
    whole = prepare(image, spec, (3, 32, 32))
    monkeypatch.setattr("composer.images.MAX_SCALED", 100_000)
    assert (prepare(image, spec, (3, 32, 32)) - whole).abs().max() < 2 / 255
    monkeypatch.undo()
    # As a whole this would be 15,360,000 × 256 pixels, 11 GB.
    assert cpu_time(prepare_what_cannot_be_scaled_whole) < 10 * cpu_time(
        lambda: prepare(noise(2000, 2000), InputSpec(shape=[3, 224, 224]), (3, 224, 224))
    )


def prepare_what_cannot_be_scaled_whole() -> None:
    with pytest.raises(InputError, match="60000×1 pixels has to be scaled 256 times"):
        prepare(Image.new("RGB", (60000, 1)), InputSpec(shape=[3, 224, 224], crop=0.875), (3, 224, 224))
    assert prepare(Image.new("RGB", (60000, 2)), InputSpec(shape=[3, 224, 224]), (3, 224, 224)).shape == (3, 224, 224)


@pytest.mark.parametrize("share", [0.001, 1e-300, 5e-324])
def test_a_crop_that_keeps_nearly_nothing(share):
    spec = InputSpec(shape=[3, 224, 224], crop=share)
    with pytest.raises(InputError, match="has to be scaled"):
        prepare(noise(20, 30), spec, (3, 224, 224))
    with pytest.raises(InputError, match="has to be scaled"):
        crop(Path("noise.png"), noise(20, 30), spec, (3, 224, 224))


def test_each_photograph_is_decoded_once_while_there_is_room(tmp_path, monkeypatch):
    spec, shape = InputSpec(shape=[3, 8, 8]), (3, 8, 8)
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        noise(10 + number, 12).save(path)
    read = []
    monkeypatch.setattr("composer.images.read_image", lambda *words: read.append(words[0]) or read_image(*words))
    wanted = torch.stack([prepare(read_image(path), spec, shape) for path in paths])
    batches = list(read_batches(paths, spec, shape, 2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert torch.equal(torch.cat(batches), wanted)
    assert read == paths
    monkeypatch.setattr("composer.images.MAX_KEPT", 3 * 3 * 8 * 8)
    assert torch.equal(torch.cat(list(read_batches(paths, spec, shape, 2))), wanted)
    assert read[len(paths) :] == [*paths, *paths[3:]]
