"""Writes scale.npz: near and far pairs of dots in each image, and a bar that says which of them count.

python examples/compare/scale_task.py scale.npz

The dots of near pairs touch, those of far pairs are four pixels apart. In each image all near pairs point in one
direction and all far pairs in another; below a short bar the class is the direction of the near pairs, with a long bar
that of the far ones. A kernel of 3 × 3 sees both dots of near pairs alone; one of 3 × 3 with dilation 2, both dots of
far pairs alone. A network that adds up what both see cannot tell which is asked for: it has to switch.

`scales_test` holds the scale that counts, `others_test` the direction of the pairs that do not.
"""

from __future__ import annotations

import sys

import numpy as np

SIDE, CELL, OF_A_SCALE = 28, 7, 6
DIRECTIONS = {"across": (0, 1), "down": (1, 0), "falling": (1, 1), "rising": (1, -1)}
# Pixels between the dots of a pair -> the length of the bar.
BARS = {1: 6, 4: 22}
SCALES = tuple(BARS)


def draw(number: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images, the classes of the pairs that count, those of the other pairs, and the scale that counts.

    number  of images
    seed    of all that is drawn
    Returns b h w uint8, b, b, and b of 1 and 4.
    """
    random = np.random.default_rng(seed)
    images = random.normal(50, 10, (number, SIDE, SIDE))
    kinds = random.integers(len(DIRECTIONS), size=(number, 2))
    asked = random.integers(2, size=number)
    across = SIDE // CELL
    for index in range(number):
        # Three rows of four cells, and the bar below them.
        for place, cell in enumerate(random.permutation(3 * across)[: 2 * OF_A_SCALE]):
            scale = SCALES[place % 2]
            down, right = (scale * step for step in tuple(DIRECTIONS.values())[kinds[index, place % 2]])
            top = CELL * (cell // across) + random.integers(CELL - down)
            left = CELL * (cell % across) + random.integers(max(0, -right), CELL - max(0, right))
            images[index, top, left] += 150
            images[index, top + down, left + right] += 150
        length = BARS[SCALES[asked[index]]]
        left = random.integers(1, SIDE - length)
        images[index, -4:-2, left : left + length] += 150
    every = np.arange(number)
    return images.clip(0, 255).astype(np.uint8), kinds[every, asked], kinds[every, 1 - asked], np.array(SCALES)[asked]


def main(target: str, training: int = 4000, testing: int = 1000, seed: int = 0) -> None:
    """Write the file."""
    x_train, y_train, _, _ = draw(training, seed)
    x_test, y_test, others, scales = draw(testing, seed + 1)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez_compressed(target, **arrays, classes=np.array(list(DIRECTIONS)), others_test=others, scales_test=scales)


if __name__ == "__main__":
    main(sys.argv[1])
