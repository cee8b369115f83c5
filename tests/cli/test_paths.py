"""Whatever path a person gives, to whichever verb and option: what is wrong with it is said, and nothing waits."""

from __future__ import annotations

import os

import pytest
from PIL import Image

VERBS = {
    "spec": ["validate", "PATH.yaml"],
    "spec of summary": ["summary", "PATH.yaml"],
    "spec of diff": ["diff", "resnet10", "PATH.yaml"],
    "name": ["show", "PATH"],
    "root": ["validate", "SMALL", "--root", "PATH"],
    "plugin": ["list", "layers", "--plugin", "PATH.py"],
    "checked plugin": ["check", "PATH.py"],
    "weights": ["build", "SMALL", "--weights", "PATH.pt"],
    "safetensors": ["run", "SMALL", "--image", "PHOTO", "--weights", "PATH.safetensors"],
    "keys": ["build", "SMALL", "--weights", "WEIGHTS", "--keys", "PATH.yaml"],
    "image": ["run", "SMALL", "--image", "PATH.png"],
    "image of look": ["look", "SMALL", "--image", "PATH.png"],
    "npy": ["run", "SMALL", "--tensor", "PATH.npy"],
    "pt": ["run", "SMALL", "--tensor", "PATH.pt"],
    "tensor": ["run", "SMALL", "--tensor", "PATH.safetensors"],
    "built": ["build", "SMALL", "-o", "PATH.dir"],
    "outputs": ["run", "SMALL", "--image", "PHOTO", "-o", "PATH.npy"],
    "picture": ["graph", "SMALL", "-o", "PATH.svg"],
    "page": ["diff", "SMALL", "resnet10", "-o", "PATH.html"],
    "looked": ["look", "SMALL", "--image", "PHOTO", "-o", "PATH.dir"],
    "new": ["new", "-o", "PATH.yaml"],
    "schema": ["schema", "-o", "PATH.json"],
}
WRITES = ("built", "outputs", "picture", "page", "looked", "new", "schema")


def long(path):
    return path.with_name("x" * 300 + path.name)


def circular(path):
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)
    return path


def pipe(path):
    os.mkfifo(path)
    return path


def folder(path):
    path.mkdir()
    (path / "index.html").mkdir()
    for ending in ("graph.json", "safetensors", "lock.yaml"):
        (path / f"small.{ending}").mkdir()
    return path


def unreadable(path):
    """A file that is there and that nobody can read, whoever they are."""
    path.symlink_to("/proc/self/mem")
    return path


@pytest.mark.parametrize(
    ("option", "kind"),
    [
        pytest.param(option, kind, id=f"{option}-{kind.__name__}")
        for option in VERBS
        for kind in (long, circular, pipe, folder, unreadable)
        # A folder is what it asks for.
        if (option, kind) != ("root", folder)
    ],
)
def test_a_path_that_cannot_be_used(option, kind, run, small, tmp_path):
    (tmp_path / "w.pt").write_bytes(b"no weights")
    Image.new("RGB", (9, 9)).save(tmp_path / "photo.png")
    (word,) = (word for word in VERBS[option] if word.startswith("PATH"))
    path = kind(tmp_path / word.replace("PATH", "given"))
    given = {word: path, "SMALL": small, "PHOTO": tmp_path / "photo.png", "WEIGHTS": tmp_path / "w.pt"}
    before = sorted(os.listdir(tmp_path))
    result = run(*(given.get(one, one) for one in VERBS[option]))
    assert result.code == 1, result.err
    assert result.err.splitlines()[0].startswith(("error[", "no weights: "))
    assert sorted(os.listdir(tmp_path)) == before


def test_a_file_that_is_no_spec_is_called_by_its_name(run, small, tmp_path):
    for name, word in (("net.pth", "--weights"), ("fig.svg", "from which it was drawn")):
        (tmp_path / name).write_text("×")
        result = run("build", tmp_path / name)
        assert result.code == 1
        assert word in result.err
        assert "multiplication" not in result.err
    near = small.with_name(small.name[1:])
    assert f"did you mean `{small}`" in run("build", near).err
    assert "`resnet18` of the zoo" in run("build", tmp_path / "rsnet18.yaml").err
    assert "there is no folder" in run("build", tmp_path / "nowhere" / "x.yaml").err


def test_nothing_asked_is_answered_with_the_help_alone(run):
    result = run()
    assert (result.code, result.err.count("Usage")) == (2, 1)
    assert "error" not in result.err
