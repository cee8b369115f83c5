"""examples/guides/data.md: every source on it is opened, and is what the page says; its alterations are read."""

from __future__ import annotations

import csv
import re
import zlib
from pathlib import Path

import pytest
import yaml
from PIL import Image
from training.pictures import picture

from composer.spec.augment import Augment
from composer.training.data import open_data
from composer.training.data.tars import _expanded

PAGE = (Path(__file__).parents[2] / "examples/guides/data.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^<!-- data: (\S+) -> (\w+), (\d+) -->\n```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOUND = EXAMPLE.findall(PAGE)


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    number = zlib.crc32(str(path.stem).encode())
    if path.parent.name == "masks":
        Image.new("L", (12, 10), int(path.stem) % 3).save(path)
    else:
        picture(number).save(path)


@pytest.mark.parametrize(("source", "task", "outputs", "language", "text"), FOUND, ids=[one[0] for one in FOUND])
def test_its_sources_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, task: str, outputs: str, language: str, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if language == "python":
        exec(text, {})
    elif language == "csv":
        Path(source).write_text(text)
        for row in csv.DictReader(text.splitlines()):
            write(Path(row["path"]))
    else:
        for name in text.split():
            for path in _expanded(name):
                write(Path(path))
    data = open_data(source)
    assert (data.task, data.outputs) == (task, int(outputs))
    assert not data.unreadable


def test_every_form_has_an_example() -> None:
    assert len(FOUND) == 8
    assert {one[3] for one in FOUND} == {"", "csv", "python"}


def test_its_alterations_are_read() -> None:
    (text,) = re.findall(r"<!-- augment -->\n```\n(.*?)```", PAGE, re.DOTALL)
    augment = Augment.model_validate(yaml.safe_load(text))
    assert augment.mixes
    unsaid = [name for name in Augment.model_fields if name not in PAGE]
    assert not unsaid
