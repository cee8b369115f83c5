"""Finds the tensors of a file that may be the weights: training loops save more, and under other names."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from composer.errors import Diagnostic, WeightsError, one_of
from composer.weights.checkpoint import Checkpoint
from composer.weights.pickled_module import is_module, tensors_of
from composer.weights.standins import StandIn

# Entries in which training loops keep weights, the likeliest first.
PLAIN = (
    *("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "model_state"),
    *("teacher", "student"),
)
AVERAGED = ("state_dict_ema", "model_ema", "ema", "params_ema")
# Prefixes that DataParallel, torch.compile and training frameworks add.
PREFIXES = ("module.", "_orig_mod.", "model.")
# AveragedModel saves this counter of its updates beside the weights.
_AVERAGED_COUNTER = "n_averaged"
_EMA = re.compile(r"(?:.*_)?ema(?:_.*)?")
# Names of copies that follow a network by a moving average.
_FOLLOWERS = {"teacher", "encoder_k", "momentum_encoder", "target_encoder"}
# Code that writes these names takes the averaged weights by default; all other code takes the plain ones.
_FIRST_CHOICES = {"teacher", "params_ema"}
# These entries hold a tensor per weight, with its name and shape, but are not weights.
_OF_TRAINING = re.compile(r".*(optim|grad|sched|scaler|exp_avg|momentum_buffer).*")
_MAX_DEPTH, _MAX_ENTRIES = 4, 10_000


def is_averaged(path: str) -> bool:
    """Whether the name of an entry or prefix says that it holds a moving average.

    >>> [is_averaged(path) for path in ("state_dict_ema", "ema.module.", "module.encoder_k.", "schema", "model")]
    [True, True, True, False, False]
    """
    return any(_EMA.fullmatch(part) or part in _FOLLOWERS for part in path.split("."))


def gives_way(path: str) -> bool:
    """Whether an averaged entry or prefix is passed over if plain weights fit too."""
    return is_averaged(path) and not any(part in _FIRST_CHOICES for part in path.split("."))


def unwrap(found: Any, name: str, *, ema: bool = False) -> Checkpoint:
    """The weights in the content of a file: plain ones, or averaged ones if there are no others or `ema` is True.

    Raises WeightsError if there are none.
    """
    held = dict(_held(found, name))
    if ema:
        held = {entry: _averaged(entry, tensors) for entry, tensors in held.items()}
        held = {entry: tensors for entry, tensors in held.items() if tensors}
    if ema and not held:
        label = "an entry " + " or ".join(f"`{one}`" for one in AVERAGED)
        help = ("load without ema to take what there is",)
        raise WeightsError(Diagnostic("weights-ema", f"{name} holds no averaged weights", label=label, help=help))
    usual = sorted(held, key=_rank)
    if not usual:
        raise WeightsError(_no_weights(found, name))
    named = [entry for entry in usual if all(isinstance(key, str) for key in held[entry])]
    if not named:
        bad = [str(key) for key in held[usual[0]] if not isinstance(key, str)]
        text = f"{name} is not a state_dict: {one_of(bad, 6)} name tensors, and are no strings"
        raise WeightsError(Diagnostic("weights-file", text, label="names of tensors"))
    if nested := [key for entry in named for key, tensor in held[entry].items() if tensor.is_nested]:
        text = f"{name} holds nested tensors in {one_of(nested, 6)}"
        raise WeightsError(Diagnostic("weights-values", text, label="plain dense tensors"))
    # Ultralytics pickles both networks whole, and reads the averaged one.
    whole = isinstance(found, Mapping) and is_module(found.get("ema"))
    return replace(_checkpoint(name, {entry: held[entry] for entry in named}), prefers_averaged=whole)


def of_entry(checkpoint: Checkpoint, entry: str) -> Checkpoint:
    """The checkpoint with the tensors of one entry alone. Raises WeightsError if the file has no such entry."""
    held = checkpoint.held
    if entry not in held:
        text = f"{checkpoint.name} has no entry `{entry}` with tensors"
        label = f"one of {one_of(filter(None, held))}" if any(held) else "its tensors are in none; leave `entry` away"
        raise WeightsError(Diagnostic("weights-entry", text, label=label))
    found = _checkpoint(checkpoint.name, {entry: held[entry]})
    return replace(checkpoint, tensors=found.tensors, entry=entry, prefix=found.prefix, sets=found.sets)


def _checkpoint(name: str, sets: Mapping[str, Mapping[str, Tensor]]) -> Checkpoint:
    """The checkpoint with these entries; the first is the most usual."""
    entry, tensors = next(iter(sets.items()))
    prefix = common_prefix(tensors)
    if prefix:
        tensors = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key != _AVERAGED_COUNTER}
    return Checkpoint(name, tensors, entry=entry, prefix=prefix, sets=sets)


def _averaged(entry: str, tensors: Mapping[Any, Tensor]) -> dict[Any, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if is_averaged(f"{entry}.{key}")}


def common_prefix(names: Mapping[str, Tensor]) -> str:
    """The prefix that wrappers put before every name; empty if there is none."""
    rest = [name for name in names if name != _AVERAGED_COUNTER]
    prefix = ""
    while rest and (one := next((one for one in PREFIXES if all(name.startswith(one) for name in rest)), None)):
        prefix += one
        rest = [name.removeprefix(one) for name in rest]
    return prefix


def _held(found: Any, name: str) -> Iterator[tuple[str, dict[Any, Tensor]]]:
    """Each entry that holds tensors (dotted; empty for the whole content), and its tensors."""
    waiting: deque[tuple[str, Any, int]] = deque([("", found, 0)])
    # A file may contain itself, many times over.
    for _ in range(_MAX_ENTRIES):
        if not waiting:
            return
        path, value, depth = waiting.popleft()
        if is_module(value):
            value = tensors_of(value, name)
        if depth > _MAX_DEPTH or not isinstance(value, Mapping):
            continue
        # Other values, such as epochs and accuracies, may stand beside the tensors.
        if tensors := {key: one for key, one in value.items() if isinstance(one, Tensor)}:
            yield path, tensors
        for key, one in value.items():
            nested = isinstance(one, Mapping) or is_module(one)
            if isinstance(key, str) and nested and not _OF_TRAINING.fullmatch(key):
                waiting.append((f"{path}.{key}" if path else key, one, depth + 1))


def _rank(entry: str) -> tuple[Any, ...]:
    """Sort key of an entry: known entries, tensors at the top, other entries; averaged ones after all of these."""
    parts = entry.split(".") if entry else []
    ranks = [PLAIN.index(part) if part in PLAIN else len(PLAIN) + 1 for part in parts]
    return is_averaged(entry) and not set(parts) & {"teacher"}, *(ranks or [len(PLAIN)])


def _no_weights(found: Any, name: str) -> Diagnostic:
    help: tuple[str, ...] = ()
    objects = [one for one in (found.values() if isinstance(found, Mapping) else [found]) if isinstance(one, StandIn)]
    if objects:
        kinds = one_of(dict.fromkeys(type(one).__qualname__ for one in objects), 4)
        help = ("where you trust the file, load it yourself: torch.save(model.state_dict(), …)",)
        text = f"{name} holds a pickled {kinds}, an object and not its tensors by name"
        return Diagnostic("weights-pickle", text, label="a mapping of names to tensors", help=help)
    if isinstance(found, Mapping):
        held = f"its entries are {one_of(map(str, found), 8)}" if found else "it is empty"
        help = (held, "save the state_dict alone: torch.save(model.state_dict(), …)")
    return Diagnostic("weights-file", f"{name} is not a state_dict", label="a mapping of names to tensors", help=help)
