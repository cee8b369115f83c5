"""A CSV of images: every kind of target, and what is wrong with its line and a caret."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training.pictures import write_pictures

from composer.errors import InputError
from composer.training.data import Data, open_data


def table(folder: Path, text: str, count: int = 8) -> str:
    write_pictures(folder, [f"images/{index}.png" for index in range(count)])
    (folder / "data.csv").write_text(text, encoding="utf-8")
    return str(folder / "data.csv")


def rows(head: str, cells: list[str], delimiter: str = ",") -> str:
    body = [f"images/{index}.png{delimiter}{cell}" for index, cell in enumerate(cells)]
    return "\n".join([head, *body]) + "\n"


def targets(data: Data) -> dict[str, object]:
    found = {}
    for part in (data.train, data.validation, data.test):
        for index in range(len(part)):
            target = part.target(index)
            found[Path(part.name(index)).stem] = target.tolist() if hasattr(target, "tolist") else target
    return found


WORDS = ["cat", "dog", "cat", "dog", "cat", "dog", "cat", "dog"]


@pytest.mark.parametrize("head", ["path,label", "Image,Class", "file_name,animal", "path;label", "path\tlabel"])
def test_classes(tmp_path: Path, head: str) -> None:
    delimiter = next(one for one in ",;\t" if one in head)
    data = open_data(table(tmp_path, rows(head, WORDS, delimiter)))
    assert (data.task, data.classes) == ("classes", ("cat", "dog"))
    assert targets(data) == {str(index): index % 2 for index in range(8)}
    assert data.size == (10, 12)


def test_files_are_relative_to_the_table_and_quotes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    write_pictures(tmp_path, ["a, b.png"])
    text = "\ufeff" + rows("path,label", WORDS) + '\n"a, b.png","c ""d"", e"\n'
    write_pictures(tmp_path, [f"x/{index}.png" for index in range(2)])
    text += f'x/0.png,"c ""d"", e"\n{tmp_path}/x/1.png,"c ""d"", e"\r\n'
    data = open_data(table(tmp_path, text))
    assert data.classes == ('c "d", e', "cat", "dog")
    assert targets(data)["a, b"] == 0


def test_splits(tmp_path: Path) -> None:
    splits = ["train", "Train", "train", "train", "val", "valid", "test", "test"]
    cells = [f"{word},{split}" for word, split in zip(WORDS, splits, strict=True)]
    data = open_data(table(tmp_path, rows("path,label,split", cells)))
    assert [len(data.train), len(data.validation), len(data.test)] == [4, 2, 2]


def test_labels(tmp_path: Path) -> None:
    cells = ["a;b", "", "polar bear", "a; polar bear", "b", "b", "a", ""]
    data = open_data(table(tmp_path, rows("path,labels", cells)))
    assert (data.task, data.classes) == ("labels", ("a", "b", "polar bear"))
    assert targets(data)["3"] == [1, 0, 1]
    assert targets(data)["1"] == [0, 0, 0]
    flags = ["1,0", "0,0", "1,1", "0,1", "0,1", "1,1", "0,0", "1,0"]
    data = open_data(table(tmp_path, rows("path,cat,dog", flags)))
    assert (data.task, data.classes) == ("labels", ("cat", "dog"))
    assert targets(data)["3"] == [0, 1]


def test_values(tmp_path: Path) -> None:
    numbers = ["0.5", "-1", "2e3", "3", "4", "5", "6", ".7"]
    for head in ("path,value", "path,age"):
        data = open_data(table(tmp_path, rows(head, numbers)))
        assert (data.task, data.outputs, data.classes) == ("values", 1, ())
        assert targets(data)["2"] == [2000]
    data = open_data(table(tmp_path, rows("path,label", numbers)), task="values")
    assert data.task == "values"
    data = open_data(table(tmp_path, rows("path,values", [f"{number};1" for number in numbers])))
    assert (data.outputs, targets(data)["1"]) == (2, [-1, 1])
    data = open_data(table(tmp_path, rows("path,x,y", [f"{number},2" for number in numbers])))
    assert (data.task, data.outputs) == ("values", 2)


def test_numbers_under_label_are_classes_sorted_by_name(tmp_path: Path) -> None:
    data = open_data(table(tmp_path, rows("path,label", ["9", "10", "9", "10", "9", "10", "9", "10"])))
    assert data.classes == ("10", "9")
    assert "classes are sorted by their names as text: `10` comes before `9`" in data.said


def test_masks(tmp_path: Path) -> None:
    for index in range(8):
        mask = np.full((10, 12), index % 3, dtype=np.uint8)
        mask[0, 0] = 255
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / f"masks/{index}.png")
    text = rows("path,mask", [f"masks/{index}.png" for index in range(8)])
    data = open_data(table(tmp_path, text))
    assert (data.task, data.classes) == ("map", ("0", "1", "2"))
    mask = np.asarray(data.train.target(0))
    assert mask[0, 0] == 255
    assert mask[1, 1] == int(Path(data.train.name(0)).stem) % 3
    Image.new("L", (3, 3)).save(tmp_path / "masks/1.png")
    Image.new("RGB", (12, 10), (1, 2, 3)).save(tmp_path / "masks/2.png")
    (tmp_path / "masks/3.png").unlink()
    data = open_data(table(tmp_path, text))
    reasons = {Path(name).stem: reason for name, reason in data.unreadable}
    assert "is 10×12, and its mask 3×3" in reasons["1"]
    assert "has colours" in reasons["2"]
    assert "there is no mask" in reasons["3"]


def test_other_columns_are_said(tmp_path: Path) -> None:
    data = open_data(table(tmp_path, rows("path,label,notes", [f"{word},x" for word in WORDS])))
    assert "columns that are not used: `notes`" in data.said


GOOD = rows("path,label", WORDS)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "", "has no header"),
        ("\n\n", "", "has no header"),
        ("path,label\n", "data.csv:1:1", "has a header and no rows"),
        ("pth,label\na,b\n", "data.csv:1:1", "rename `pth` to `path`"),
        ("path\na.png\n", "data.csv:1:1", "no column holds targets"),
        ("path,label,label\na,b,c\n", "data.csv:1:12", "two columns are called `label`"),
        (GOOD + "images/9.png,cat,x\n", "data.csv:10:1", "the row has 3 cells, and the header 2"),
        (GOOD + 'images/9.png,"cat\n', "data.csv:10:1", "the row cannot be read"),
        (GOOD + ",cat\n", "data.csv:10:1", "the row has no path"),
        (GOOD + "images/9.png,\n", "data.csv:10:14", "the image has no class"),
        (GOOD + "images/1.png,cat\n", "data.csv:10:1", "`images/1.png` stands in line 3 already"),
        (rows("path,label", ["0.25", *WORDS[1:]]), "data.csv:2:14", "the class `0.25` is a fraction"),
        (rows("path,value", ["1", "", "x", "nan", "1_0", "inf", "1", "1"]), "data.csv:3:14", "a number is missing"),
        (rows("path,value", ["1", "1", "x", "nan", "1_0", "1", "1", "1"]), "data.csv:4:14", "`x` is not a number"),
        (rows("path,values", ["1;2", "1", *["1;2"] * 6]), "data.csv:3:14", "1 values, and 2 in line 2"),
        (rows("path,a,b", ["x,1"] * 8), "data.csv:1:1", "none is called `label`"),
        (rows("path,label,value", ["x,1"] * 8), "data.csv:1:1", "targets for 2 tasks"),
        (rows("path,label,split", ["x,training", *["x,dev"] * 7]), "data.csv:3:16", "there is no split `dev`"),
        (rows("path,label", ["cat"] * 8), "", "has one class, `cat`"),
        (rows("path,labels", [""] * 8), "", "has no labels"),
    ],
)
def test_refusals_name_the_line(tmp_path: Path, text: str, place: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        open_data(table(tmp_path, text))
    found = str(caught.value)
    assert message in found
    assert place in found
    assert caught.value.diagnostics[0].label or "cannot be read" in message


def test_a_caret_is_under_the_cell(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_data(table(tmp_path, rows("path,value", ["1", "x7", *["1"] * 6])))
    assert str(caught.value).splitlines()[3:5] == [
        "3 | images/1.png,x7",
        "  |              ^^ a finite number",
    ]


def test_bytes_that_are_no_text_and_missing_files(tmp_path: Path) -> None:
    source = table(tmp_path, GOOD)
    Path(source).write_bytes(GOOD.encode() + b"images/caf\xe9.png,cat\n")
    with pytest.raises(InputError, match=r"data.csv:10:1[\s\S]*UTF-8"):
        open_data(source)
    Path(source).write_text(GOOD + "images/gone.png,cat\n")
    data = open_data(source)
    assert [Path(name).name for name, _ in data.unreadable] == ["gone.png"]
    with pytest.raises(InputError, match=r"data.csv:10:1"):
        open_data(source, strict=True)
    Path(source).write_text("path,label\nimages/gone,cat\nimages/off,dog\n")
    with pytest.raises(InputError, match="none of the 2 images"):
        open_data(source)
