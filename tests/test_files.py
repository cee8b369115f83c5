"""Files appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from composer import files
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
    with pytest.raises(InputError, match="file` is a file"):
        write_text(tmp_path / "file" / "new" / "below", "x")


def test_moves_are_undone_when_one_of_them_fails(tmp_path, monkeypatch):
    targets = [tmp_path / name for name in ("graph", "weights", "lock")]
    for target in targets:
        write_text(target, f"old {target.name}")
    move, moved = files._move, []

    def stopping(source, target, force):
        if len(moved) == failing:
            raise KeyboardInterrupt
        moved.append(target)
        move(source, target, force)

    monkeypatch.setattr(files, "_move", stopping)

    def replace():
        with staged(targets, force=True) as paths:
            for path in paths:
                path.write_text("new")

    for failing in range(3):  # noqa: B007, `stopping` reads it
        moved.clear()
        with pytest.raises(KeyboardInterrupt):
            replace()
        assert [target.read_text() for target in targets] == ["old graph", "old weights", "old lock"]
        assert sorted(os.listdir(tmp_path)) == ["graph", "lock", "weights"]


def test_new_files_are_undone_too(tmp_path, monkeypatch):
    targets = [tmp_path / "new" / name for name in ("a", "b")]

    def race():
        with staged(targets) as paths:
            for path in paths:
                path.write_text("ours")
            targets[1].write_text("theirs")

    with pytest.raises(InputError, match="exists"):
        race()
    assert os.listdir(tmp_path / "new") == ["b"]


def test_what_a_killed_process_left_goes(tmp_path):
    target = tmp_path / ("x" * 255)
    with staged([target]) as (path,):
        old, other = path.with_name(f"{path.name[:41]}.kept12.part"), tmp_path / ".y.12345678.part"
        for one in (old, other):
            one.write_text("half")
            os.utime(one, (0, 0))
        files._sweep(target)
        assert not old.exists()
        assert path.exists(), "one that is being written"
        assert other.exists(), "one of another file"


@pytest.mark.parametrize("kind", ["link", "broken link", "pipe", "device", "folder"])
def test_only_a_regular_file_is_replaced(tmp_path, kind):
    target, other = tmp_path / "target", tmp_path / "other"
    other.write_text("theirs")
    {
        "link": lambda: target.symlink_to(other),
        "broken link": lambda: target.symlink_to(tmp_path / "nowhere"),
        "pipe": lambda: os.mkfifo(target),
        "device": lambda: None,
        "folder": target.mkdir,
    }[kind]()
    target = Path("/dev/null") if kind == "device" else target
    for force in (False, True):
        with pytest.raises(InputError, match=r"is a link|is not a regular file|is a folder"):
            write_text(target, "ours", force=force)
    assert other.read_text() == "theirs"
    assert sorted(os.listdir(tmp_path)) == sorted({"other", target.name} - {"null"})


@pytest.mark.parametrize("name", ["x" * 256, "x\0y", "a/" * 3000 + "b"])
def test_names_that_no_file_can_have(tmp_path, name):
    with pytest.raises(InputError, match="cannot write"):
        write_text(tmp_path / name, "x")
    assert os.listdir(tmp_path) == []
