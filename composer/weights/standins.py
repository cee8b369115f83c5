"""Stand-ins for objects that training loops pickle beside tensors. They do nothing; their real classes are never
imported.

A pickle is a program that may call what it names. Each name that PyTorch's restricted reader does not know gets a
stand-in. Making an object of a stand-in and setting its state is harmless, whatever the class. *Calling* a name is
refused, except for the few below, whose calls only make values: the stand-in keeps the arguments and computes nothing.
"""

from __future__ import annotations

import fnmatch
import pickle
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any

# Calls that only make values, and libraries whose settings checkpoints often hold.
_VALUES = (
    *("numpy.dtype", "numpy.core.multiarray.*", "numpy._core.multiarray.*", "numpy.*.scalar", "numpy._core.numeric.*"),
    *("pathlib.*", "datetime.*", "decimal.Decimal", "fractions.Fraction", "uuid.UUID"),
    *("builtins.bytes", "builtins.frozenset", "builtins.slice", "builtins.range", "collections.deque", "re._compile"),
    *("collections.defaultdict", "types.SimpleNamespace", "ultralytics.*"),
    *("omegaconf.*", "fastcore.*", "fastai.*", "lightning.*", "pytorch_lightning.*", "lightning_fabric.*"),
    *("transformers.*", "mmengine.*", "mmcv.*", "addict.*", "easydict.*", "munch.*", "yacs.*", "timm.*"),
)


class _Kind(type):
    """A class that refuses to be called unless the class it stands for only makes values."""

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        if not is_value(cls.__qualname__):
            raise pickle.UnpicklingError(f"Trying to call GLOBAL {cls.__qualname__}")
        made: Any = cls
        return made.__new__(made, *arguments)


class StandIn(metaclass=_Kind):
    """An object that was pickled, as its class, arguments and state; it has no behaviour."""

    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *arguments: Any) -> Any:
        made = object.__new__(cls)
        made.__dict__["arguments"] = arguments
        return made

    def __setstate__(self, state: Any) -> None:
        self.__dict__["state"] = state

    def __repr__(self) -> str:
        return f"<a pickled {type(self).__qualname__}>"


class _MappingStandIn(metaclass=_Kind):
    """A mapping of another class: its items, in a plain dict."""

    def __new__(cls, *arguments: Any) -> Any:
        return OrderedDict()


class _SequenceStandIn(list[Any], metaclass=_Kind):
    """A list of another class: its items."""

    def __new__(cls, *arguments: Any) -> Any:
        return list.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Ignores the state."""


def stand_ins(names: Mapping[str, Collection[str]]) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """A stand-in per name, as `torch.serialization.safe_globals` takes them.

    names  name in a pickle -> how the pickle uses it, as `names_in` returns it
    """
    return [(_stand_in(name, uses), name) for name, uses in names.items()]


def _stand_in(name: str, uses: Collection[str]) -> Callable[..., Any]:
    base = _MappingStandIn if "mapping" in uses else _SequenceStandIn if "sequence" in uses else StandIn
    return _Kind("StandIn", (base,), {"__module__": __name__, "__qualname__": name})


def is_value(name: str) -> bool:
    """Whether calling this name only makes a value, so that a stand-in may take its place."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _VALUES)
