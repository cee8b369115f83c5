"""Writes scale.npz: small and large marks in each image, and a bar that says which of them count.

python examples/compare/scale_task.py scale.npz

Marks are five dots on a grid of 3 × 3, one pixel apart in small ones, two in large ones. In each image all small marks
are of one kind and all large ones of another; with the short bar the class is that of the small marks, with the long bar
that of the large ones. A network that adds up what kernels of both sizes see cannot tell which of the two is asked for:
it has to switch. `scales_test` holds the scale that counts.
"""

from __future__ import annotations

import sys

import numpy as np

SIDE, CELL, OF_A_SCALE = 28, 7, 5
MARKS = {
    "plus": ".#. ### .#.",
    "cross": "#.# .#. #.#",
    "tee": "### .#. .#.",
    "ell": "#.. #.. ###",
}
SHAPES = np.array([[[pixel == "#" for pixel in row] for row in text.split()] for text in MARKS.values()])
BARS = {1: 6, 2: 22}


def draw(number: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, the classes of the marks that count, and their scales.

    number  of images
    seed    of all that is drawn
    Returns b h w uint8, b, b of 1 and 2.
    """
    random = np.random.default_rng(seed)
    images = random.normal(50, 10, (number, SIDE, SIDE))
    kinds = random.integers(len(MARKS), size=(number, 2))
    scales = random.integers(1, 3, number)
    across = SIDE // CELL
    for index in range(number):
        # Three rows of four cells, and the bar below them.
        cells = random.permutation(3 * across)[: 2 * OF_A_SCALE]
        for place, cell in enumerate(cells):
            scale = 1 + place // OF_A_SCALE
            side = 2 * scale + 1
            top, left = (CELL * at + random.integers(CELL - side + 1) for at in divmod(cell, across))
            images[index, top : top + side : scale, left : left + side : scale][SHAPES[kinds[index, scale - 1]]] += 150
        length = BARS[int(scales[index])]
        left = random.integers(1, SIDE - length)
        images[index, -4:-2, left : left + length] += 150
    return images.clip(0, 255).astype(np.uint8), kinds[np.arange(number), scales - 1], scales


def main(target: str, training: int = 4000, testing: int = 1000, seed: int = 0) -> None:
    """Write the file."""
    x_train, y_train, _ = draw(training, seed)
    x_test, y_test, scales = draw(testing, seed + 1)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez_compressed(target, **arrays, classes=np.array(list(MARKS)), scales_test=scales)


if __name__ == "__main__":
    main(sys.argv[1])
