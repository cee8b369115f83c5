"""Training loops save more than a state_dict, and under other names: which tensors of a file may be the weights."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from composer.errors import Diagnostic, WeightsError, one_of
from composer.weights.checkpoint import Checkpoint
from composer.weights.standins import StandIn

# Entries under which training loops keep weights, the likeliest first.
PLAIN = (
    *("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "model_state"),
    *("teacher", "student"),
)
AVERAGED = ("state_dict_ema", "model_ema", "ema", "params_ema")
# Left by DataParallel, torch.compile and training frameworks.
PREFIXES = ("module.", "_orig_mod.", "model.")
# AveragedModel counts its updates beside the weights.
_AVERAGED_COUNTER = "n_averaged"
_EMA = re.compile(r"(?:.*_)?ema(?:_.*)?")
# Copies that follow a network by a moving average, under other names.
_FOLLOWERS = {"teacher", "encoder_k", "momentum_encoder", "target_encoder"}
# The codes that write these take the averaged weights; all others take the plain ones unless told.
_FIRST_CHOICES = {"teacher", "params_ema"}
# They hold a tensor of each weight's name and shape, and are no weights.
_OF_TRAINING = re.compile(r".*(optim|grad|sched|scaler|exp_avg|momentum_buffer).*")
_MAX_DEPTH, _MAX_ENTRIES = 4, 10_000


def is_averaged(path: str) -> bool:
    """Whether an entry or a prefix says of itself that it holds a moving average.

    >>> [is_averaged(path) for path in ("state_dict_ema", "ema.module.", "module.encoder_k.", "schema", "model")]
    [True, True, True, False, False]
    """
    return any(_EMA.fullmatch(part) or part in _FOLLOWERS for part in path.split("."))


def gives_way(path: str) -> bool:
    """Whether an averaged entry or prefix is left alone where plain weights fit as well."""
    return is_averaged(path) and not any(part in _FIRST_CHOICES for part in path.split("."))


def unwrap(found: Any, name: str, *, ema: bool = False) -> Checkpoint:
    """The weights in what a file holds: plain ones, unless there are only averaged ones or `ema` asks for them.

    Raises WeightsError where there are none.
    """
    held = dict(_held(found))
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
    return _checkpoint(name, {entry: held[entry] for entry in named})


def of_entry(checkpoint: Checkpoint, entry: str) -> Checkpoint:
    """What one entry of a file holds. Raises WeightsError where there is none of that name."""
    held = checkpoint.held
    if entry not in held:
        text = f"{checkpoint.name} has no entry `{entry}` with tensors"
        label = f"one of {one_of(filter(None, held))}" if any(held) else "its tensors are in none; leave `entry` away"
        raise WeightsError(Diagnostic("weights-entry", text, label=label))
    found = _checkpoint(checkpoint.name, {entry: held[entry]})
    return replace(checkpoint, tensors=found.tensors, entry=entry, prefix=found.prefix, sets=found.sets)


def _checkpoint(name: str, sets: Mapping[str, Mapping[str, Tensor]]) -> Checkpoint:
    """The most usual entry stands first."""
    entry, tensors = next(iter(sets.items()))
    prefix = common_prefix(tensors)
    if prefix:
        tensors = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key != _AVERAGED_COUNTER}
    return Checkpoint(name, tensors, entry=entry, prefix=prefix, sets=sets)


def _averaged(entry: str, tensors: Mapping[Any, Tensor]) -> dict[Any, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if is_averaged(f"{entry}.{key}")}


def common_prefix(names: Mapping[str, Tensor]) -> str:
    """What wrappers have put before every name; empty where they have not."""
    rest = [name for name in names if name != _AVERAGED_COUNTER]
    prefix = ""
    while rest and (one := next((one for one in PREFIXES if all(name.startswith(one) for name in rest)), None)):
        prefix += one
        rest = [name.removeprefix(one) for name in rest]
    return prefix


def _held(found: Any) -> Iterator[tuple[str, dict[Any, Tensor]]]:
    """Every entry that holds tensors (dotted; empty for the whole), with them."""
    waiting: deque[tuple[str, Any, int]] = deque([("", found, 0)])
    # A file may hold itself, many times over.
    for _ in range(_MAX_ENTRIES):
        if not waiting:
            return
        path, value, depth = waiting.popleft()
        if depth > _MAX_DEPTH or not isinstance(value, Mapping):
            continue
        # Epochs, accuracies and arguments may stand beside the tensors.
        if tensors := {key: one for key, one in value.items() if isinstance(one, Tensor)}:
            yield path, tensors
        for key, one in value.items():
            if isinstance(key, str) and isinstance(one, Mapping) and not _OF_TRAINING.fullmatch(key):
                waiting.append((f"{path}.{key}" if path else key, one, depth + 1))


def _rank(entry: str) -> tuple[Any, ...]:
    """Known entries, then tensors that stand by themselves, then other entries; averaged ones behind all."""
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
