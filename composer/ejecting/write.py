"""Writes a form as a class: its arguments, its layers, and its forward with few variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from composer.ejecting.fit import TAKEN, Argument, Arguments, identifier, literal
from composer.ejecting.forms import Form, words_of
from composer.ejecting.layout import WIDTH, laid_out
from composer.ejecting.tree import ABSENT, Call, Column, Layers, Optional, Text, same

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.LeakyReLU, nn.PReLU)


@dataclass
class Body:
    """The lines of a class's `__init__`, and how its forward reads numbers that differ between blocks."""

    lines: list[str] = field(default_factory=list)
    numbers: dict[tuple[str, int], str] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)


def write_expression(tree: Any, arguments: Arguments) -> str:
    """The code of a tree."""
    if isinstance(tree, Column):
        return arguments.write(tree)
    if isinstance(tree, Layers):
        return _layers(tree, arguments)
    if isinstance(tree, Call):
        return _call(tree, arguments)
    if isinstance(tree, Optional):
        return f"{write_expression(tree.part, arguments)} if {arguments.condition(tree.there)} else nn.Identity()"
    return literal(tree)


def _call(tree: Call, arguments: Arguments) -> str:
    function = tree.function if isinstance(tree.function, str) else arguments.write(tree.function)
    written: list[str] = []
    plain = True
    for index, (name, value) in enumerate(tree.arguments.items()):
        if _is_default(value, tree.defaults.get(name, ABSENT)):
            plain = False
            continue
        text = write_expression(value, arguments)
        plain = plain and index < tree.plain
        written.append(text if plain else f"{name}={text}")
    inside = ", ".join(written)
    if not function:
        return f"({inside}{',' * (len(written) == 1)})"
    part = "".join(f"[{one}]" if one.isdigit() else f".{one}" for one in tree.part.split(".")) if tree.part else ""
    return f"{function}({inside}){part}"


def _is_default(value: Any, default: Any) -> bool:
    if default is ABSENT:
        return False
    if isinstance(value, Column):
        return all(same(one, default) for one in value.known)
    return not isinstance(value, Call | Layers | Optional) and same(value, default)


def _layers(tree: Layers, arguments: Arguments) -> str:
    names = list(tree.layers)
    written = [write_expression(one, arguments) for one in tree.layers.values()]
    if names == [str(index) for index in range(len(names))]:
        return f"nn.Sequential({', '.join(_runs(written))})"
    if all(identifier(name) == name for name in names):
        pairs = ", ".join(f"{name}={text}" for name, text in zip(names, written, strict=True))
        return f"nn.Sequential(OrderedDict({pairs}))"
    pairs = ", ".join(f"({literal(name)}, {text})" for name, text in zip(names, written, strict=True))
    return f"nn.Sequential(OrderedDict([{pairs}]))"


def _runs(written: list[str]) -> list[str]:
    """Calls that follow one another and are equal, as a comprehension."""
    found: list[str] = []
    index = 0
    while index < len(written):
        count = next((n for n in range(1, len(written) - index) if written[index + n] != written[index]), 0)
        count = count or len(written) - index
        text = written[index]
        found += [text] * count if count < 3 else [f"*({text} for _ in range({count}))"]
        index += count
    return found


def class_of(form: Form) -> Body:
    """The lines of a form's `__init__` behind `super().__init__()`; sets the form's arguments."""
    arguments = Arguments(words_of(form.instances), len(form.instances) > 1)
    body = Body()
    for name, tree in form.children.items():
        body.lines += _child(name, tree, form, arguments)
    for name, tree in form.texts.items():
        _numbers(name, tree, arguments, body)
    used = [one for one in (*arguments.atoms, *arguments.new) if one.used]
    for one in used:
        one.default = _default(one)
    form.arguments = [
        *(one for one in used if one.default is ABSENT),
        *(one for one in used if one.default is not ABSENT),
    ]
    return body


def _child(name: str, tree: Any, form: Form, arguments: Arguments) -> list[str]:
    text = write_expression(tree, arguments)
    target = form.attribute(name)
    if form.base == "nn.ModuleList":
        lines = laid_out(f"self.append({text})", 8)
    elif target.startswith("self.get_submodule"):
        lines = laid_out(f"self.add_module({literal(name)}, {text})", 8)
    else:
        lines = laid_out(f"{target} = {text}", 8)
    remark = form.remarks.get(name)
    if remark and len(lines) == 1 and len(lines[0]) + len(remark) + 4 <= WIDTH:
        lines[0] += f"  # {remark}"
    return lines


def _numbers(name: str, tree: Any, arguments: Arguments, body: Body) -> None:
    if isinstance(tree, Optional):
        condition = arguments.condition(tree.there)
        if condition not in body.conditions:
            body.conditions[condition] = f"self.has_{identifier(name)}"
            body.lines += laid_out(f"self.has_{identifier(name)} = {condition}", 8)
        body.flags[name] = body.conditions[condition]
        tree = tree.part
    for index, column in enumerate(tree.numbers):
        text = arguments.write(column)
        if not column.constant:
            attribute = (
                text if text.isidentifier() else f"{identifier(name)}_{index}" if index else identifier(f"{name}_size")
            )
            line = f"        self.{attribute} = {text}"
            if line not in body.lines:
                body.lines.append(line)
            text = f"self.{attribute}"
        body.numbers[name, index] = text


