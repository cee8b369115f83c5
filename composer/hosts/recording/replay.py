"""A function that was called, to be called again: with the same arguments but for the tensors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from composer.dag.host import Where
from composer.hosts.recording.nested import tensors_in


def function_name(func: Callable[..., Any]) -> str:
    """What a node of the function is called: `add` for `__iadd__` too."""
    name = getattr(func, "__name__", type(func).__name__)
    if name == "__get__":
        name = getattr(getattr(func, "__self__", None), "__name__", "get")
    bare = name.strip("_")
    for one in ("add", "sub", "mul", "truediv", "matmul"):
        if bare in (f"r{one}", f"i{one}"):
            bare = one
    return {"truediv": "div", "cat": "concat", "concatenate": "concat"}.get(bare, bare or "function")


def in_place(func: Callable[..., Any], kwargs: Mapping[str, Any], result: Tensor | None = None) -> bool:
    """Whether a function, called so, writes into a tensor that it is given."""
    name = getattr(func, "__name__", "")
    return (
        name == "__setitem__"
        or (name.endswith("_") and not name.startswith("__"))
        or (name.startswith("__i") and name not in ("__invert__", "__index__", "__int__"))
        or bool(kwargs.get("inplace"))
        or (result is not None and kwargs.get("out") is result)
    )


class Replay:
    """A function with the arguments of a call that are no tensors; called with the tensors, in order."""

    def __init__(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], item: Where = ()
    ) -> None:
        self.func, self.item = func, item
        self.args, self.kwargs = _without_tensors((tuple(args), dict(kwargs)))
        self.dtypes = tuple(tensor.dtype for _, tensor in tensors_in((args, kwargs)))

    def of(self, item: Where) -> Replay:
        """The same call, of which one result is taken."""
        made = copy.copy(self)
        made.item = item
        return made

    def filled(self, values: Iterable[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and named arguments, with these values in the order in which the tensors stood."""
        left = iter(values)
        found: tuple[tuple[Any, ...], dict[str, Any]] = _mapped(
            (self.args, self.kwargs), lambda one: next(left) if one is _SLOT else one
        )
        return found

    @property
    def in_place(self) -> bool:
        """Whether it writes into a tensor that it is given."""
        return in_place(self.func, self.kwargs)

    def cast(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """The tensors in the dtypes of the recorded call, such as those of indices."""
        return [tensor.to(dtype) for tensor, dtype in zip(tensors, self.dtypes, strict=True)]

    def __call__(self, *tensors: Tensor) -> Any:
        return self.on(self.func, tensors)

    def on(self, func: Callable[..., Any], tensors: Iterable[Tensor]) -> Any:
        """The same call of another function, such as a copy of a module."""
        args, kwargs = self.filled(tensors)
        result = func(*args, **kwargs)
        for key in self.item:
            result = result[key]
        return args[0] if result is None else result

    def __repr__(self) -> str:
        parts = [repr(one) for one in self.args] + [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"{function_name(self.func)}({', '.join(parts)})" + "".join(f"[{key!r}]" for key in self.item)


class _Slot:
    """Where a tensor goes."""

    def __repr__(self) -> str:
        return "·"

    def __deepcopy__(self, memo: dict[int, Any]) -> _Slot:
        return self

    def __reduce__(self) -> str:
        return "_SLOT"


_SLOT = _Slot()


def _without_tensors(value: Any) -> Any:
    return _mapped(value, lambda one: _SLOT if isinstance(one, Tensor) else one)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if type(value) in (tuple, list):
        return type(value)(_mapped(one, change) for one in value)
    if type(value) is dict:
        return {key: _mapped(one, change) for key, one in value.items()}
    if isinstance(value, slice):
        return slice(*(_mapped(one, change) for one in (value.start, value.stop, value.step)))
    return change(value)
