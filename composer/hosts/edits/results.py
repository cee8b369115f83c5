"""What generated forwards call: to exchange one tensor of a nested result, and to refuse what they were not made for.

Pickled networks name these functions: never rename or move them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping
from typing import Any

from torch import Tensor

# Where a tensor stands in a result: ("feats", 1) is the second of the list `feats`.
Where = tuple[str | int, ...]


def with_result(value: Any, where: Where, new: Tensor) -> Any:
    """The result with another tensor at a place; tuples, lists, named tuples and mappings keep their types.

    >>> with_result(("a", {"b": 1}), (1, "b"), 2)
    ('a', {'b': 2})
    """
    if not where:
        return new
    step, rest = where[0], where[1:]
    changed = with_result(value[step], rest, new)
    if isinstance(value, MutableMapping) or not isinstance(value, tuple | list):
        found: Any = copy.copy(value)
        found[step] = changed
        return found
    parts = [changed if number == step else one for number, one in enumerate(value)]
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)


def as_opened(wanted: Mapping[str, Any], *found: Any) -> None:
    """Raises ValueError if an argument or an attribute is not what it was when the forward was opened and edited."""
    for (name, value), one in zip(wanted.items(), found, strict=True):
        if one is not value and (isinstance(one, Tensor) or type(one) is not type(value) or one != value):
            shown = "a tensor" if isinstance(one, Tensor) else repr(one)
            raise ValueError(
                f"the forward of an edited module was opened with {name}={value!r}, found {shown}: "
                "`composer.remove` the insertion and insert it again for this value"
            )


def brought(value: Tensor | None, name: str) -> Tensor:
    """A tensor of another forward. Raises TypeError if whoever calls this one did not hand it on."""
    if value is None:
        raise TypeError(f"an insertion here takes `{name}` from another module, and this call does not hand it on")
    return value


def pass_outward(outward: dict[str, Tensor] | None, name: str, value: Tensor) -> None:
    """Give a tensor to whoever asked for what this forward passes outward."""
    if outward is not None:
        outward[name] = value
