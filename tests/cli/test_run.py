"""`composer run`: images, tensors, weights and what is wrong with them."""

from __future__ import annotations

import os
import pickle
import resource

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import composer


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 60, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


def test_names_the_classes_of_the_spec(run, small, photo):
    result = run("run", small, "--image", photo, "--top", 2, "--format", "json")
    assert result.code == 0
    (answer,) = result.json
    assert answer["input"] == str(photo)
    assert len(answer["top"]) == 2
    assert {guess["name"] for guess in answer["top"]} < {"ant", "bee", "cat", "dog"}
    assert "the network is random" in result.err


def test_equals_the_network_run_by_hand(run, small, photo, tmp_path):
    assert run("run", small, "--image", photo, "--seed", 5, "-o", tmp_path / "y.npy").code == 0
    image = Image.open(photo).convert("RGB")
    # Scale 48 rows to 32 / 0.8 = 40, the 60 columns to 50, keep the middle 32×32.
    pixels = np.asarray(image.resize((50, 40), Image.Resampling.BILINEAR).crop((9, 4, 41, 36)), dtype=np.float32) / 255
    x = torch.from_numpy((pixels - 0.5) / 0.25).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = composer.build(small, seed=5).eval()(x)
    assert np.allclose(np.load(tmp_path / "y.npy"), expected.numpy(), atol=1e-6)


def test_a_folder_of_images_in_order(run, small, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(20):
        Image.new("L", (40, 40), index * 12).save(folder / f"{index:02}.jpg")
    (folder / "notes.txt").write_text("not an image")
    answers = run("run", small, "--image", folder, "--format", "json").json
    assert [answer["input"] for answer in answers] == [str(folder / f"{index:02}.jpg") for index in range(20)]


@pytest.mark.parametrize("ending", [".npy", ".pt", ".safetensors"])
def test_a_tensor_instead_of_images(run, small, tmp_path, ending):
    x, path = torch.randn(3, 3, 32, 32), tmp_path / f"x{ending}"
    {
        ".npy": lambda: np.save(path, x.numpy()),
        ".pt": lambda: torch.save(x, path),
        ".safetensors": lambda: save_file({"x": x}, path),
    }[ending]()
    assert run("run", small, "--tensor", path, "-o", tmp_path / "y.safetensors").code == 0
    with torch.no_grad():
        expected = composer.build(small).eval()(x)
    assert torch.allclose(load_file(tmp_path / "y.safetensors")["output"], expected, atol=1e-6)


def test_bfloat16_and_weights_from_a_build(run, small, photo, tmp_path):
    assert run("build", small, "--seed", 9, "-o", tmp_path / "out").code == 0
    weights = tmp_path / "out" / "small.safetensors"
    one = run("run", small, "--image", photo, "--weights", weights, "--require", "all", "--format", "json").json
    two = run("run", small, "--image", photo, "--seed", 9, "--format", "json").json
    assert one == two
    assert run("run", small, "--image", photo, "--weights", weights, "--dtype", "bfloat16").code == 0


def test_weights_carry_class_names_for_a_spec_without(run, small, photo, tmp_path):
    run("build", small, "-o", tmp_path / "out")
    small.write_text(small.read_text().replace("classes: [ant, bee, cat, dog]\n", ""))
    words = ("run", small, "--image", photo, "--format", "json")
    assert run(*words).json[0]["top"][0]["name"] is None
    named = run(*words, "--weights", tmp_path / "out" / "small.safetensors").json[0]["top"][0]
    assert named["name"] in ("ant", "bee", "cat", "dog")


def test_a_network_that_is_no_classifier_gives_shapes(run, small, photo):
    small.write_text(small.read_text().replace("outputs: fc", "outputs: {map: bn, logits: fc}"))
    result = run("run", small, "--image", photo)
    assert result.out.splitlines()[0].startswith("map: 1×8×16×16, mean ")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.png", b"hello", "is not an image"),
        ("empty.png", b"", "is not an image"),
        ("cut.png", None, "cannot read the image"),
        ("absent.png", ..., "there is no image"),
    ],
)
def test_unreadable_images(run, small, photo, tmp_path, name, content, said):
    path = tmp_path / "bad" / name
    path.parent.mkdir()
    if content is not ...:
        path.write_bytes(photo.read_bytes()[:300] if content is None else content)
    result = run("run", small, "--image", photo, "--image", path, "-o", tmp_path / "y.npy")
    assert result.code == 1
    assert said in result.err
    assert str(path) in result.err
    assert not (tmp_path / "y.npy").exists()


