"""Training loops save more than a state_dict, and under other names: which tensors of a file are the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from composer.errors import Diagnostic, WeightsError, one_of
from composer.weights.checkpoint import Checkpoint

PLAIN = ("state_dict", "model_state_dict", "model", "net")
AVERAGED = ("state_dict_ema", "model_ema")
# Left by DataParallel, torch.compile and training frameworks.
PREFIXES = ("module.", "_orig_mod.", "model.")
# AveragedModel counts its updates beside the weights.
_AVERAGED_COUNTER = "n_averaged"
_MAX_DEPTH = 3


def unwrap(found: Any, name: str, *, ema: bool = False) -> Checkpoint:
    """The weights in what a file holds: plain ones, unless there are only averaged ones or `ema` asks for them.

    Raises WeightsError where there are none.
    """
    entry, tensors = _choose(found, ema)
    if not tensors:
        if ema:
            help = ("load without ema to take what there is",)
            label = "an entry " + " or ".join(f"`{one}`" for one in AVERAGED)
            raise WeightsError(Diagnostic("weights-ema", f"{name} holds no averaged weights", label=label, help=help))
        raise WeightsError(_no_weights(found, name))
    if bad := [str(key) for key in tensors if not isinstance(key, str)]:
        text = f"{name} is not a state_dict: {one_of(bad, 6)} name tensors, and are no strings"
        raise WeightsError(Diagnostic("weights-file", text, label="names of tensors"))
    prefix = common_prefix(tensors)
    if prefix:
        tensors = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key != _AVERAGED_COUNTER}
    return Checkpoint(name, tensors, entry=entry, prefix=prefix)


def common_prefix(names: Mapping[str, Tensor]) -> str:
    """What wrappers have put before every name; empty where they have not."""
    rest = [name for name in names if name != _AVERAGED_COUNTER]
    prefix = ""
    while rest and (one := next((one for one in PREFIXES if all(name.startswith(one) for name in rest)), None)):
        prefix += one
        rest = [name.removeprefix(one) for name in rest]
    return prefix


def _choose(found: Any, ema: bool, depth: int = 0) -> tuple[str, dict[str, Tensor]]:
    """The entry that holds the weights (dotted; empty for the whole) and its tensors; none where there are none."""
    if not isinstance(found, Mapping) or depth > _MAX_DEPTH:
        return "", {}
    for entry in (*AVERAGED, *PLAIN) if ema else (*PLAIN, *AVERAGED):
        # Inside an averaged entry the weights are averaged whatever they are called there.
        inner, tensors = _choose(found.get(entry), ema and entry not in AVERAGED, depth + 1)
        if tensors:
            return (f"{entry}.{inner}" if inner else entry), tensors
    if ema:
        return "", {}
    # Epochs, accuracies and arguments may stand beside the tensors.
    return "", {key: value for key, value in found.items() if isinstance(value, Tensor)}


def _no_weights(found: Any, name: str) -> Diagnostic:
    help: tuple[str, ...] = ()
    if isinstance(found, Mapping):
        held = f"its entries are {one_of(map(str, found), 8)}" if found else "it is empty"
        help = (held, "save the state_dict alone: torch.save(model.state_dict(), …)")
    return Diagnostic("weights-file", f"{name} is not a state_dict", label="a mapping of names to tensors", help=help)
