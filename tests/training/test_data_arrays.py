"""Arrays of an NPZ file: layouts, ranges and targets as people save them, and never a pickle."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from composer.errors import InputError
from composer.training.data import Data, open_data

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
CLASSES = np.arange(20) % 2


def save(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path / "data.npz", **arrays)
    return str(path / "data.npz")


def by_index(data: Data) -> dict[int, tuple[torch.Tensor, object]]:
    found = {}
    for part in (data.train, data.validation, data.test):
        for index in range(len(part)):
            number = int(part.name(index).rpartition("[")[2].removesuffix("]"))
            found[number] = (part.image(index), part.target(index))
    return found


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (IMAGES, IMAGES.transpose(0, 3, 1, 2)),
        (IMAGES.transpose(0, 3, 1, 2), IMAGES.transpose(0, 3, 1, 2)),
        (IMAGES[..., 0], IMAGES[:, None, :, :, 0]),
        (IMAGES.astype(np.float64), IMAGES.transpose(0, 3, 1, 2)),
        ((IMAGES / 255).astype(np.float32), IMAGES.transpose(0, 3, 1, 2)),
        (IMAGES.astype(np.int64), IMAGES.transpose(0, 3, 1, 2)),
        (IMAGES[..., 0] > 99, (IMAGES[:, None, :, :, 0] > 99) * np.uint8(255)),
    ],
)
def test_layouts_and_ranges(tmp_path: Path, images: np.ndarray, expected: np.ndarray) -> None:
    found = by_index(open_data(save(tmp_path, images=images, labels=CLASSES)))
    assert len(found) == 20
    for number, (image, target) in found.items():
        assert np.array_equal(image.numpy(), expected[number])
        assert target == CLASSES[number]


@pytest.mark.parametrize("keys", ["x_{} y_{}", "{}_images {}_labels", "X_{} Y_{}"])
def test_splits_by_their_keys(tmp_path: Path, keys: str) -> None:
    arrays = {}
    for split, part in (("train", slice(0, 12)), ("val", slice(12, 16)), ("test", slice(16, 20))):
        images, labels = keys.format(split, split).split()
        arrays |= {images: IMAGES[part], labels: CLASSES[part][:, None]}
    data = open_data(save(tmp_path, **arrays))
    assert [len(data.train), len(data.validation), len(data.test)] == [12, 4, 4]
    assert np.array_equal(data.test.image(1).numpy(), IMAGES[17].transpose(2, 0, 1))


HOT = np.eye(2, dtype=np.float32)[CLASSES]
SEVERAL = (RANDOM.random((20, 4)) > 0.5).astype(np.int64)
WORDS = np.array(["dog", "cat"])[CLASSES]
NUMBERS = RANDOM.normal(size=(20, 3))


@pytest.mark.parametrize(
    ("targets", "task", "expected", "classes"),
    [
        (CLASSES + 3, None, "classes", ("3", "4")),
        (CLASSES * 9 - 1, None, "classes", ("-1", "8")),
        (WORDS, None, "classes", ("cat", "dog")),
        (HOT, None, "classes", ("0", "1")),
        (HOT, "labels", "labels", ("0", "1")),
        (SEVERAL, None, "labels", ("0", "1", "2", "3")),
        (NUMBERS, None, "values", ()),
        (CLASSES.astype(np.float32), None, "values", ()),
        (CLASSES.astype(np.float32), "classes", "classes", ("0", "1")),
        (CLASSES, "values", "values", ()),
    ],
)
def test_targets(tmp_path: Path, targets: np.ndarray, task: object, expected: str, classes: tuple[str, ...]) -> None:
    data = open_data(save(tmp_path, x=IMAGES, y=targets), task=task)  # type: ignore[arg-type]
    assert (data.task, data.classes) == (expected, classes)
    for number, (_, target) in by_index(data).items():
        if expected == "classes":
            word = targets[number].argmax() if targets.ndim == 2 else targets[number]
            assert data.classes[target] == str(word if targets.dtype.kind != "f" else int(word))  # type: ignore[index]
        else:
            assert torch.allclose(target, torch.tensor(targets[number], dtype=torch.float32).reshape(-1))  # type: ignore[arg-type]


def test_names_of_classes(tmp_path: Path) -> None:
    data = open_data(save(tmp_path, x=IMAGES, y=CLASSES, classes=np.array(["cat", "dog", "cow"])))
    assert data.classes == ("cat", "dog", "cow")
    assert data.outputs == 3


def test_masks(tmp_path: Path) -> None:
    masks = RANDOM.integers(0, 3, (20, 6, 5))
    masks[0, 0, 0] = 255
    data = open_data(save(tmp_path, images=IMAGES, masks=masks))
    assert (data.task, data.classes) == ("map", ("0", "1", "2"))
    for number, (_, target) in by_index(data).items():
        assert np.array_equal(np.asarray(target), masks[number])
    two = open_data(save(tmp_path, images=IMAGES, masks=(masks > 0) * 255))
    assert two.outputs == 2
    assert set(np.unique(np.asarray(two.train.target(0)))) == {0, 1}
    assert any("0 and 255 alone" in text for text in two.said)


BAD = {
    "a target for each image": {"x": IMAGES, "y": CLASSES[:9]},
    "has no targets beside it": {"x": IMAGES},
    "has no images beside it": {"y": CLASSES},
    "its arrays are of other names": {"foo": IMAGES},
    "holds pickled objects": {"x": IMAGES, "y": np.array([{}] * 20, dtype=object)},
    "has values from -1 to": {"x": IMAGES.astype(float) - 1 - IMAGES.min(), "y": CLASSES},
    "has values from nan to nan": {"x": np.full((20, 4, 4), np.nan), "y": CLASSES},
    "`x` is 20×6×5×2": {"x": IMAGES[..., :2], "y": CLASSES},
    "`x` is 20": {"x": CLASSES, "y": CLASSES},
    "is of type complex128": {"x": IMAGES, "y": CLASSES * 1j},
    "not finite": {"x": IMAGES, "y": np.full(20, np.inf)},
    "mean the same": {"x": IMAGES, "images": IMAGES, "y": CLASSES},
    "belongs to no split": {"x": IMAGES, "y": CLASSES, "x_test": IMAGES, "y_test": CLASSES},
    "there are no images to train on": {"x_test": IMAGES, "y_test": CLASSES},
    "differ in size": {"x_train": IMAGES, "y_train": CLASSES, "x_test": IMAGES[:, :4], "y_test": CLASSES},
    "has one class": {"x": IMAGES, "y": CLASSES * 0},
    "there are 2 names of classes": {"x": IMAGES, "y": CLASSES * 2, "classes": np.array(["a", "b"])},
    "not among the names": {"x": IMAGES, "y": WORDS, "classes": np.array(["a", "b"])},
    "masks of the images' size": {"images": IMAGES, "masks": np.zeros((20, 3, 3), int)},
    "a target for each image,": {"x": np.float32(3), "y": CLASSES},
}


@pytest.mark.parametrize("message", BAD)
def test_refusals(tmp_path: Path, message: str) -> None:
    with pytest.raises(InputError) as caught:
        open_data(save(tmp_path, **BAD[message]))
    assert message.removesuffix(",") in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    good = Path(save(tmp_path, x=IMAGES, y=CLASSES)).read_bytes()
    header = io.BytesIO()
    np.save(header, IMAGES)
    huge = tmp_path / "huge.npz"
    with zipfile.ZipFile(huge, "w") as file:
        text = header.getvalue().replace(b"(20, 6, 5, 3), }", b"(20000000, 6000, 5, 3), }"[:25])
        file.writestr("x.npy", text)
        file.writestr("y.npy", header.getvalue())
    for name, content in {"cut": good[:500], "empty": b"", "noise": b"PK\3\4" + b"x" * 99, "text": b"hello"}.items():
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"cannot be read|single array|pickled"):
            open_data(str(path))
    with pytest.raises(InputError):
        open_data(str(huge))
    for cut in range(0, len(good), len(good) // 40):
        (tmp_path / "flip.npz").write_bytes(good[:cut] + bytes([good[cut] ^ 0x55]) + good[cut + 1 :])
        try:
            open_data(str(tmp_path / "flip.npz"))
        except InputError:
            continue
