"""Writes fashion_mnist.npz: 10,000 of Fashion-MNIST's training images, a thousand of each class, and its test split.

apt-get install dataset-fashion-mnist
python examples/compare/fashion_mnist.py fashion_mnist.npz    # then, if it is another, the folder of the IDX files
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np

# Where Debian's and Ubuntu's package `dataset-fashion-mnist` puts the files that Zalando published.
FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
OF_A_CLASS = 1000


def read(folder: Path, name: str) -> np.ndarray:
    """The array of an IDX file: bytes 2 and 3 are the type and the number of axes, then the length of each axis."""
    content = gzip.decompress((folder / name).read_bytes())
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def chosen(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Indices of as many images of each class, drawn by seed, in their own order."""
    random = np.random.default_rng(seed)
    parts = [random.permutation(np.flatnonzero(labels == label))[:OF_A_CLASS] for label in range(len(CLASSES))]
    return np.sort(np.concatenate(parts))


def main(target: str, source: str = str(FOLDER)) -> None:
    """Write the file."""
    folder = Path(source)
    if not folder.is_dir():
        sys.exit(f"there is no folder `{folder}`: apt-get install dataset-fashion-mnist")
    images, labels = read(folder, "train-images-idx3-ubyte.gz"), read(folder, "train-labels-idx1-ubyte.gz")
    own = chosen(labels)
    np.savez_compressed(
        target,
        x_train=images[own],
        y_train=labels[own],
        x_test=read(folder, "t10k-images-idx3-ubyte.gz"),
        y_test=read(folder, "t10k-labels-idx1-ubyte.gz"),
        classes=np.array(CLASSES),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
