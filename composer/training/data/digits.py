"""The embedded data set: 1,797 digits of 8×8 pixels, which scikit-learn brings along."""

from __future__ import annotations

import hashlib

import numpy as np

from composer.training.data.assemble import Found
from composer.training.data.extra import library
from composer.training.data.images import array_images
from composer.training.data.targets import ClassTargets


def find_digits() -> Found:
    """Digits in grey, from the UCI repository. Source: Alpaydin and Kaynak, 1998. Raises UnavailableError."""
    bunch = library("sklearn.datasets", "digits").load_digits()
    # Their 17 levels of grey become 0..255.
    pixels = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    targets = ClassTargets(tuple("0123456789"), bunch.target.astype(np.int64), given=True)
    return Found(array_images(pixels, "digits", digest), targets, [""] * len(pixels))