def _default(argument: Argument) -> Any:
    """A default for an argument that is a switch, or a stride and the like that is mostly 1."""
    for value in (False, None, 0.0, 1, 0):
        quiet = value is False or value is None or argument.name not in ("channels", "planes")
        if quiet and any(same(value, one) for one in argument.values):
            return value
    return ABSENT


def signature(form: Form, is_root_arguments: Mapping[str, str] | None = None) -> str:
    """The head of `__init__`."""
    words = ["self"]
    for one in form.arguments:
        kind = annotation(one.values)
        default = "" if one.default is ABSENT else f" = {literal(one.default)}"
        words.append(f"{one.name}: {kind}{default}")
    for name, text in (is_root_arguments or {}).items():
        words.append(f"{name}: {text}")
    return f"def __init__({', '.join(words)}) -> None:" if len(words) == 1 else f"def __init__({', '.join(words)}):"


def annotation(values: tuple[Any, ...]) -> str:
    """The type of an argument."""
    kinds = {_type(value) for value in values if value is not ABSENT}
    if kinds == {"int", "float"}:
        kinds = {"float"}
    ordered = sorted(kinds - {"None"})
    return " | ".join([*ordered, *(["None"] if "None" in kinds else [])])


def _type(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, tuple):
        inside = {_type(one) for one in value}
        return (
            f"tuple[{', '.join(_type(one) for one in value)}]"
            if len(value) <= 3
            else f"tuple[{' | '.join(sorted(inside))}, ...]"
        )
    if type(value).__name__ == "Code":
        return "type[nn.Module]"
    return type(value).__name__


