"""Files of MNIST's kind and data sets of torchvision, from files that lie here; nothing is downloaded."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torchvision
from training.pictures import write_pictures

from composer.errors import InputError
from composer.training.data import named, open_data

RANDOM = np.random.default_rng(0)


def write_idx(folder: Path, count: int = 40, *, packed: bool = False, test: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for start, number in (("train", count), ("t10k", count // 2))[: 1 + test]:
        images = RANDOM.integers(0, 256, (number, 28, 28), dtype=np.uint8)
        labels = np.arange(number, dtype=np.uint8) % 10
        for what, values in (("images", images), ("labels", labels)):
            head = bytes((0, 0, 8, values.ndim)) + b"".join(size.to_bytes(4, "big") for size in values.shape)
            content = head + values.tobytes()
            name = f"{start}-{what}-idx{values.ndim}-ubyte"
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


@pytest.mark.parametrize("packed", [False, True])
def test_idx_is_what_torchvision_reads(tmp_path: Path, packed: bool) -> None:
    write_idx(tmp_path / "MNIST/raw")
    peer = torchvision.datasets.MNIST(tmp_path, train=False)
    if packed:
        for path in list((tmp_path / "MNIST/raw").iterdir()):
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    data = open_data(f"idx:{tmp_path}/MNIST/raw")
    assert [len(data.train), len(data.validation), len(data.test)] == [30, 10, 20]
    assert any("validation was taken" in text for text in data.said)
    for index in range(20):
        image, label = peer[index]
        assert np.array_equal(data.test.image(index)[0].numpy(), np.asarray(image))
        assert data.test.target(index) == label


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-labels-idx1-ubyte", None, "there is no `train-labels-idx1-ubyte`"),
        ("train-labels-idx1-ubyte", b"", "is no IDX file of labels"),
        ("train-images-idx3-ubyte", bytes((0, 0, 8, 3)) + b"\xff" * 12, "is no IDX file of images"),
        ("train-labels-idx1-ubyte", bytes((0, 0, 8, 1, 0, 0, 0, 1, 3)), "has 40 images and 1 classes"),
    ],
)
def test_idx_refusals(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    write_idx(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_data(f"idx:{tmp_path}")


def test_a_cut_gzip_is_said(tmp_path: Path) -> None:
    write_idx(tmp_path, packed=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(InputError, match="cannot read"):
        open_data(f"idx:{tmp_path}")


def test_a_set_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(named.ROOT, str(tmp_path))
    write_idx(tmp_path / "FashionMNIST/raw")
    data = open_data("torchvision:FashionMNIST")
    peer = torchvision.datasets.FashionMNIST(tmp_path)
    assert list(data.classes) == peer.classes == list(named._FASHION)
    assert np.array_equal(np.asarray(peer[0][0]), data.train.image(0)[0].numpy()) or len(data.train) < 40
    assert (data.channels, data.size, len(data.test)) == (1, (28, 28), 20)


def test_fashion_mnist_of_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(named.ROOT, str(tmp_path / "none"))
    write_idx(tmp_path / "debian", packed=True)
    monkeypatch.setattr(named, "_DEBIAN", tmp_path / "debian")
    data = open_data("torchvision:FashionMNIST")
    assert data.classes[9] == "Ankle boot"
    assert len(data.test) == 20


def test_a_set_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(named.ROOT, str(tmp_path))
    write_pictures(
        tmp_path / "eurosat/2750", [f"{name}/{index}.png" for name in ("Lake", "Forest") for index in range(6)]
    )
    data = open_data("torchvision:EuroSAT")
    assert data.classes == ("Forest", "Lake")
    assert len(data.train) + len(data.validation) + len(data.test) == 12
    for index in range(len(data.train)):
        assert data.classes[data.train.target(index)] in data.train.name(index)


def test_every_known_set_takes_what_it_is_given() -> None:
    """The names of parameters and splits are torchvision's: a wrong one fails before files are looked for."""
    for name, known in named._KNOWN.items():
        make = getattr(torchvision.datasets, name)
        for value in known.splits.values():
            options = {known.parameter: value} if known.parameter else {}
            if not known.in_memory:
                options["loader"] = str
            with pytest.raises(
                (RuntimeError, FileNotFoundError, ModuleNotFoundError), match=r"(?i)not found|exist|scipy|no such"
            ):
                make("/nonexistent", **options)


def test_what_is_not_here_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(named.ROOT, str(tmp_path))
    with pytest.raises(InputError) as caught:
        open_data("torchvision:CIFAR10")
    assert caught.value.diagnostics[0].code == "data-download"
    assert "--download" in str(caught.value)
    with pytest.raises(InputError, match="did you mean `CIFAR10`"):
        open_data("torchvision:CIFAR1O")
    with pytest.raises(InputError, match=r"there is no data set `os\.system`"):
        open_data("torchvision:os.system")
