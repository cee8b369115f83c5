"""Data sets of Hugging Face in local folders; the hub is not asked unless it is allowed."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image
from training.pictures import classes_of, picture

from composer.errors import InputError
from composer.training.data import open_data


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def saved(folder: Path, count: int = 10, splits: tuple[str, ...] = ("train", "test"), **columns: object) -> str:
    features = {"image": datasets.Image(), **{name: feature for name, (feature, _) in columns.items()}}  # type: ignore[misc]
    parts = {}
    for number, split in enumerate(splits):
        rows = {"image": [picture(100 * number + index) for index in range(count)]}
        rows |= {name: [make(index) for index in range(count)] for name, (_, make) in columns.items()}  # type: ignore[misc]
        parts[split] = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
    datasets.DatasetDict(parts).save_to_disk(str(folder / "saved"))
    return f"hf:{folder / 'saved'}"


CLASS = datasets.ClassLabel(names=["dog", "cat"])


def test_a_saved_set(tmp_path: Path) -> None:
    source = saved(tmp_path, label=(CLASS, lambda index: index % 2), notes=(datasets.Value("string"), str))
    data = open_data(source)
    assert (data.classes, data.size, data.channels) == (("dog", "cat"), (10, 12), 3)
    assert [len(data.train), len(data.validation), len(data.test)] == [8, 2, 10]
    for index in range(10):
        assert np.array_equal(np.asarray(data.test.image(index)), np.asarray(picture(100 + index)))
        assert data.test.target(index) == index % 2
    assert "columns that are not used: `notes`" in data.said
    assert data.fingerprint == open_data(source).fingerprint


def test_a_folder_of_data_files_is_what_the_package_reads(tmp_path: Path) -> None:
    root = classes_of(tmp_path / "pets", ["cat", "dog"], 8)
    data = open_data(f"hf:{root}")
    peer = datasets.load_dataset(str(root))["train"]
    assert list(data.classes) == peer.features["label"].names
    found = sorted(
        int(part.name(index).rpartition("[")[2][:-1])
        for part in (data.train, data.validation, data.test)
        for index in range(len(part))
    )
    assert found == list(range(16))
    row = int(data.train.name(3).rpartition("[")[2][:-1])
    assert np.array_equal(np.asarray(data.train.image(3)), np.asarray(peer[row]["image"]))
    assert data.train.target(3) == peer[row]["label"]


@pytest.mark.parametrize(
    ("column", "feature", "make", "task", "expected"),
    [
        ("label", datasets.Value("string"), lambda index: "ab"[index % 2], None, "classes"),
        ("label", datasets.Value("int64"), lambda index: index % 2, None, "classes"),
        ("y", datasets.Value("float32"), lambda index: index / 2, None, "values"),
        ("label", datasets.Value("int64"), lambda index: index, "values", "values"),
        ("tags", datasets.List(datasets.Value("string")), lambda index: ["a", "b"][: index % 3], None, "labels"),
        ("tags", datasets.List(CLASS), lambda index: [0, 1][: index % 3], None, "labels"),
        ("box", datasets.List(datasets.Value("float32"), length=2), lambda index: [index, 1], None, "values"),
        ("mask", datasets.Image(), lambda index: Image.new("L", (12, 10), index % 3), None, "map"),
    ],
)
def test_kinds_of_targets(
    tmp_path: Path, column: str, feature: object, make: object, task: object, expected: str
) -> None:
    data = open_data(saved(tmp_path, **{column: (feature, make)}), task=task)  # type: ignore[arg-type]
    assert data.task == expected
    if expected == "map":
        assert int(np.asarray(data.test.target(4)).max()) == 1
        assert data.outputs == 3


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_data("hf:nobody/such-a-set")
    assert caught.value.diagnostics[0].code == "data-download"
    assert "--download" in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="cannot be opened"):
        open_data(f"hf:{tmp_path / 'empty'}")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/state.json").write_text("{")
    with pytest.raises(InputError, match="cannot be opened"):
        open_data(f"hf:{tmp_path / 'broken'}")
    hidden = saved(tmp_path / "a", label=(CLASS, lambda index: -1))
    with pytest.raises(InputError, match="has the class -1"):
        open_data(hidden)
    two = saved(tmp_path / "b", a=(datasets.Value("string"), str), b=(datasets.Value("string"), str))
    with pytest.raises(InputError, match="2 columns that may be targets"):
        open_data(two)
    holes = saved(tmp_path / "c", label=(datasets.Value("string"), lambda index: None if index else "a"))
    with pytest.raises(InputError, match="have no `label`"):
        open_data(holes)
    other = saved(tmp_path / "d", splits=("a", "b"), label=(CLASS, lambda index: index % 2))
    with pytest.raises(InputError, match="the set has the splits"):
        open_data(other)
    code = tmp_path / "code"
    code.mkdir()
    (code / "code.py").write_text("import os; os.environ['RAN'] = '1'")
    with pytest.raises(InputError, match="cannot be opened"):
        open_data(f"hf:{code}")
