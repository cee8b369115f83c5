"""WebDataset's tars: what the package writes is read as the package reads it, in any order."""

from __future__ import annotations

import gc
import io
import json
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image
from training.pictures import picture

from composer.errors import InputError
from composer.training.data import Data, open_data


def png(seed: int) -> bytes:
    stream = io.BytesIO()
    picture(seed).save(stream, "png")
    return stream.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes], mode: str = "w") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return str(path)


def samples(first: int, count: int) -> dict[str, bytes]:
    found = {}
    for index in range(first, first + count):
        found[f"{index:04}.png"] = png(index)
        found[f"{index:04}.cls"] = str(index % 2).encode()
    return found


def every(data: Data) -> dict[str, tuple[np.ndarray, int]]:
    return {
        part.name(index).rpartition(":")[2]: (np.asarray(part.image(index)), part.target(index))  # type: ignore[misc]
        for part in (data.train, data.validation, data.test)
        for index in range(len(part))
    }


# The package leaves its files to the collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("how", ["folder", "braces", "list"])
def test_shards_are_what_webdataset_reads(tmp_path: Path, how: str) -> None:
    with webdataset.ShardWriter(str(tmp_path / "data-%03d.tar"), maxcount=7, verbose=0) as sink:
        for index in range(20):
            sink.write({"__key__": f"sub/{index:04}", "png": np.asarray(picture(index)), "cls": index % 3})
    source = {"folder": "", "braces": "data-{000..002}.tar", "list": "data-00{0,1,2}.tar"}[how]
    data = open_data(str(tmp_path / source))
    assert data.classes == ("0", "1", "2")
    found = every(data)
    shards = [str(path) for path in sorted(tmp_path.glob("*.tar"))]
    peer = webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("__key__", "png", "cls")
    count = 0
    for key, image, label in peer:
        assert np.array_equal(found[key][0], np.asarray(image))
        assert found[key][1] == label
        count += 1
    assert count == len(found) == 20
    del peer
    gc.collect()
    again = pickle.loads(pickle.dumps(data.train))
    assert np.array_equal(np.asarray(again.image(2)), np.asarray(data.train.image(2)))


def test_names_of_tars_are_splits(tmp_path: Path) -> None:
    write_tar(tmp_path / "train-0.tar", samples(0, 6))
    write_tar(tmp_path / "val-0.tar", samples(6, 4))
    write_tar(tmp_path / "test" / "0.tar", samples(10, 2))
    data = open_data(str(tmp_path))
    assert [len(data.train), len(data.validation), len(data.test)] == [6, 4, 2]


@pytest.mark.parametrize(
    ("ending", "values", "task", "classes"),
    [
        ("cls", ["cat", "dog"], "classes", ("cat", "dog")),
        ("json", [{"label": "cat"}, {"label": "dog"}], "classes", ("cat", "dog")),
        ("json", [{"label": 4, "x": 1}, {"label": 5}], "classes", ("4", "5")),
        ("json", [{"labels": ["a", "b"]}, {"labels": []}], "labels", ("a", "b")),
        ("json", [{"value": 0.5}, {"value": 3}], "values", ()),
        ("json", [{"values": [0.5, 1]}, {"values": [3, 2]}], "values", ()),
    ],
)
def test_targets(tmp_path: Path, ending: str, values: list[object], task: str, classes: tuple[str, ...]) -> None:
    members = {}
    for index in range(10):
        value = values[index % 2]
        members[f"{index}.png"] = png(index)
        members[f"{index}.{ending}"] = (json.dumps(value) if ending == "json" else str(value)).encode()
    data = open_data(write_tar(tmp_path / "x.tar", members))
    assert (data.task, data.classes) == (task, classes)


def test_what_is_broken_or_lacks_a_target_is_said(tmp_path: Path) -> None:
    members = samples(0, 8) | {"x.png": b"no", "x.cls": b"1", "y.png": png(1), "z.cls": b"0", "z.txt": b"hello"}
    members |= {"../../up.png": png(2), "../../up.cls": b"1", "/etc/passwd.png": png(3), "/etc/passwd.cls": b"0"}
    data = open_data(write_tar(tmp_path / "x.tar", members))
    assert [name.rpartition(":")[2] for name, _ in data.unreadable] == ["x"]
    assert any("2 samples without image or target" in text for text in data.said)
    assert len(every(data)) == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tar"]


def test_refusals(tmp_path: Path) -> None:
    good = Path(write_tar(tmp_path / "good.tar", samples(0, 8)))
    (tmp_path / "cut.tar").write_bytes(good.read_bytes()[:900])
    (tmp_path / "text.tar").write_text("hello" * 999)
    (tmp_path / "empty.tar").touch()
    packed = write_tar(tmp_path / "packed.tar.gz", samples(0, 8), "w:gz")
    (tmp_path / "renamed.tar").write_bytes(Path(packed).read_bytes())
    twice = {"a.png": png(0), "a.jpg": png(0), "a.cls": b"1"}
    mixed = samples(0, 4) | {"x.png": png(1), "x.cls": b"cat"}
    for source, message in {
        "cut.tar": "cannot read the tar",
        "text.tar": "cannot read the tar",
        "empty.tar": "cannot read the tar",
        "packed.tar.gz": "is compressed",
        "renamed.tar": "cannot read the tar",
        "gone-{0..3}.tar": "the tar .*gone-0.tar` does not exist",
        "x-{0..999999999}.tar": "names 1,000,000,000 tars",
        write_tar(tmp_path / "twice.tar", twice): "two images of the sample `a`",
        write_tar(tmp_path / "mixed.tar", mixed): "words in some samples and numbers in others",
        write_tar(tmp_path / "none.tar", {"a.txt": b"x"}): "none has an image and a target",
        write_tar(tmp_path / "json.tar", {"a.png": png(0), "a.json": b"{"}): "cannot read `a.json`",
        write_tar(tmp_path / "deep.tar", {"a.png": png(0), "a.json": b"[" * 100_000}): "cannot read `a.json`",
        write_tar(tmp_path / "bytes.tar", {"a.png": png(0), "a.cls": b"\xff"}): "cannot read `a.cls`",
    }.items():
        with pytest.raises(InputError, match=message):
            open_data(str(tmp_path / source))


def test_a_file_that_is_cut_later_is_named(tmp_path: Path) -> None:
    path = Path(write_tar(tmp_path / "x.tar", samples(0, 12)))
    data = open_data(str(path))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InputError, match=r"x\.tar:0"):
        [data.train.image(index) for index in range(len(data.train))]


def test_images_of_other_formats(tmp_path: Path) -> None:
    members = {}
    for index in range(10):
        stream = io.BytesIO()
        Image.new("L", (8, 8), index * 20).save(stream, "jpeg")
        members |= {f"{index}.JPG": stream.getvalue(), f"{index}.cls": str(index % 2).encode()}
    data = open_data(write_tar(tmp_path / "x.tar", members))
    assert (data.channels, data.size) == (1, (8, 8))
