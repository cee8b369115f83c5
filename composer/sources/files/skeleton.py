"""The module that a file's graph becomes: what each of its calls runs, without numbers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from composer.sources.files.graph import Ref


@dataclass
class Item:
    """A call in a run: of a module or a function, with the names of the tensors that it takes and gives."""

    called: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[str | None, ...]


@dataclass
class Run:
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    items: list[Item] = field(default_factory=list)


class FileModule(nn.Module):
    """A module of a file: what each call of it runs. Its class has the name that the file gives.

    inside   name of a tensor in the file -> its path below this module
    outside  name of a tensor in the file -> the tensor, if another module of the network holds it
    """

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Run] = []
        self.inside: dict[str, str] = {}
        self.outside: dict[str, Tensor] = {}

    def forward(self, *input: Tensor, run: int = 0) -> Any:
        """The results of one of its calls."""
        steps = self.runs[run]
        known = {**self.outside, **{name: self.held(path) for name, path in self.inside.items()}}
        known |= dict(zip(steps.inputs, input, strict=True))
        for item in steps.items:
            args, kwargs = _filled((item.args, item.kwargs), known)
            result = item.called(*args, **kwargs)
            results = (result,) if len(item.outputs) == 1 else result
            known |= {name: one for name, one in zip(item.outputs, results, strict=True) if name is not None}
        found = tuple(known[name] for name in steps.outputs)
        return found[0] if len(found) == 1 else found

    def held(self, path: str) -> Tensor:
        """A tensor of the module, or of one inside it."""
        where, _, word = path.rpartition(".")
        found: Tensor = getattr(self.get_submodule(where), word)
        return found


def of_class(name: str, inputs: Sequence[str] = ()) -> FileModule:
    """A module whose class has the name of one of the file, without being it; of the network, with named inputs."""
    word = re.sub(r"\W", "_", name.rpartition(".")[2]) or "Module"
    own = {"forward": _forward(inputs)} if inputs else {}
    made: Any = type(word, (FileModule,), {"__module__": "file", **own})
    module: FileModule = made()
    return module


def _forward(inputs: Sequence[str]) -> Any:
    words = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *inputs)]
    signature = inspect.Signature(words)

    def forward(*args: Any, **kwargs: Any) -> Any:
        return FileModule.forward(*signature.bind(*args, **kwargs).args)

    forward.__signature__ = signature  # type: ignore[attr-defined]
    return forward


def _filled(value: Any, known: dict[str, Tensor]) -> Any:
    return _mapped(value, lambda one: known[one.name])


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, Ref):
        return change(value)
    if type(value) in (tuple, list):
        return type(value)(_mapped(one, change) for one in value)
    return {key: _mapped(one, change) for key, one in value.items()} if type(value) is dict else value
