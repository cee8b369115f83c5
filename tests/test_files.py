"""Files appear whole or not at all."""

from __future__ import annotations

import os

import pytest

from composer.errors import InputError
from composer.files import staged, write_text


def test_all_or_none(tmp_path):
    targets = [tmp_path / "a" / "one", tmp_path / "a" / "two"]

    def fail():
        with staged(targets) as (first, _):
            first.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert os.listdir(tmp_path) == []
    with staged(targets) as paths:
        for path in paths:
            path.write_text("whole")
        assert not any(target.exists() for target in targets)
    assert sorted(os.listdir(tmp_path / "a")) == ["one", "two"]


def test_an_existing_file_stays_unless_forced(tmp_path):
    target = tmp_path / "f"
    write_text(target, "old")
    with pytest.raises(InputError, match="--force"):
        write_text(target, "new")
    assert target.read_text() == "old"
    write_text(target, "new", force=True)
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["f"]


def test_one_that_appears_meanwhile_is_not_replaced(tmp_path):
    target = tmp_path / "f"

    def race():
        with staged([target]) as (path,):
            path.write_text("ours")
            target.write_text("theirs")

    with pytest.raises(InputError, match="exists"):
        race()
    assert target.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["f"]


def test_usual_permissions(tmp_path):
    write_text(tmp_path / "f", "x")
    (tmp_path / "g").write_text("x")
    assert (tmp_path / "f").stat().st_mode == (tmp_path / "g").stat().st_mode


def test_folders_and_impossible_places(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        write_text(tmp_path, "x")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        write_text(tmp_path / "file" / "below", "x")
