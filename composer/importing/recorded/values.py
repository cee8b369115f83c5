"""What differs between the instances of a block: its arguments, and expressions that read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from composer.importing.recorded.merge import Template
from composer.spec.functions import FUNCTIONS

# Stands for a value that an instance does not use.
ANY: Any = type("Any", (), {"__repr__": lambda self: "ANY"})()
# Lengths of these may follow from those of what arrives.
_SIDES = ("sizes", "size", "window")
# Numbers of these may be multiples of one another by the block's design.
_COUNTS = ("out_channels", "out_features", "groups", "hidden", "start", "end", "num_heads", "shape")
_TAKEN = {
    *("index", "repeat", "input", "channels", "height", "width", "tokens", "length", "frames", "spatial_dims"),
    *("grid_height", "grid_width", "prefix_tokens", "true", "false", "null", "in", "if", "else", "and", "or", "not"),
    *FUNCTIONS,
}


@dataclass(frozen=True)
class Literal:
    """A value that all instances have."""

    value: Any


@dataclass(frozen=True)
class Formula:
    """An expression of arguments and facts."""

    text: str


Value = Literal | Formula


@dataclass(eq=False)
class Argument:
    """An argument of a block: its value for each instance, by the place of the instance in `uses`."""

    name: str
    option: str
    values: list[Any]

    @property
    def default(self) -> Any:
        """What more than half of the instances have; ANY if there is no such value."""
        known = [_key(one) for one in self.values if one is not ANY]
        if not known:
            return None
        key, count = Counter(known).most_common(1)[0]
        found = next(one for one in self.values if one is not ANY and _key(one) == key)
        return found if 2 * count > len(known) and not isinstance(found, list) else ANY


@dataclass
class Arguments:
    """Finds the arguments of a block, and what its nodes say instead of values.

    names  of the whole network: values of its instances -> the name of its var
    """

    template: Template
    names: Mapping[str, str] = field(default_factory=dict)
    found: list[Argument] = field(default_factory=list)

    def resolve(self, vector: Sequence[Any], word: str, line: str, option: str | None = None) -> Value:
        """What a node says for values, one per instance.

        word    how the argument is called if it becomes one; or after the node's name too
        option  the layer's option that it ends in, if that is another word
        """
        option = option or word
        known = [one for one in vector if one is not ANY]
        if not known:
            return Literal(ANY)
        if all(_key(one) == _key(known[0]) for one in known):
            return Literal(known[0])
        counts = option in _COUNTS and all(type(one) is int for one in known)
        if counts and (text := self._of_inputs(vector, ("channels",))):
            return Formula(text)
        if option in _SIDES and (text := self._of_inputs(vector, _facts_for(word))):
            return Formula(text)
        for argument in self.found:
            if _fits(argument.values, vector):
                argument.values = [
                    other if one is ANY else one for one, other in zip(argument.values, vector, strict=True)
                ]
                return Formula(argument.name)
        if counts:
            for argument in self.found:
                if argument.option in _COUNTS and (text := _multiple(argument.name, argument.values, vector)):
                    return Formula(text)
        if all(type(one) is bool for one in known):
            turned = [one if one is ANY else not one for one in vector]
            for argument in self.found:
                if _fits(argument.values, turned) and ANY not in argument.values:
                    return Formula(f"not {argument.name}")
        made = Argument(self._name(word, line, vector), option, list(vector))
        self.found.append(made)
        return Formula(made.name)

    def _of_inputs(self, vector: Sequence[Any], facts: Sequence[str]) -> str | None:
        for name in self.template.inputs:
            for fact in facts:
                values = [draft.inputs[name].facts.get(fact) for draft in self.template.uses]
                if None not in values and (text := _multiple(f"{name}.{fact}", values, vector)):
                    return text
        return None

    def _name(self, word: str, line: str, vector: Sequence[Any]) -> str:
        given = self.names.get(repr(list(vector)))
        longer = f"{word}_{line}" if line[:1].isdigit() else f"{line}_{word}"
        word = line if word == "when" else word
        used = {one.name for one in self.found} | _TAKEN | set(self.template.inputs)
        wanted = [*([given] if given else []), *([] if word[:1].isdigit() else [word]), longer]
        return next(one for one in (*wanted, *(f"{longer}_{n}" for n in range(2, 999))) if one not in used)


def _facts_for(word: str) -> tuple[str, ...]:
    """The facts from which a side may follow: rows first, unless its name says columns."""
    sides = ("width", "height") if word.endswith(("_w", "_1", "_q")) else ("height", "width")
    return *sides, *(f"grid_{side}" for side in sides)


def _fits(values: Sequence[Any], vector: Sequence[Any]) -> bool:
    """Whether values are equal wherever both are known, and both are somewhere."""
    pairs = [(one, other) for one, other in zip(values, vector, strict=True) if one is not ANY and other is not ANY]
    return bool(pairs) and all(_key(one) == _key(other) for one, other in pairs)


def _multiple(name: str, values: Sequence[Any], vector: Sequence[Any]) -> str | None:
    """The formula by which counts follow from others, if it is a whole factor or divisor."""
    pairs = [(one, other) for one, other in zip(values, vector, strict=True) if other is not ANY]
    if any(type(one) is not int or not one or not other for one, other in pairs):
        return None
    one, other = pairs[0]
    if all(a == b for a, b in pairs):
        return name
    if other % one == 0 and all(a * (other // one) == b for a, b in pairs) and other // one <= 16:
        return f"{name} * {other // one}"
    if one % other == 0 and all(a % (one // other) == 0 and a // (one // other) == b for a, b in pairs):
        return f"{name} // {one // other}" if one // other <= 16 else None
    return None


def _key(value: Any) -> str:
    # 1, 1.0 and True are equal in Python, and not in a spec.
    return repr(value)


def per_copy(arguments: Arguments, lists: Sequence[Any], word: str, line: str, option: str) -> Value:
    """What a repeat says for values of its copies: one list per instance."""
    known = [one for one in lists if one is not ANY]
    if all(value is ANY for one in known for value in one):
        return Literal(ANY)
    if all(_is_constant(one) for one in known):
        return arguments.resolve([ANY if one is ANY else _first(one) for one in lists], word, line, option)
    if all(_is_constant(one[1:]) for one in known):
        first = arguments.resolve([ANY if one is ANY else one[0] for one in lists], word, line, option)
        others = [ANY if one is ANY else _first(one[1:]) for one in lists]
        more = f"{word}_of_others" if isinstance(first, Formula) else word
        rest = arguments.resolve(others, more, line, option)
        if (_literal_key(first), _literal_key(rest)) == ("True", "False"):
            return Formula("index == 0")
        if (_literal_key(first), _literal_key(rest)) == ("False", "True"):
            return Formula("index > 0")
        if _literal_key(rest) == "False" and isinstance(first, Formula):
            return Formula(f"{text_of(first)} and index == 0")
        return Formula(f"{text_of(first)} if index == 0 else {text_of(rest)}")
    filled = [ANY if one is ANY else _filled(one) for one in lists]
    whole = arguments.resolve(filled, word if word.endswith("s") else f"{word}s", line)
    return Formula(f"{text_of(whole)}[index]")


def _literal_key(value: Value) -> str | None:
    return _key(value.value) if isinstance(value, Literal) else None


def _is_constant(values: Sequence[Any]) -> bool:
    return len({_key(one) for one in values if one is not ANY}) <= 1


def _first(values: Sequence[Any]) -> Any:
    return next((one for one in values if one is not ANY), ANY)


def _filled(values: Sequence[Any]) -> list[Any]:
    fallback = next(one for one in values if one is not ANY) if any(one is not ANY for one in values) else 0
    return [fallback if one is ANY else one for one in values]


def text_of(value: Value) -> str:
    """A value as a part of an expression."""
    if isinstance(value, Formula):
        return (
            value.text
            if value.text.isidentifier() or ("." in value.text and " " not in value.text)
            else f"({value.text})"
        )
    return "null" if value.value is ANY else _literal(value.value)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_literal(one) for one in value)}]"
    return "null" if value is None else repr(value)
