"""Constructor calls as trees, and trees of several blocks of one form joined into one tree with columns of values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Code:
    """A Python expression, as it stands in the file."""

    text: str


@dataclass(frozen=True)
class Call:
    """A call of a class or function.

    function   its name in the file, such as `nn.Conv2d`
    arguments  name of a parameter -> value; every parameter that the file may have to write
    defaults   name of a parameter -> its default; those without one are missing
    plain      how many arguments are written without their names
    part       path of the layer inside what is made that is meant; empty for all of it
    """

    function: str
    arguments: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    plain: int = 0
    part: str = ""


@dataclass(frozen=True)
class Layers:
    """An nn.Sequential: name of a layer -> what makes it."""

    layers: Mapping[str, Any]


@dataclass(frozen=True)
class Text:
    """An expression of a forward, cut at its numbers: `parts[0] numbers[0] parts[1] …`. `{0}` is its first tensor."""

    parts: tuple[str, ...]
    numbers: tuple[Any, ...]


class Absent:
    """Stands in a column for a block that lacks the part."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()


@dataclass(frozen=True)
class Column:
    """The values of one argument in each of the blocks of a form.

    role  the parameter that takes it, which suggests a name; with `of`, the name of the node
    """

    values: tuple[Any, ...]
    role: str
    of: str

    @property
    def known(self) -> list[Any]:
        """The values without those of blocks that lack the part."""
        return [value for value in self.values if value is not ABSENT]

    @property
    def constant(self) -> bool:
        first = self.known[0]
        return all(same(first, value) for value in self.known)


@dataclass(frozen=True)
class Optional:
    """A part that some blocks of the form lack. `there` says which have it."""

    there: Column
    part: Any


class Different(Exception):
    """Blocks that cannot be written as one class."""


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of one type: 1 is neither True nor 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def join(values: Sequence[Any], role: str, of: str) -> Any:
    """One tree for the trees of several blocks. Raises Different."""
    there = [value for value in values if value is not ABSENT]
    if not there:
        return Column(tuple(values), role, of)
    kinds = {type(value) if isinstance(value, Call | Layers | Text) else None for value in there}
    if len(kinds) > 1:
        raise Different
    kind = kinds.pop()
    if kind is Call:
        return _join_calls(values, there, of)
    if kind is Layers:
        return _join_layers(values, there)
    if kind is Text:
        return _join_texts(values, there, of)
    return Column(tuple(values), role, of)


def _values(holders: Sequence[Any], key: Any) -> list[Any]:
    """What each of these holds at a key."""
    return [holder if holder is ABSENT else holder[key] for holder in holders]


def _join_calls(values: Sequence[Any], there: Sequence[Call], of: str) -> Call:
    first = there[0]
    names: Any = first.function
    if any(one.function != first.function for one in there):
        # Activations, which take nothing, are an argument of the block: `act=nn.ReLU`.
        kinds = [{name for name in one.arguments if name != "inplace"} for one in there]
        if any(kinds) or any(not one.function.startswith("nn.") for one in there):
            raise Different
        functions = tuple(value if value is ABSENT else Code(value.function) for value in values)
        if len({"inplace" in one.arguments for one in there}) > 1:
            raise Different
        names = Column(functions, "act", of)
        return Call(names, _inplace(there), first.defaults)
    if any(one.arguments.keys() != first.arguments.keys() or one.part != first.part for one in there):
        raise Different
    if "inplace" in first.arguments and set(first.arguments) == {"inplace"}:
        return Call(names, _inplace(there), first.defaults)
    each = [value if value is ABSENT else value.arguments for value in values]
    arguments = {name: join(_values(each, name), name, of) for name in first.arguments}
    return Call(names, arguments, first.defaults, first.plain, first.part)


def _inplace(calls: Sequence[Call]) -> dict[str, Any]:
    """Whether activations overwrite their input, which changes no number: only if all of them may."""
    if "inplace" not in calls[0].arguments:
        return {}
    return {"inplace": all(one.arguments["inplace"] for one in calls)}


def _join_layers(values: Sequence[Any], there: Sequence[Layers]) -> Layers:
    first = there[0].layers
    if any(list(one.layers) != list(first) for one in there):
        raise Different
    each = [value if value is ABSENT else value.layers for value in values]
    return Layers({name: join(_values(each, name), name, name) for name in first})


def _join_texts(values: Sequence[Any], there: Sequence[Text], of: str) -> Text:
    first = there[0]
    if any(one.parts != first.parts for one in there):
        raise Different
    each = [value if value is ABSENT else value.numbers for value in values]
    columns = [join(_values(each, index), "", of) for index in range(len(first.numbers))]
    return Text(first.parts, tuple(columns))


def outline(value: Any) -> Hashable:
    """Equal for trees that `join` takes, but for activations."""
    if isinstance(value, Call):
        return value.function, value.part, *((name, outline(one)) for name, one in value.arguments.items())
    if isinstance(value, Layers):
        return "layers", *((name, outline(one)) for name, one in value.layers.items())
    if isinstance(value, Text):
        return value.parts
    return None


def signature_of(function: Callable[..., Any]) -> tuple[list[str], dict[str, Any], int]:
    """Names of the parameters, the defaults, and how many may be written without their names."""
    parameters = [
        one
        for one in inspect.signature(function).parameters.values()
        if one.name not in ("self", "device", "dtype") and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    plain = sum(one.kind is not one.KEYWORD_ONLY for one in parameters)
    defaults = {one.name: one.default for one in parameters if one.default is not one.empty}
    return [one.name for one in parameters], defaults, plain
