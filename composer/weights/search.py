"""Finds the reading of a file that fits the network: which entry, which prefix, which key map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from composer.errors import Diagnostic, WeightsError, one_of
from composer.weights.checkpoint import Checkpoint
from composer.weights.keys import KeyMap, known_key_maps
from composer.weights.reading import AS_THEY_ARE, Reading, read, read_strictly
from composer.weights.tensor import irregular, is_whole
from composer.weights.unwrap import gives_way
from composer.weights.wanted import Wanted


@dataclass(frozen=True)
class Choice:
    """The key map and the prefix that the caller asked for; None for whichever fits."""

    keys: KeyMap | None = None
    prefix: str | None = None


def search(checkpoint: Checkpoint, wanted: Wanted, choice: Choice) -> tuple[Reading, tuple[str, ...]]:
    """The reading that fits, and where weights of the other kind fit too. If none fits, the reading that comes nearest.

    Raises WeightsError if two readings fit and give different tensors, or if no name has the requested prefix.
    """
    _check_prefix(checkpoint, choice)
    if choice.keys is not None:
        fitting = _fitting(checkpoint, wanted, choice, [choice.keys])
        return settled(fitting, checkpoint) if fitting else (_usual(checkpoint, wanted, choice), ())
    found = _fitting(checkpoint, wanted, choice, [AS_THEY_ARE])
    if not found or any(_lacks_classifier(one, wanted) for one in found):
        others = _fitting(checkpoint, wanted, choice, list(known_key_maps()))
        found += [one for one in others if not found or one.fills(wanted.needed[0])]
    return settled(found, checkpoint) if found else _most_names(checkpoint, wanted, choice)


def _check_prefix(checkpoint: Checkpoint, choice: Choice) -> None:
    names = [name for held in checkpoint.held.values() for name in held]
    if choice.prefix and not any(name.startswith(choice.prefix) for name in names):
        text = f"no name in {checkpoint.name} begins with `{choice.prefix}`"
        known = one_of(prefix for prefix, _ in _prefixes(names).most_common(6) if prefix)
        raise WeightsError(Diagnostic("weights-prefix", text, label=f"such as {known}"))


def _fitting(checkpoint: Checkpoint, wanted: Wanted, choice: Choice, maps: list[KeyMap]) -> list[Reading]:
    """The readings that fill the network with what rules inserted; else those that fill the backbone; else those that
    fill the network but for that; else those that have all the names.
    """
    whole, own = wanted.needed
    least = len(whole) if len(maps) > 1 else min(len(whole), len(own))
    found = [
        reading
        for entry, held in checkpoint.held.items()
        for prefix in _likely(held, least, choice)
        for keys in maps
        if (reading := _read(entry, held, prefix, keys, wanted)) is not None
    ]
    fits: tuple[Callable[[Reading], bool], ...] = (
        # First: where a rule replaces most of a small backbone, parts of what it inserts look like the backbone.
        lambda one: one.fills(wanted.with_inserted),
        lambda one: one.fills(whole),
        lambda one: one.fills(own),
        lambda one: one.names_all(whole),
        lambda one: one.names_all(own),
    )
    for fit in fits:
        if fitting := [one for one in found if fit(one)]:
            most = max(one.fitting(whole) for one in fitting)
            return [one for one in fitting if one.fitting(whole) == most]
    return []


def _read(entry: str, held: Mapping[str, Tensor], prefix: str, keys: KeyMap, wanted: Wanted) -> Reading | None:
    names = [name[len(prefix) :] for name in held if name.startswith(prefix)]
    if keys.where:
        keys = keys.over(names)
    elif keys.pairs and not keys.may_concern([*names, *held]):
        return None
    return read(entry, held, prefix, keys, wanted)


def _likely(held: Mapping[str, Tensor], least: int, choice: Choice) -> list[str]:
    """The prefixes that at least `least` names have, the shortest first."""
    if choice.prefix is not None:
        return [choice.prefix]
    return sorted((one for one, number in _prefixes(held).items() if number >= least or not one), key=len)


def _prefixes(names: Iterable[str]) -> Counter[str]:
    """Each beginning of a name that ends with a dot -> how many names have it. Every name has the empty one."""
    found: Counter[str] = Counter()
    for name in names:
        found.update(name[:end] for end in _ends(name))
    return found


def _ends(name: str) -> Iterator[int]:
    yield 0
    yield from (index + 1 for index, letter in enumerate(name) if letter == ".")


def _lacks_classifier(reading: Reading, wanted: Wanted) -> bool:
    """Whether our classifier's name is missing, and a tensor is left that may be the classifier."""
    return not wanted.of_heads & set(reading.names) and bool(
        reading.outside or not all(map(wanted.knows, reading.names))
    )


