"""The embedded digits are scikit-learn's."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
from sklearn.datasets import load_digits

from composer.training.data import open_data


def test_digits_are_scikit_learns() -> None:
    data, bunch = open_data("digits"), load_digits()
    assert (data.task, data.outputs, data.channels, data.size) == ("classes", 10, 1, (8, 8))
    seen = Counter()
    for part in (data.train, data.validation, data.test):
        for index in range(len(part)):
            number = int(part.name(index).removeprefix("digits[").removesuffix("]"))
            seen[number] += 1
            assert part.target(index) == bunch.target[number]
            assert np.abs(part.image(index)[0].numpy() / 255 - bunch.images[number] / 16).max() < 0.5 / 255 + 1e-6
    assert set(seen.values()) == {1}
    assert len(seen) == 1797


def test_a_split_can_be_pickled() -> None:
    part = open_data("digits").test
    again = pickle.loads(pickle.dumps(part))
    assert again.name(3) == part.name(3)
    assert (again.image(3) == part.image(3)).all()
