"""Images for evaluation are prepare's, bit for bit; alterations are torchvision's; masks go where their images go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from training.pictures import picture

from composer.errors import InputError
from composer.images import MODES, prepare, read_image
from composer.spec.augment import Augment
from composer.spec.model import InputSpec
from composer.training.data import evaluation_transform, mixed, training_transform
from composer.training.data.drawing import drawing
from composer.training.data.images import FileImages

SPEC = InputSpec(shape=[3, 8, 8], mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.4], crop=0.9, interpolation="bicubic")


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 5, 9), (4, 16, 16)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_evaluation_is_prepare(shape: tuple[int, int, int], mode: str) -> None:
    spec = InputSpec(shape=list(shape), crop=0.8, mean=[0.5], std=[0.25])
    image = picture(0, (20, 13), mode)
    found, target = evaluation_transform(spec, shape)(image, 3)
    assert torch.equal(found, prepare(image.convert(MODES[shape[0]]), spec, shape))
    assert target == 3
    values = torch.from_numpy(np.array(image).reshape(13, 20, -1)).permute(2, 0, 1)
    assert torch.equal(evaluation_transform(spec, shape)(values, 3)[0], found)


def test_nothing_is_altered_unless_it_is_written() -> None:
    image = picture(1, (20, 13))
    with drawing(0):
        found = training_transform(Augment(), SPEC, (3, 8, 8), "classes")(image, 0)[0]
    assert torch.equal(found, prepare(image, SPEC, (3, 8, 8)))


def peer(*steps: object) -> object:
    return v2.Compose([*steps, v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(SPEC.mean, SPEC.std)])


PEERS = {
    "crop": (
        {"crop": [0.2, 0.9], "flip": True},
        [
            v2.RandomResizedCrop(8, (0.2, 0.9), interpolation=v2.InterpolationMode.BICUBIC),
            v2.RandomHorizontalFlip(),
        ],
    ),
    "randaugment": (
        {"crop": [0.5, 1], "randaugment": {"ops": 3, "magnitude": 12}},
        [
            v2.RandomResizedCrop(8, (0.5, 1), interpolation=v2.InterpolationMode.BICUBIC),
            v2.RandAugment(3, 12, interpolation=v2.InterpolationMode.BICUBIC),
        ],
    ),
    "trivialaugment": (
        {"crop": [0.5, 1], "vertical_flip": True, "trivialaugment": True},
        [
            v2.RandomResizedCrop(8, (0.5, 1), interpolation=v2.InterpolationMode.BICUBIC),
            v2.RandomVerticalFlip(),
            v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BICUBIC),
        ],
    ),
    "color": (
        {"crop": [0.5, 1], "color": 0.4},
        [
            v2.RandomResizedCrop(8, (0.5, 1), interpolation=v2.InterpolationMode.BICUBIC),
            v2.ColorJitter(0.4, 0.4, 0.4),
        ],
    ),
}


@pytest.mark.parametrize("name", PEERS)
def test_alterations_are_those_of_torchvision(name: str) -> None:
    written, steps = PEERS[name]
    ours = training_transform(Augment.model_validate(written), SPEC, (3, 8, 8), "classes")
    theirs = peer(*steps)
    for seed in range(20):
        image = picture(seed, (20, 13))
        with drawing(seed):
            found = ours(image, 0)[0]
        with drawing(seed):
            expected = theirs(image)  # type: ignore[operator]
        torch.testing.assert_close(found, expected.as_subclass(Tensor))


def test_erase_and_pad() -> None:
    image = Image.new("RGB", (8, 8), (255, 255, 255))
    plain = InputSpec(shape=[3, 8, 8])
    erase = training_transform(Augment(erase=1.0), plain, (3, 8, 8), "classes")
    pad = training_transform(Augment(pad=2), plain, (3, 8, 8), "classes")
    with drawing(0):
        erased = erase(image, 0)[0]
    assert 0 < (erased == 0).float().mean() < 0.5
    moved = set()
    for seed in range(60):
        with drawing(seed):
            found = pad(image, 0)[0]
        moved.add(tuple((found[0] == 0).nonzero().sum(0).tolist()))
        assert (found[0] == 1).sum() >= 36
    assert len(moved) > 10


@pytest.mark.parametrize(
    "written", [{}, {"crop": [0.3, 1], "flip": True, "vertical_flip": True}, {"pad": 3, "flip": True, "color": 0.2}]
)
def test_a_mask_goes_where_its_image_goes(written: dict[str, object]) -> None:
    """The image is its own mask, in two values far apart, so both must agree but at edges, which are smoothed."""
    values = np.zeros((16, 16), dtype=np.uint8)
    values[3:12, 2:7] = 200
    image, mask = Image.fromarray(values), Image.fromarray((values > 0).astype(np.uint8))
    spec = InputSpec(shape=[1, 16, 16], interpolation="nearest")
    alter = training_transform(Augment.model_validate(written), spec, (1, 16, 16), "map")
    for seed in range(30):
        with drawing(seed):
            found, classes = alter(image, mask)
        assert classes.dtype == torch.int64
        assert set(classes.unique().tolist()) <= {0, 1, 255}
        seen = classes != 255
        assert torch.equal((found[0] > 0.3)[seen], (classes == 1)[seen])


def test_no_value_of_a_mask_is_made_up() -> None:
    mask = Image.fromarray(np.array([[0, 7], [255, 3]], dtype=np.uint8)).resize((40, 40), Image.Resampling.NEAREST)
    classes = evaluation_transform(SPEC, (3, 8, 8))(picture(0, (40, 40)), mask)[1]
    assert set(classes.unique().tolist()) == {0, 7, 255, 3}


@pytest.mark.parametrize("written", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_mixing_is_torchvisions_and_follows_seed_and_step(written: dict[str, float]) -> None:
    augment = Augment.model_validate(written)
    images, classes = torch.rand(6, 3, 8, 8), torch.tensor([0, 1, 2, 3, 4, 0])
    results = []
    for step in range(12):
        found, targets = mixed(images, classes, augment, classes=5, seed=3, step=step)
        again = mixed(images, classes, augment, classes=5, seed=3, step=step)
        assert torch.equal(found, again[0])
        torch.testing.assert_close(targets.sum(1), torch.ones(6))
        results.append(found)
        share = targets[1, 1].item()  # of the second image, whose class no neighbour has
        blend = share * images + (1 - share) * images.roll(1, 0)
        kind = "mixup" if torch.allclose(found, blend, atol=1e-5) else "cutmix"
        if kind == "cutmix":
            kept = (found == images).all(1).float().mean((1, 2))
            torch.testing.assert_close(kept[1].item(), share, atol=1e-5, rtol=0)
        assert kind in written or share in (0, 1)
    assert not torch.equal(results[0], results[1])
    state = torch.get_rng_state()
    mixed(images, classes, augment, classes=5, seed=3, step=0)
    assert torch.equal(state, torch.get_rng_state())


def test_labels_are_mixed_as_they_are() -> None:
    labels = torch.tensor([[1.0, 1, 0], [0, 0, 0], [0, 1, 1]])
    found = mixed(torch.rand(3, 1, 4, 4), labels, Augment(mixup=1.0), classes=3, seed=0, step=0)[1]
    share = found[1].max()
    torch.testing.assert_close(found, (1 - share) * labels + share * labels.roll(1, 0))


@pytest.mark.parametrize(
    ("written", "shape", "task", "message"),
    [
        ({"randaugment": True}, (4, 8, 8), "classes", "`randaugment` does not take images with an alpha channel"),
        ({"color": 0.2}, (4, 8, 8), "classes", "`color` does not take"),
        ({"trivialaugment": True}, (3, 8, 8), "map", "`trivialaugment` moves images"),
        ({"mixup": 0.2}, (3, 8, 8), "map", "`mixup` mixes classes"),
        ({"cutmix": 0.2}, (3, 8, 8), "values", "`cutmix` mixes classes"),
        ({}, (2, 8, 8), "classes", "the network's input is 2×8×8"),
        ({}, (3, 4, 8, 8), "classes", "the network's input is 3×4×8×8"),
    ],
)
def test_refusals(written: dict[str, object], shape: tuple[int, ...], task: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        training_transform(Augment.model_validate(written), SPEC, shape, task)  # type: ignore[arg-type]
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        {"crop": [1, 0.5]},
        {"crop": [0, 1]},
        {"crop": [0.5]},
        {"crop": 0.5},
        {"crop": [0.1, 1], "pad": 4},
        {"pad": -1},
        {"pad": 1.5},
        {"flip": 1},
        {"mixup": -0.1},
        {"mixup": float("nan")},
        {"cutmix": float("inf")},
        {"erase": 1.1},
        {"color": 2},
        {"color": True},
        {"color": {"hue": 0.6}},
        {"randaugment": {"ops": 0}},
        {"randaugment": {"magnitude": 31}},
        {"randaugment": True, "trivialaugment": True},
        {"ratio": [2, 1]},
        {"repeats": 2},
    ],
)
def test_what_augment_refuses(written: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Augment.model_validate(written)


def test_the_ground_under_the_mask_test_can_fail() -> None:
    flip = v2.RandomHorizontalFlip(1.0)
    image, mask = torch.zeros(1, 2, 2), tv_tensors.Mask(torch.tensor([[1, 0], [0, 0]]))
    assert flip(tv_tensors.Image(image), mask)[1][0, 1] == 1


FILES = ["1 png", "L png", "LA png", "P png", "RGB jpg", "RGBA png", "CMYK jpg", "YCbCr jpg", "I;16 png", "RGB tif"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_file_of_any_mode_is_what_composer_run_gives(tmp_path: Path, file: str, channels: int) -> None:
    mode, ending = file.split()
    if mode == "I;16":
        image = Image.fromarray(np.random.default_rng(0).integers(0, 2**16, (13, 20), dtype=np.uint16))
    else:
        image = picture(2, (20, 13)).convert(mode)
    path = tmp_path / f"x.{ending}"
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(path, exif=exif)
    spec = InputSpec(shape=[channels, 8, 8], mean=[0.5], std=[0.25])
    found = FileImages(tmp_path, [path.name]).image(0)
    expected = prepare(read_image(path, channels), spec, (channels, 8, 8))
    assert torch.equal(evaluation_transform(spec, (channels, 8, 8))(found, 0)[0], expected)
    header = FileImages(tmp_path, [path.name]).header(0, whole=False)
    assert header == FileImages(tmp_path, [path.name]).header(0)
    assert (header.height, header.width) == (found.height, found.width)
