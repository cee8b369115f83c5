"""Splits images into training, validation and test, by a seed and their names alone."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence


def carve(names: Sequence[str], groups: Sequence[Hashable], shares: Sequence[float], seed: int) -> list[list[int]]:
    """Indices of the images that each share takes of each group, and last of those that are left.

    names   of the images; where they stand in the list does not matter
    groups  the class of each image: every class gives its share
    shares  parts of the whole, which add up to less than 1
    seed    another seed takes other images

    A group gives an image to a share, at least, if it keeps one for the last: of two images, one goes to the first
    share and one is left.
    """
    taken: list[list[int]] = [[] for _ in range(len(shares) + 1)]
    for members in _members(groups).values():
        members.sort(key=lambda index: (_draw(seed, names[index]), names[index]))
        start = 0
        for number, share in enumerate(shares):
            count = min(max(1, round(share * len(members))), len(members) - 1 - start) if share else 0
            taken[number] += members[start : start + count]
            start += count
        taken[-1] += members[start:]
    return [sorted(one) for one in taken]


def _members(groups: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    found: dict[Hashable, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        found[group].append(index)
    return found


def _draw(seed: int, name: str) -> bytes:
    """A random number of an image, which no other image changes."""
    return hashlib.blake2b(f"{seed}:{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
