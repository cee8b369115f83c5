"""Folders of images and masks, in the layouts that are in use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training.pictures import write_pictures

from composer.errors import InputError
from composer.training.data import open_data


def write(pictures: Path, masks: Path, count: int, ending: str = "", values: int = 3, mode: str = "L") -> None:
    write_pictures(pictures, [f"{index}.png" for index in range(count)])
    masks.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        mask = Image.fromarray(np.full((10, 12), index % values, dtype=np.uint8))
        if mode == "P":
            mask = Image.fromarray(np.asarray(mask), "P")
            mask.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
        mask.convert("RGB" if mode == "RGB" else mask.mode).save(masks / f"{index}{ending}.png")


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_side_by_side(tmp_path: Path, mode: str) -> None:
    write(tmp_path / "images", tmp_path / "masks", 12, "_mask" if mode == "L" else "", mode=mode)
    (tmp_path / "classes.txt").write_text("sky\nsea\nland\n")
    data = open_data(str(tmp_path))
    assert (data.task, data.classes, data.channels) == ("map", ("sky", "sea", "land"), 3)
    for part in (data.train, data.validation, data.test):
        for index in range(len(part)):
            assert set(np.unique(np.asarray(part.target(index)))) == {int(Path(part.name(index)).stem) % 3}


@pytest.mark.parametrize("inside", [True, False])
def test_splits(tmp_path: Path, inside: bool) -> None:
    for split, count in (("train", 6), ("val", 3), ("test", 3)):
        sides = [f"{split}/{{}}", f"{{}}/{split}"][not inside]
        write(tmp_path / sides.format("images"), tmp_path / sides.format("masks"), count)
    data = open_data(str(tmp_path))
    assert [len(data.train), len(data.validation), len(data.test)] == [6, 3, 3]


def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    write(tmp_path / "images", tmp_path / "masks", 12)
    write_pictures(tmp_path / "images", ["alone.png"])
    Image.new("L", (12, 10), 1).save(tmp_path / "masks/3.jpg")
    (tmp_path / "masks/3.png").unlink()
    Image.fromarray(np.full((10, 12), 300, dtype=np.int32)).save(tmp_path / "masks/4.tif")
    (tmp_path / "masks/4.png").unlink()
    Image.new("L", (12, 10), 7).save(tmp_path / "masks/5.png")
    (tmp_path / "classes.txt").write_text("a\nb\nc")
    data = open_data(str(tmp_path))
    reasons = {Path(name).stem: reason for name, reason in data.unreadable}
    assert "is a JPEG" in reasons["3"]
    assert "from 300 to 300" in reasons["4"]
    assert "has the value 7" in reasons["5"]
    assert any("1 image without a mask: `images/alone.png`" in text for text in data.said)
    with pytest.raises(InputError) as caught:
        open_data(str(tmp_path), strict=True)
    assert len(caught.value.diagnostics) == 3


def test_black_and_white_masks_are_two_classes(tmp_path: Path) -> None:
    write(tmp_path / "images", tmp_path / "masks", 12)
    for path in (tmp_path / "masks").iterdir():
        Image.fromarray((np.arange(120).reshape(10, 12) > 60).astype(np.uint8) * 255).save(path)
    data = open_data(str(tmp_path))
    assert data.classes == ("0", "1")
    assert np.asarray(data.train.target(0)).sum() == 59


def test_refusals(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images", ["a.png"])
    write_pictures(tmp_path / "masks", ["b.png"])
    with pytest.raises(InputError, match="no image with a mask of its name"):
        open_data(str(tmp_path))
    write(tmp_path / "one/images", tmp_path / "one/masks", 12, values=1)
    with pytest.raises(InputError, match="has one class"):
        open_data(str(tmp_path / "one"))
    write(tmp_path / "two/images/train", tmp_path / "two/masks/train", 4)
    write_pictures(tmp_path / "two/images/val", ["a.png"])
    with pytest.raises(InputError, match="has no folder `val`"):
        open_data(str(tmp_path / "two"))
