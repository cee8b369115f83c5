"""Files of torch.save -> Python values. Nothing that a file names is imported or called."""

from __future__ import annotations

import pickle
import pickletools
import re
import threading
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from composer.errors import Diagnostic, WeightsError, one_of
from composer.torch_private import IMPORT_MAPPING, NAME_MAPPING, unpickled_names
from composer.weights.standins import is_value, stand_ins

# A file from before 2020 begins with three pickles: a number, a version, the machine. The fourth is the content.
_PICKLES = 4
_ONE_AT_A_TIME = threading.Lock()
# Pickle operation -> how it uses the object that lies below its operands on the stack.
_USES = {
    **{"REDUCE": "call", "OBJ": "call", "NEWOBJ": "object", "NEWOBJ_EX": "object", "BUILD": "object"},
    **{"SETITEM": "mapping", "SETITEMS": "mapping", "APPEND": "sequence", "APPENDS": "sequence"},
}


def unpickle(path: Path) -> Any:
    """The values in a file. Tensors are PyTorch's; objects of other classes become stand-ins that do nothing.

    Raises WeightsError for a file that cannot be read, or that would call something while it is read.
    """
    try:
        names = _names(path)
        known = unpickled_names()
        called = [name for name, uses in names.items() if "call" in uses and name not in known and not is_value(name)]
        if called:
            raise WeightsError(_calls(path, called))
        allowed = stand_ins({name: uses for name, uses in names.items() if name not in known})
        # `safe_globals` holds for the whole process, so that one thread reads at a time.
        with _ONE_AT_A_TIME, warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            # PyTorch warns about unknown pickle protocols, and then reads the file or raises.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise (WeightsError(_calls(path, [found[1]])) if found else unreadable(path, error)) from error
    except (OSError, MemoryError, RuntimeError) as error:
        raise unreadable(path, error) from error
    except Exception as error:
        # Arbitrary bytes can make the unpickler fail in any way.
        raise WeightsError(_no_checkpoint(path)) from error


def unreadable(path: Path, error: Exception) -> WeightsError:
    """The error for a file that is no weights file, with the reader's own reason."""
    # PyTorch's message explains at length how to read the file anyway, and gives the reason last.
    said = str(error).rpartition("WeightsUnpickler error:")[2].strip()
    reason = next(iter(said.splitlines()), "") or type(error).__name__
    help: tuple[str, ...] = ()
    if "TorchScript" in reason:
        help = ("a TorchScript archive holds a program; save its torch.jit.load(…).state_dict() instead",)
    if "Unsupported operand" in str(error):
        reason = "its pickle is of a protocol that cannot be read safely"
        help = ("save it again with torch.save(…) and no `pickle_protocol`",)
    if "persistent_load" in reason:
        reason = "it holds a network as an object, not its tensors by name"
    return WeightsError(Diagnostic("weights-file", f"cannot read the weights `{path}`: {reason}", help=help))


def _no_checkpoint(path: Path) -> Diagnostic:
    text = f"cannot read the weights `{path}`: it is no checkpoint of PyTorch's, or a damaged one"
    return Diagnostic("weights-file", text, help=("such files are what torch.save(model.state_dict(), …) writes",))


def _calls(path: Path, names: list[str]) -> Diagnostic:
    text = f"`{path}` calls {one_of(names, 4)} as it is read, and code of a file never runs"
    save = "torch.save(model.state_dict(), …)"
    help = (f"where you trust the file, load it yourself and save tensors and plain values alone: {save}",)
    return Diagnostic("weights-pickle", text, label="tensors, numbers, strings, lists and mappings", help=help)


def _names(path: Path) -> dict[str, set[str]]:
    """Name in the pickles of a file -> how they use it; empty for a file of another kind."""
    if zipfile.is_zipfile(path):
        return _names_in_archive(path)
    found: dict[str, set[str]] = {}
    with path.open("rb") as file:
        for _ in range(_PICKLES):
            for name, uses in names_in(file).items():
                found.setdefault(name, set()).update(uses)
            if not file.peek(1):
                break
    return found


def _names_in_archive(path: Path) -> dict[str, set[str]]:
    with zipfile.ZipFile(path) as archive:
        names = [one.partition("/")[2] for one in archive.namelist()]
        # PyTorch refuses a TorchScript program, and its message says that it is one.
        if "constants.pkl" in names or "data.pkl" not in names:
            return {}
        if any(one.compress_type != zipfile.ZIP_STORED for one in archive.infolist()):
            # A few compressed kilobytes may unpack to any size.
            raise unreadable(path, ValueError("it is compressed inside, as torch.save never does"))
        with archive.open(archive.namelist()[names.index("data.pkl")]) as file:
            return names_in(file)


@dataclass
class _Made:
    """An object on the stack of a pickle that was made from a name."""

    name: str


def names_in(file: IO[bytes]) -> dict[str, set[str]]:
    """Name in a pickle -> how the pickle uses it: `call`, `object`, `mapping` or `sequence`. Nothing is built.

    Raises any exception if the stream is not a pickle.
    """
    found: dict[str, set[str]] = {}
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    for operation, argument, _ in pickletools.genops(file):
        kind = operation.name
        if kind in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
            continue
        if kind == "MEMOIZE":
            memo[len(memo)] = stack[-1]
            continue
        if kind in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
            continue
        if kind == "DUP":
            stack.append(stack[-1])
            continue
        popped = _pop(stack, operation)
        made: Any = popped[0] if popped else None
        if kind in ("GLOBAL", "INST", "STACK_GLOBAL"):
            made = _Made(_modern(*(argument.split(" ", 1) if argument else popped)))
            found.setdefault(made.name, set()).update({"call"} if kind == "INST" else ())
        elif kind.endswith(("UNICODE", "STRING")):
            made = argument
        elif isinstance(made, _Made) and kind in _USES:
            found[made.name].add(_USES[kind])
        elif kind not in _USES:
            made = None
        stack.extend(place if place is pickletools.markobject else made for place in operation.stack_after)
    return found


def _pop(stack: list[Any], operation: pickletools.OpcodeInfo) -> list[Any]:
    """The items that an operation takes from the stack, the lowest first; a mark and all above it are removed too."""
    popped: list[Any] = []
    below = operation.stack_before
    if pickletools.stackslice in below:
        below = below[: below.index(pickletools.markobject)]
        while (top := stack.pop()) is not pickletools.markobject:
            popped.append(top)
    popped += [stack.pop() for _ in below]
    return popped[::-1]


def _modern(module: str, name: str) -> str:
    """The Python 3 name for a name that may be of Python 2."""
    module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return f"{module}.{name}"