@dataclass
class Forward:
    """Writes the forward of a form. A value that one call alone needs is written inside that call, if that is short."""

    form: Form
    body: Body
    lines: list[str] = field(default_factory=list)
    pending: list[tuple[str, str, int]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    uses: dict[str, int] = field(default_factory=dict)
    live: dict[str, str] = field(default_factory=dict)

    def write(self, steps: Any, inputs: Mapping[str, str], results: list[str]) -> tuple[list[str], list[str]]:
        """The lines, and the expressions of the results.

        inputs   reference -> the argument that holds it
        results  references of the results
        """
        self.names, self.live = dict(inputs), {word: reference for reference, word in inputs.items()}
        self.alias: dict[str, str] = {}
        ordered = [self.form.steps[name] for name in steps]
        wanted = [*results]
        for step in ordered:
            if not self._passes(step):
                wanted += step.inputs
        for reference in wanted:
            self.uses[self._key(reference, ordered)] = self.uses.get(self._key(reference, ordered), 0) + 1
        for step in ordered:
            self._step(step)
        found = self._results(results)
        return self.lines, found

    def _passes(self, step: Any) -> bool:
        return bool(step.kind == "pass")

    def _key(self, reference: str, ordered: Any) -> str:
        """The reference that a reference stands for: a node that passes its input on is its input."""
        passing = {step.name: step.inputs[0] for step in ordered if self._passes(step)}
        several = {step.name: step.several for step in ordered if step.several}
        while reference.partition(".")[0] in passing:
            reference = passing[reference.partition(".")[0]]
        name, _, rest = reference.partition(".")
        if name in several:
            return f"{name}.{rest or several[name][0]}"
        return name

    def _step(self, step: Any) -> None:
        if self._passes(step):
            return
        ordered = list(self.form.steps.values())
        keys = [self._key(reference, ordered) for reference in step.inputs]
        if step.kind == "parameter":
            self.names[step.name] = self.form.attribute(step.calls)
            return
        taken = self._arguments(keys, step)
        if step.kind == "function":
            text, weight = self._function(step, taken)
        else:
            inside = ", ".join(one for one, _ in taken)
            text, weight = f"{self.form.attribute(step.calls)}({inside})", 1 + sum(one for _, one in taken)
        if step.several:
            self._several(step, text)
        else:
            self.pending.append((step.name, text, weight))
            if self.uses.get(step.name, 0) != 1 or weight > 8 or (weight > 2 and self._is_activation(step)):
                self._flush()

    def _is_activation(self, step: Any) -> bool:
        """Whether a step ends what people read as one: convolution, norm, activation."""
        tree = self.form.children.get(step.calls)
        return isinstance(tree, Call) and getattr(nn, str(tree.function)[3:], None) in ACTIVATIONS

    def _function(self, step: Any, taken: list[tuple[str, int]]) -> tuple[str, int]:
        tree = self.form.texts[step.name]
        optional = isinstance(tree, Optional)
        parts: Text = tree.part if optional else tree
        text = parts.parts[0]
        for index, part in enumerate(parts.parts[1:]):
            number = self.body.numbers[step.name, index]
            if number.startswith("self.") and (text.endswith(":") or part.startswith(":")):
                # A slice with an attribute has spaces around its colon.
                text = f"{text[:-1].rstrip()} : " if text.endswith(":") and not text.endswith((", :", "[:")) else text
                part = f" : {part[1:]}" if part.startswith(":") and part[1:2] not in ("]", ",") else part
            text += number + part
        bare = text.strip()
        for index, (one, _) in enumerate(taken):
            mark = f"§{_letters(index)}§"
            whole = f"({one})" if _is_open(one) and _needs_brackets(bare, mark) else one
            text = text.replace(mark, whole)
        weight = 1 + sum(one for _, one in taken)
        if optional:
            return f"{text} if {self.body.flags[step.name]} else {taken[0][0]}", 9
        return text, weight

    def _arguments(self, keys: list[str], step: Any) -> list[tuple[str, int]]:
        """The expressions of a call's inputs: values that wait are written inside it, as far as their order allows."""
        twice = isinstance(self.form.texts.get(step.name), Optional)
        waiting = [name for name, _, _ in self.pending]
        wanted = [key for key in keys if key in waiting]
        inside = self.pending[len(self.pending) - len(wanted) :]
        weight, length = sum(one for _, _, one in inside), sum(len(text) for _, text, _ in inside)
        fits = weight <= (3 if len(keys) == 1 else 4) and length <= 84
        if wanted and (twice or not fits or [name for name, _, _ in inside] != wanted):
            self._flush()
            wanted, inside = [], []
        self.pending = self.pending[: len(self.pending) - len(wanted)]
        texts = {name: (text, one) for name, text, one in inside}
        for key in keys:
            self.uses[key] -= 1
        return [texts[key] if key in texts else (self.names[key], 0) for key in keys]

    def _results(self, references: list[str]) -> list[str]:
        keys = [self._key(one, list(self.form.steps.values())) for one in references]
        if len(keys) == 1 and self.pending and self.pending[-1][0] == keys[0]:
            *self.pending, (_, text, _) = self.pending
            self.uses[keys[0]] -= 1
            self._flush(beside=text)
            return [text]
        self._flush()
        found = [self.names[key] for key in keys]
        if len(keys) == 1 and self.lines and self.lines[-1].startswith(f"{found[0]} = "):
            return [self.lines.pop().removeprefix(f"{found[0]} = ")]
        return found

    def _several(self, step: Any, text: str) -> None:
        self._flush()
        words = []
        for output in step.several:
            key = f"{step.name}.{output}"
            if not self.uses.get(key):
                words.append("_")
                continue
            word = self._free(identifier(output if output != "output" else step.name))
            self.names[key], self.live[word] = word, key
            words.append(word)
        self.lines.append(f"{', '.join(words)} = {text}")

    def _flush(self, beside: str = "") -> None:
        """Write what waits as lines of its own. `beside` is an expression that is written after them."""
        waiting, self.pending = self.pending, []
        for index, (name, text, _) in enumerate(waiting):
            later = " ".join([*(one for _, one, _ in waiting[index + 1 :]), beside])
            word = self._variable(name, text, later)
            self.names[name], self.live[word] = word, name
            self.lines.append(f"{word} = {text}")

    def _variable(self, name: str, text: str, later: str) -> str:
        words = [word for word in self.live if _mentions(text, word)]
        for word in words:
            if not self.uses.get(self.live[word], 0) and not _mentions(later, word) and not self._waits(word):
                return word
        if self.uses.get(name, 0) == 1 and not self._busy("y", later):
            return "y"
        return self._free(identifier(name), later)

    def _waits(self, word: str) -> bool:
        return any(_mentions(text, word) for _, text, _ in self.pending)

    def _busy(self, word: str, later: str = "") -> bool:
        live = word in self.live and self.uses.get(self.live[word], 0) > 0
        return live or _mentions(later, word) or self._waits(word) or word in self.form_functions

    @property
    def form_functions(self) -> frozenset[str]:
        return TAKEN - {"x"}

    def _free(self, wanted: str, later: str = "") -> str:
        while self._busy(wanted, later):
            wanted += "_"
        return wanted


def _mentions(text: str, word: str) -> bool:
    import re

    return re.search(rf"(?<![\w.]){re.escape(word)}(?!\w|=[^=])", text) is not None


def _letters(index: int) -> str:
    from composer.ejecting.forms import _letter

    return _letter(index)


def _is_open(text: str) -> bool:
    """Whether an expression is a sum or the like, without brackets around it."""
    depth = 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == " " and depth == 0:
            return True
    return False


def _needs_brackets(text: str, mark: str) -> bool:
    """Whether what stands for the mark is an operand, or is followed by a dot, in this expression."""
    index = text.index(mark)
    after = text[index + len(mark) :]
    before = text[:index]
    depth = 0
    for letter in before:
        depth += (letter in "([{") - (letter in ")]}")
    if after[:1] in (".", "["):
        return True
    inside_call = before.rstrip().endswith(("(", "[", ","))
    return not (inside_call and (after[:1] in (",", ")", "]", "")))
