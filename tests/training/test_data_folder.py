"""Folders of images become splits and classes; what is wrong in them is said with its name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import ImageFolder
from training.pictures import classes_of, picture, write_pictures

from composer.errors import InputError
from composer.training.data import Data, checking, open_data


def names(data: Data, root: Path) -> dict[str, list[str]]:
    return {
        split: [os.path.relpath(part.name(index), root) for index in range(len(part))]
        for split, part in (("train", data.train), ("validation", data.validation), ("test", data.test))
    }


def test_classes_and_images_are_those_of_torchvision(tmp_path: Path) -> None:
    root = classes_of(tmp_path, ["10", "9", "b", "A"], 4)
    write_pictures(root, ["b/nested/deep/x.png", "b/nested/y.JPG"])
    data = open_data(str(root))
    peer = ImageFolder(root)
    assert list(data.classes) == peer.classes == ["10", "9", "A", "b"]
    found = {
        part.name(index): part.target(index)
        for part in (data.train, data.validation, data.test)
        for index in range(len(part))
    }
    assert found == dict(peer.samples)
    for index in range(len(data.train)):
        where = [path for path, _ in peer.samples].index(data.train.name(index))
        assert np.array_equal(np.asarray(data.train.image(index)), np.asarray(peer[where][0]))


def test_a_split_gives_each_class_its_share_and_depends_on_seed_and_names_alone(tmp_path: Path) -> None:
    first = classes_of(tmp_path / "one", ["cat", "dog"], 20)
    second = tmp_path / "elsewhere" / "two"
    shutil.copytree(first, second)
    data, same = open_data(str(first)), open_data(str(second))
    assert names(data, first) == names(same, second)
    assert data.fingerprint == same.fingerprint
    assert [len(data.train), len(data.validation), len(data.test)] == [28, 6, 6]
    for part in (data.validation, data.test):
        assert [part.target(index) for index in range(6)] == [0, 0, 0, 1, 1, 1]
    every = [name for part in names(data, first).values() for name in part]
    assert len(set(every)) == 40
    other = open_data(str(first), seed=1)
    assert names(other, first) != names(data, first)
    assert other.fingerprint != data.fingerprint
    # A new image of one class leaves the split of the other as it is.
    write_pictures(first, ["dog/new.png"])
    grown = names(open_data(str(first)), first)
    cats = {split: [name for name in found if name.startswith("cat")] for split, found in grown.items()}
    assert cats == {
        split: [name for name in found if name.startswith("cat")] for split, found in names(data, first).items()
    }


def test_the_fingerprint_sees_content_of_another_size_and_another_class(tmp_path: Path) -> None:
    root = classes_of(tmp_path, ["cat", "dog"], 5)
    before = open_data(str(root)).fingerprint
    picture(99, (40, 40)).save(root / "cat" / "00.png")
    changed = open_data(str(root)).fingerprint
    (root / "dog").rename(root / "cow")
    assert len({before, changed, open_data(str(root)).fingerprint}) == 3


@pytest.mark.parametrize("folder", ["val", "valid", "Validation"])
def test_written_splits_are_taken(tmp_path: Path, folder: str) -> None:
    for split, count in (("train", 4), (folder, 2), ("test", 3)):
        classes_of(tmp_path / split, ["cat", "dog"], count)
    data = open_data(str(tmp_path))
    assert [len(data.train), len(data.validation), len(data.test)] == [8, 4, 6]
    assert all(f"/{folder}/" in data.validation.name(index) for index in range(4))


def test_missing_splits_are_made_and_said(tmp_path: Path) -> None:
    classes_of(tmp_path / "train", ["cat", "dog"], 10)
    classes_of(tmp_path / "test", ["cat", "dog"], 3)
    data = open_data(str(tmp_path), validation=0.2)
    assert [len(data.train), len(data.validation), len(data.test)] == [16, 4, 6]
    assert any("validation was taken from the training images" in text for text in data.said)
    shutil.rmtree(tmp_path / "test")
    classes_of(tmp_path / "val", ["cat", "dog"], 3)
    data = open_data(str(tmp_path))
    assert [len(data.train), len(data.validation), len(data.test)] == [20, 6, 6]
    assert any("the validation images are tested on too" in text for text in data.said)


def test_hidden_files_links_and_other_files(tmp_path: Path) -> None:
    root = classes_of(tmp_path / "data", ["cat", "dog"], 6)
    (root / ".git" / "x").mkdir(parents=True)
    write_pictures(root, ["cat/.hidden.png", "__MACOSX/cat/a.png"])
    (root / "cat" / "notes.txt").write_text("x")
    (root / "cat" / "round").symlink_to(root / "cat")
    (root / "dog" / "up").symlink_to(root)
    (root / "empty").mkdir()
    linked = classes_of(tmp_path / "other", ["cow"], 3)
    (root / "cow").symlink_to(linked / "cow")
    data = open_data(str(root))
    assert data.classes == ("cat", "cow", "dog")
    assert any("1 file that" in text for text in data.said) or any(
        "no images by their names" in text for text in data.said
    )
    assert any("`empty`" in text for text in data.said)


def test_what_cannot_be_read_is_left_out_and_listed_or_an_error(tmp_path: Path) -> None:
    root = classes_of(tmp_path, ["cat", "dog"], 6)
    (root / "cat" / "text.png").write_text("not an image")
    (root / "cat" / "empty.jpg").touch()
    (root / "dog" / "gone.png").symlink_to(root / "nowhere.png")
    whole = (root / "dog" / "00.png").read_bytes()
    (root / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    os.mkfifo(root / "dog" / "pipe.png")
    data = open_data(str(root))
    assert sorted(Path(name).name for name, _ in data.unreadable) == [
        "cut.png",
        "empty.jpg",
        "gone.png",
        "pipe.png",
        "text.png",
    ]
    assert len(data.train) + len(data.validation) + len(data.test) == 12
    assert any("left out 5 images" in text for text in data.said)
    with pytest.raises(InputError) as caught:
        open_data(str(root), strict=True)
    assert len(caught.value.diagnostics) == 5
    assert {one.code for one in caught.value.diagnostics} == {"data-image"}


def test_of_many_images_the_headers_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = classes_of(tmp_path, ["cat", "dog"], 6)
    whole = (root / "dog" / "00.png").read_bytes()
    for name in ("cut.png", "text.png"):
        (root / "dog" / name).write_bytes(whole[:100] if name == "cut.png" else b"text")
    monkeypatch.setattr(checking, "MAX_DECODED", 13)
    data = open_data(str(root))
    assert [Path(name).name for name, _ in data.unreadable] == ["text.png"]
    assert data.size == (10, 12)
    parts = (data.train, data.validation, data.test)
    (image,) = [(part, index) for part in parts for index in range(len(part)) if part.name(index).endswith("cut.png")]
    with pytest.raises(InputError, match=r"cut\.png"):
        image[0].image(image[1])


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_AT_ONCE", 4)
    told: list[str] = []
    open_data(str(classes_of(tmp_path, ["cat", "dog"], 5)), tell=told.append)
    assert told == ["looking at images: 4 of 10", "looking at images: 8 of 10"]


def test_a_class_of_broken_images_is_left_out(tmp_path: Path) -> None:
    root = classes_of(tmp_path, ["cat", "dog"], 4)
    (root / "bad").mkdir()
    (root / "bad" / "x.png").write_text("no")
    data = open_data(str(root))
    assert data.classes == ("cat", "dog")
    assert {data.train.target(index) for index in range(len(data.train))} == {0, 1}


def test_size_and_channels_are_those_of_all(tmp_path: Path) -> None:
    root = classes_of(tmp_path, ["cat", "dog"], 4)
    assert (open_data(str(root)).size, open_data(str(root)).channels) == ((10, 12), 3)
    write_pictures(root, ["cat/grey.png"], (5, 5), "L")
    assert (open_data(str(root)).size, open_data(str(root)).channels) == (None, 3)
    grey = tmp_path / "grey"
    write_pictures(grey, [f"{name}/{index}.png" for name in "ab" for index in range(4)], mode="L")
    assert open_data(str(grey)).channels == 1


def test_statistics_are_those_of_all_pixels(tmp_path: Path) -> None:
    data = open_data(str(classes_of(tmp_path, ["cat", "dog"], 5)))
    pixels = np.stack([np.asarray(data.train.image(index)) for index in range(len(data.train))]) / 255
    mean, std = data.statistics()
    assert np.allclose(mean, pixels.mean((0, 1, 2)))
    assert np.allclose(std, pixels.std((0, 1, 2)))


def make_empty(root: Path) -> None:
    root.mkdir()


def make_loose(root: Path) -> None:
    write_pictures(root, ["a.png", "b.png"])


def make_one_class(root: Path) -> None:
    classes_of(root, ["cat"], 8)


def make_few(root: Path) -> None:
    classes_of(root, ["cat", "dog"], 1)


def make_unseen(root: Path) -> None:
    classes_of(root / "train", ["cat", "dog"], 3)
    classes_of(root / "val", ["cat", "Dog"], 3)


def make_broken(root: Path) -> None:
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        (root / name / "x.png").write_text("no")


def make_inner(root: Path) -> None:
    classes_of(root / "photos" / "train", ["cat", "dog"], 3)
    for inner in (root / "photos" / "train").rglob("*.png"):
        inner.unlink()


def make_twice(root: Path) -> None:
    for split in ("train", "val", "valid"):
        classes_of(root / split, ["cat", "dog"], 1)


def make_table(root: Path) -> None:
    make_loose(root)
    (root / "labels.csv").write_text("path,label\n")


def make_loose_in_splits(root: Path) -> None:
    write_pictures(root, ["train/a.png", "val/b.png"])


def make_outer(root: Path) -> None:
    classes_of(root / "photos", ["cat", "dog"], 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_table, "or did you mean"),
        (make_loose_in_splits, "1 image lies in no class's folder"),
        (make_outer, "data/photos`?"),
        (make_empty, "is empty"),
        (make_loose, "2 images lie in no class's folder"),
        (make_one_class, "has one class, `cat`"),
        (make_few, "has no images for validation"),
        (make_unseen, "has 1 class in validation and not in training: `Dog`"),
        (make_broken, "none of the 2 images"),
        (make_inner, "there are no images in the folders of"),
        (make_twice, "two folders for validation: `val` and `valid`"),
    ],
)
def test_refusals(tmp_path: Path, make: object, message: str) -> None:
    root = tmp_path / "data"
    make(root)  # type: ignore[operator]
    with pytest.raises(InputError) as caught:
        open_data(str(root))
    assert message in str(caught.value)
    assert caught.value.diagnostics[0].label


@pytest.mark.parametrize(
    ("source", "wishes", "message"),
    [
        ("no/such", {}, "there is no data `no/such`"),
        ("a\0b", {}, "cannot be read"),
        ("", {}, "no data is named"),
        ("digits", {"validation": 0}, "the share for validation is 0"),
        ("digits", {"validation": float("nan")}, "the share for validation is nan"),
        ("digits", {"validation": 0.5, "test": 0.5}, "leave nothing to train on"),
        ("digits", {"task": "values"}, "has targets for the task classes"),
        ("digits", {"task": "boxes"}, "there is no task `boxes`"),
    ],
)
def test_refusals_of_arguments(source: str, wishes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message.replace("`", ".")):
        open_data(source, **wishes)  # type: ignore[arg-type]