def test_usage_and_input_problems(run, small, photo, tmp_path):
    assert run("run", small).code == 2
    assert run("run", small, "--image", photo, "--tensor", photo).code == 2
    np.save(tmp_path / "x.npy", np.zeros((2, 3, 16, 16)))
    result = run("run", small, "--tensor", tmp_path / "x.npy")
    assert result.code == 1
    assert "2×3×16×16" in result.err
    assert "b×3×32×32" in result.err
    np.save(tmp_path / "code.npy", np.array([print], dtype=object), allow_pickle=True)
    assert "cannot read the tensor" in run("run", small, "--tensor", tmp_path / "code.npy").err
    (tmp_path / "none").mkdir()
    assert "no image in the folder" in run("run", small, "--image", tmp_path / "none").err
    assert "cannot write" in run("run", small, "--image", photo, "-o", tmp_path / "y.txt").err


class Calling:
    """Its pickle calls a function."""

    def __reduce__(self):
        return os.getcwd, ()


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("x.npy", lambda path: path.write_bytes(b"garbage"), "cannot read the tensor"),
        ("x.pt", lambda path: path.write_bytes(b"garbage"), "x.pt"),
        ("x.safetensors", lambda path: path.write_bytes(b"garbage"), "cannot read the tensor"),
        ("empty.pt", lambda path: path.write_bytes(b""), "cannot read the weights"),
        ("code.pt", lambda path: path.write_bytes(pickle.dumps(Calling(), 2)), "calls `posix.getcwd` as it is read"),
        ("code.pt", lambda path: path.write_bytes(pickle.dumps(Calling(), 4)), "calls `posix.getcwd` as it is read"),
        ("name.pt", lambda path: path.write_bytes(pickle.dumps(os.getcwd, 4)), "protocol that cannot be read safely"),
        ("x.pt", lambda path: torch.save(torch.eye(3).to_sparse(), path), "sparse_coo values"),
        ("x.pt", lambda path: torch.save(torch.eye(3, device="meta"), path), "no values"),
        ("x.pt", lambda path: torch.save(torch.zeros(1, 3, 32, 32, dtype=torch.complex64), path), "complex numbers"),
        ("x.pt", lambda path: torch.save([torch.ones(1)], path), "does not hold one tensor"),
        ("x.npy", lambda path: np.save(path, np.array(["text"])), "cannot read the tensor"),
        ("x.npy", lambda path: np.save(path, np.array([{}]), allow_pickle=True), "cannot read the tensor"),
    ],
)
def test_what_is_no_tensor(run, small, tmp_path, name, make, said):
    path = tmp_path / name
    make(path)
    result = run("run", small, "--tensor", path)
    assert result.code == 1
    assert said in result.err


def test_a_disk_that_fills_up(run, small, tmp_path):
    torch.save(torch.zeros(64, 3, 32, 32), tmp_path / "x.pt")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for words in (
        ["run", small, "--tensor", tmp_path / "x.pt", "-o", tmp_path / "out" / "y.safetensors"],
        ["run", small, "--tensor", tmp_path / "x.pt", "-o", tmp_path / "out" / "y.npy"],
        ["build", small, "-o", tmp_path / "out"],
    ):
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
        try:
            result = run(*words)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert result.code == 1
        assert "cannot write" in result.err
        assert "File too large" in result.err
        assert not (tmp_path / "out").exists()