def settled(found: list[Reading], checkpoint: Checkpoint) -> tuple[Reading, tuple[str, ...]]:
    """The reading that says most, and where weights of the other kind, averaged or plain, fit too.

    Raises WeightsError if the readings give different tensors.
    """
    kept: list[Reading] = []
    for one in sorted(found, key=lambda one: -len(one.origin)):
        if not any(one.origin.items() <= other.origin.items() for other in kept):
            kept.append(one)
    # Back to the order in which they were found: the plainest first.
    kept = [one for one in found if one in kept]
    preferred = [one for one in kept if gives_way(one.path) == checkpoint.prefers_averaged] or kept
    first, *others = preferred
    different = [one for one in others if not _same_tensors(first, one)]
    if different:
        raise WeightsError(_several([first, *different], checkpoint))
    return first, tuple(_place(one) for one in kept if one not in preferred)


def _same_tensors(one: Reading, other: Reading) -> bool:
    """Whether two readings give the same numbers under the same names."""
    if one.origin.keys() != other.origin.keys():
        return False
    return all(_equal(one.tensor(name, None), other.tensor(name, None)) for name in one.origin)


def _equal(one: Tensor, other: Tensor) -> bool:
    plain = not irregular(one) and not irregular(other) and one.shape == other.shape
    return one is other or (plain and is_whole(one) and is_whole(other) and torch.equal(one, other))


def _several(found: list[Reading], checkpoint: Checkpoint) -> Diagnostic:
    first = found[0]
    if all((one.entry, one.prefix) == (first.entry, first.prefix) for one in found):
        names = one_of(one.keys.name or "no key map" for one in found)
        help = ("say which with --keys (in Python, keys=…)",)
        text = f"the names in {checkpoint.name} fit under several key maps: {names}"
        return Diagnostic("weights-keys", text, label="one of them", help=help)
    text = f"{checkpoint.name} holds several sets of weights that fit: {'; '.join(map(_place, found))}"
    option = "entry" if len({one.entry for one in found}) > 1 else "prefix"
    values = dict.fromkeys(getattr(one, option) for one in found)
    asked = " or ".join(f"--{option} {value}" for value in values if value)
    help = (f"say which: {asked} (in a spec, `{option}` under `weights`; in Python, {option}=…)",)
    return Diagnostic("weights-several", text, label="one of them", help=help)


def _place(reading: Reading) -> str:
    """The entry and prefix of a reading, in words."""
    entry = f"entry `{reading.entry}`" if reading.entry else ""
    prefix = f"names that begin with `{reading.prefix}`" if reading.prefix else ""
    return ", ".join(filter(None, [entry, prefix])) or "the names as they are"


def _usual(checkpoint: Checkpoint, wanted: Wanted, choice: Choice) -> Reading:
    """The most usual entry without its usual prefix, under the requested key map. Raises WeightsError."""
    assert choice.keys is not None, "only a map that was asked for is kept where it does not fit"
    prefix = checkpoint.prefix if choice.prefix is None else choice.prefix
    held = checkpoint.held[checkpoint.entry]
    names = [name[len(prefix) :] for name in held if name.startswith(prefix)]
    keys = choice.keys.over(names) if choice.keys.where else choice.keys
    return read_strictly(checkpoint.entry, held, prefix, keys, wanted, checkpoint.name)


def _most_names(checkpoint: Checkpoint, wanted: Wanted, choice: Choice) -> tuple[Reading, tuple[str, ...]]:
    """The reading with the most names that the network knows, though none fills the network. Raises WeightsError."""
    usual = checkpoint.prefix if choice.prefix is None else choice.prefix
    scores = {(checkpoint.entry, usual): 0}
    for entry, held in checkpoint.held.items():
        found = Counter(name[:end] for name in held for end in _ends(name) if wanted.knows(name[end:]))
        scores.update({(entry, prefix): n for prefix, n in found.items() if choice.prefix in (None, prefix)})
    most = max(scores.values())
    best = [place for place, number in scores.items() if number == most]
    found_there = (read(entry, checkpoint.held[entry], prefix, AS_THEY_ARE, wanted) for entry, prefix in best)
    readings = [one for one in found_there if one is not None]
    # With few names in common, asking the user to choose between readings makes no sense.
    return settled(readings if 2 * most >= len(wanted.needed[1]) else readings[:1], checkpoint)
