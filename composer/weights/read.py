"""Files of weights -> Checkpoint. Code in a file never runs."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from composer.errors import Diagnostic, WeightsError, one_of
from composer.weights.checkpoint import Checkpoint
from composer.weights.unwrap import AVERAGED, common_prefix, unwrap

PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".tar")


def read_checkpoint(path: str | Path, *, ema: bool = False) -> Checkpoint:
    """The weights of a file: .safetensors, or what torch.save wrote. `ema` asks for averaged ones.

    Raises WeightsError for a file that cannot be read, holds no weights, or would have to run code.
    """
    path = Path(path)
    if path.is_dir():
        raise WeightsError(Diagnostic("weights-file", f"`{path}` is a folder", label="a file"))
    if not path.is_file():
        raise WeightsError(Diagnostic("weights-file", f"there is no weights file `{path}`"))
    if path.suffix == ".safetensors":
        return _read_safetensors(path, ema)
    if path.suffix not in PICKLED:
        label = f"a name that ends in .safetensors, {', '.join(PICKLED[:-1])} or {PICKLED[-1]}"
        raise WeightsError(Diagnostic("weights-file", f"cannot tell what `{path}` is", label=label))
    return unwrap(_unpickle(path), f"`{path}`", ema=ema)


def _unpickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # It warns of pickle protocols it may not know, and then either reads the file or raises.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(_more_than_tensors(path, error)) from error
    except Exception as error:
        # Bytes that were never a checkpoint make the unpickler fail in every way that Python code can.
        raise _unreadable(path, error) from error


def _more_than_tensors(path: Path, error: Exception) -> Diagnostic:
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    what = f"a pickled `{found[1]}`" if found else "more than tensors"
    text = f"`{path}` holds {what}, and loading it could run code"
    save = "torch.save(model.state_dict(), …)"
    if found and found[1] == "argparse.Namespace":
        save = "torch.save({'state_dict': model.state_dict(), 'args': vars(args)}, …)"
    help = (f"where you trust the file, load it yourself and save tensors and plain values alone: {save}",)
    return Diagnostic("weights-pickle", text, label="tensors, numbers, strings, lists and mappings", help=help)


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
        raise _unreadable(path, error) from error
    if not tensors:
        raise WeightsError(Diagnostic("weights-file", f"`{path}` holds no tensors"))
    named = tuple(classes) if isinstance(classes, list) and all(isinstance(one, str) for one in classes) else None
    prefix = common_prefix(tensors)
    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return Checkpoint(f"`{path}`", tensors, ordered=False, classes=named, prefix=prefix)


def _unreadable(path: Path, error: Exception) -> WeightsError:
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    help: tuple[str, ...] = ()
    if "TorchScript" in reason:
        help = ("a TorchScript archive holds a program; save its torch.jit.load(…).state_dict() instead",)
    return WeightsError(Diagnostic("weights-file", f"cannot read the weights `{path}`: {reason}", help=help))
