"""Writes scale.npz: small and large squares in each image, and a bar that says which of them to find.

python examples/compare/scale_task.py scale.npz

A square is four dots at its corners: 3 × 3 pixels a small one, 5 × 5 a large one. To be found are the middles of the
small squares above a short bar, those of the large ones above a long bar. Around a middle, a kernel of 3 × 3 sees the
corners of small squares alone; one of 3 × 3 with dilation 2, those of large squares alone. Both kinds are in every
image, so a network that adds up what both kernels see cannot tell which are asked for: it has to switch.

`y_train` and `y_test` are masks of what is to be found; `others_test` are masks of the other squares, and `scales_test`
the distance of the corners that are asked for.
"""

from __future__ import annotations

import sys

import numpy as np

SIDE, CELL, OF_A_SCALE, DOTS = 28, 7, 5, 12
# Pixels between the corners of a square -> the length of the bar.
BARS = {2: 6, 4: 22}
SCALES = tuple(BARS)


def draw(number: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images, masks of the middles of the squares that are asked for, masks of the others, and the scale asked for.

    number  of images
    seed    of all that is drawn
    Returns b h w uint8, b h w uint8 of 0 and 1 twice, and b of 2 and 4.
    """
    random = np.random.default_rng(seed)
    images = random.normal(50, 10, (number, SIDE, SIDE))
    middles = np.zeros((2, number, SIDE, SIDE), np.uint8)
    asked = random.integers(2, size=number)
    across = SIDE // CELL
    for index in range(number):
        # Three rows of four cells, and the bar below them.
        for place, cell in enumerate(random.permutation(3 * across)[: 2 * OF_A_SCALE]):
            kind = place % 2
            scale = SCALES[kind]
            top, left = (CELL * at + random.integers(CELL - scale) for at in divmod(cell, across))
            images[index, top : top + scale + 1 : scale, left : left + scale + 1 : scale] += 150
            middles[int(kind != asked[index]), index, top + scale // 2, left + scale // 2] = 1
        images[index, random.integers(3 * CELL, size=DOTS), random.integers(SIDE, size=DOTS)] += 150
        length = BARS[SCALES[asked[index]]]
        left = random.integers(1, SIDE - length)
        images[index, -4:-2, left : left + length] += 150
    return images.clip(0, 255).astype(np.uint8), *middles, np.array(SCALES)[asked]


def main(target: str, training: int = 3000, testing: int = 1000, seed: int = 0) -> None:
    """Write the file."""
    x_train, y_train, _, _ = draw(training, seed)
    x_test, y_test, others, scales = draw(testing, seed + 1)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez_compressed(target, **arrays, others_test=others, scales_test=scales)


if __name__ == "__main__":
    main(sys.argv[1])
