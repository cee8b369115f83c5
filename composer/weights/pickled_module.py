"""Networks that were pickled whole, `torch.save(model)` -> their tensors by name. Their classes are never imported.

`pickled` reads such an object as a stand-in: a record of its class and its attributes. PyTorch keeps what a module owns
in three of them, so that the names of a state_dict follow from the records alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from composer.errors import Diagnostic, WeightsError
from composer.weights.standins import StandIn

_PARAMETERS, _BUFFERS, _MODULES, _NOT_SAVED = "_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"
# A network of a file may hold itself, or one module under more names than any memory holds.
MAX_DEPTH, MAX_MODULES = 100, 50_000


def is_module(value: object) -> bool:
    """Whether a value read from a pickle is the record of a network or a layer."""
    return all(isinstance(_attributes(value).get(name), Mapping) for name in (_PARAMETERS, _BUFFERS, _MODULES))


def tensors_of(module: object, name: str) -> dict[str, Tensor]:
    """The tensors of a recorded network under the names that its state_dict has, in its order.

    name  the file, as messages write it
    Raises WeightsError for a record that no network has, or one that is larger than any network.
    """
    return dict(_walk(module, name))


def _walk(module: object, name: str) -> Iterator[tuple[str, Tensor]]:
    waiting = [("", module, 0)]
    count = 0
    while waiting:
        prefix, one, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_MODULES:
            text = f"{name} holds a network nested deeper than {MAX_DEPTH} layers"
            text = text if depth > MAX_DEPTH else f"{name} holds a network of more than {MAX_MODULES:,} layers"
            raise WeightsError(Diagnostic("weights-pickle", text, label="a network; or its state_dict"))
        yield from _own(one, prefix, name)
        children = [(key, child) for key, child in _entries(one, _MODULES, prefix, name) if child is not None]
        for key, child in children:
            if not is_module(child):
                raise _strange(f"{prefix}{key}", child, "a layer", name)
        # The last of the list is taken next.
        waiting.extend((f"{prefix}{key}.", child, depth + 1) for key, child in reversed(children))


def _own(module: object, prefix: str, name: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a module itself, without those of its children."""
    unsaved = _attributes(module).get(_NOT_SAVED)
    unsaved = unsaved if isinstance(unsaved, set) else set()
    for kind in (_PARAMETERS, _BUFFERS):
        for key, tensor in _entries(module, kind, prefix, name):
            if tensor is None or (kind == _BUFFERS and key in unsaved):
                continue
            if not isinstance(tensor, Tensor):
                raise _strange(f"{prefix}{key}", tensor, "a tensor", name)
            yield f"{prefix}{key}", tensor


def _entries(module: object, kind: str, prefix: str, name: str) -> Iterator[tuple[str, Any]]:
    for key, value in _attributes(module)[kind].items():
        if not isinstance(key, str):
            raise _strange(f"{prefix}{key}", key, "a name", name)
        yield key, value


def _attributes(value: object) -> Mapping[str, Any]:
    state = value.state if isinstance(value, StandIn) else None
    return state if isinstance(state, Mapping) else {}


def _strange(path: str, found: object, wanted: str, name: str) -> WeightsError:
    kind = type(found).__qualname__
    text = f"{name} holds a pickled network whose `{path}` is of the class `{kind}`"
    return WeightsError(Diagnostic("weights-pickle", text, label=wanted))
