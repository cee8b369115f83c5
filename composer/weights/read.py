"""Weights files -> Checkpoint. Code in a file never runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from composer.errors import Diagnostic, WeightsError, one_of
from composer.paths import MISSING, obstacle
from composer.weights.checkpoint import Checkpoint
from composer.weights.facts import read_facts
from composer.weights.pickled import unpickle, unreadable
from composer.weights.run_folder import best_of
from composer.weights.unwrap import AVERAGED, common_prefix, unwrap

PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".tar")


def read_checkpoint(path: str | Path, *, ema: bool = False) -> Checkpoint:
    """The weights of a file.

    path  a .safetensors file, one written by torch.save, or the folder of a run, whose best weights are taken
    ema   take averaged weights if the file holds both
    Raises WeightsError for a file that cannot be read, holds no weights, or would have to run code.
    """
    path = Path(path)
    path = best_of(path) or path
    if problem := obstacle(path):
        text = f"there is no weights file `{path}`" if problem == MISSING else f"the weights file `{path}` {problem}"
        raise WeightsError(Diagnostic("weights-file", text))
    if path.suffix == ".safetensors":
        return _read_safetensors(path, ema)
    if path.suffix not in PICKLED:
        label = f"a name that ends in .safetensors, {', '.join(PICKLED[:-1])} or {PICKLED[-1]}"
        raise WeightsError(Diagnostic("weights-file", f"cannot tell what `{path}` is", label=label))
    return unwrap(unpickle(path), f"`{path}`", ema=ema)


def _read_safetensors(path: Path, ema: bool) -> Checkpoint:
    if ema:
        text = f"`{path}` holds one set of tensors, which nothing calls averaged"
        help = ("load it without ema", f"averaged weights are an entry {one_of(AVERAGED)} of a .pt file")
        raise WeightsError(Diagnostic("weights-ema", text, help=help))
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
            metadata = file.metadata() or {}
        classes: Any = json.loads(metadata.get("classes", "null"))
    except (SafetensorError, OSError, ValueError, RuntimeError, RecursionError) as error:
        raise unreadable(path, error) from error
    if not tensors:
        raise WeightsError(Diagnostic("weights-file", f"`{path}` holds no tensors"))
    named = tuple(classes) if isinstance(classes, list) and all(isinstance(one, str) for one in classes) else None
    prefix = common_prefix(tensors)
    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return Checkpoint(f"`{path}`", tensors, ordered=False, classes=named, prefix=prefix, facts=read_facts(metadata))
