"""Writes where.npz: nine letters in each image, one of them underlined; its class is the underlined letter.

python examples/compare/where_task.py where.npz

A network that pools over the whole image sees all nine letters, and has to attend to the one above the line.
`object_test` holds where that letter is, `distractors_test` where the other eight are.
"""

from __future__ import annotations

import sys

import numpy as np

ACROSS, CELL = 3, 12
GLYPHS = {
    "A": ".###. #...# #...# ##### #...# #...# #...#",
    "E": "##### #.... #.... ####. #.... #.... #####",
    "K": "#...# #..#. #.#.. ##... #.#.. #..#. #...#",
    "O": ".###. #...# #...# #...# #...# #...# .###.",
    "T": "##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#..",
    "X": "#...# #...# .#.#. ..#.. .#.#. #...# #...#",
}
SHAPES = np.array([[[pixel == "#" for pixel in row] for row in text.split()] for text in GLYPHS.values()])
HEIGHT, WIDTH = SHAPES.shape[1:]


def draw(number: int, seed: int, across: int = ACROSS) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images and the classes of their underlined letters; masks of these letters, and of the other ones.

    number  of images
    seed    of all that is drawn
    across  letters in a row, and rows
    Returns b h w uint8, b, and b h w bool twice.
    """
    random = np.random.default_rng(seed)
    side, many = across * CELL, across**2
    images = random.normal(60, 20, (number, side, side))
    classes = np.empty(number, np.int64)
    masks, others = np.zeros((2, number, side, side), bool)
    for index in range(number):
        # The others are drawn alike: what they are says nothing of the class.
        letters, underlined = random.integers(len(GLYPHS), size=many), random.integers(many)
        classes[index] = letters[underlined]
        for place, letter in enumerate(letters):
            # One in each cell, with room for a line below it.
            top = place // across * CELL + random.integers(1, CELL - HEIGHT - 3)
            left = place % across * CELL + random.integers(1, CELL - WIDTH)
            box = (index, slice(top, top + HEIGHT), slice(left, left + WIDTH))
            images[box][SHAPES[letter]] += 120
            (masks if place == underlined else others)[box] = True
            if place == underlined:
                images[index, top + HEIGHT + 1 : top + HEIGHT + 3, left - 1 : left + WIDTH + 1] += 120
    return images.clip(0, 255).astype(np.uint8), classes, masks, others


def main(target: str, training: int = 4000, testing: int = 1000, seed: int = 0) -> None:
    """Write the file."""
    x_train, y_train, _, _ = draw(training, seed)
    x_test, y_test, masks, others = draw(testing, seed + 1)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez_compressed(target, **arrays, classes=np.array(list(GLYPHS)), object_test=masks, distractors_test=others)


if __name__ == "__main__":
    main(sys.argv[1])
