"""What a model was when a lock was written, and what differs when the lock is composed again."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from composer.errors import Diagnostic, GraphError
from composer.sources.library import library_of
from composer.sources.make import make
from composer.spec.model_source import ModelSource
from composer.spec.spec import Spec


def identity(source: ModelSource, model: nn.Module | None = None) -> dict[str, Any]:
    """The library, its version, the class, the inputs, and the keys and shapes of the state dict, as plain values.

    model  the model, if it is made already
    """
    model = make(source) if model is None else model
    state = {name: list(one.shape) for name, one in sorted(model.state_dict().items())}
    version = _version(library_of(source).PACKAGE)
    return {
        "library": source.library,
        **({"version": version} if version else {}),
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "inputs": {name: list(shape) for name, shape in source.shapes.items()},
        "sha256": hashlib.sha256(json.dumps(state).encode()).hexdigest(),
        "state": state,
    }


def check_lock(spec: Spec, model: nn.Module) -> None:
    """Check that the model of a lock is what it was. A spec that refers to a lock, or changes it, is not checked.

    Raises GraphError that names what differs; of keys, the first.
    """
    file, source = spec.files[0], spec.source
    locked = (file.content.lock or {}).get("model")
    if source is None or not isinstance(locked, Mapping) or spec.overrides:
        return
    differs = list(_differences(locked, identity(source, model)))
    if differs:
        text = f"{source.words} is not what it was when this lock was written: {'; '.join(differs)}"
        raise GraphError(_problem(spec, text, locked))


def _problem(spec: Spec, text: str, locked: Mapping[str, Any]) -> Diagnostic:
    package = library_of(spec.source).PACKAGE if spec.source else ""
    again = (f"pip install '{package}=={locked['version']}'",) if package and locked.get("version") else ()
    help = (*again, "or take `model` out of `lock`, to compose what there is now")
    return (spec.origin / "lock" / "model").problem("lock", text, "what it was", help, key=True)


def _differences(locked: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in ("library", "version", "class", "inputs"):
        if locked.get(name) != now.get(name):
            yield f"{name} was {_shown(locked.get(name))}, now {_shown(now.get(name))}"
    if locked.get("sha256") == now["sha256"]:
        return
    before, after = locked.get("state") or {}, now["state"]
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            yield f"`{key}` was {_shape(before.get(key))}, now {_shape(after.get(key))}"
            return
    yield "its keys or shapes are others"


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"`{value}`"


def _shape(value: Any) -> str:
    return "not there" if value is None else "×".join(map(str, value)) or "a number"


def _version(package: str) -> str:
    """The version of a package, without the build's own name, which differs from machine to machine."""
    if not package:
        return ""
    try:
        return importlib.metadata.version(package).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return ""
