"""Writes the calls of a forward, one line per call, and reuses a variable once its value is not needed any more."""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.registry import FunctionEntry, ParameterEntry

# Names that a variable in a forward must not take.
TAKEN = frozenset({"self", "torch", "nn", "Tensor", "outward"})


def identifier(text: str) -> str:
    """The text as a valid Python name."""
    word = "".join(character if f"_{character}".isidentifier() else "_" for character in text)
    return word if word.isidentifier() and not keyword.iskeyword(word) else f"_{word}"


def is_called(node: Node) -> bool:
    """Whether the forward calls a function of the registry by name."""
    return isinstance(node.entry, FunctionEntry) and node.entry.code is None


@dataclass(frozen=True)
class Value:
    """A tensor in a forward: the step that gives it, and the suffix that reads it (`["left"]` of a dict)."""

    key: str
    suffix: str = ""


@dataclass(frozen=True)
class Step:
    """A call in a forward. `owner` is the module that holds the node: `self`, or a path from `self`."""

    node: Node
    inputs: tuple[Value, ...]
    specs: tuple[TensorSpec, ...]
    owner: str

    @property
    def key(self) -> str:
        return f"{self.owner}.{self.node.name}"

    @property
    def module(self) -> str:
        """The expression of the module that it calls, or of the parameter that it reads."""
        return attribute(self.owner, self.node.calls or self.node.name)

    @property
    def outward(self) -> str:
        """The dict in which its module passes tensors outward: a further call of a module has one of its own."""
        return "outward" if self.node.calls is None else f"{self.key}.outward"


def passes_outward(node: Node) -> bool:
    return isinstance(node.content, Scope) and bool(node.content.outward)


@dataclass
class Writer:
    """Writes calls, one line per call. Reuses a variable once its value is not needed any more.

    names    value -> the expression that reads it
    outward  key in `outward` -> the value that the scope passes outward
    uses     value -> how many more times it is needed
    holds    variable -> the value that was last assigned to it
    """

    steps: Sequence[Step]
    names: dict[str, str]
    outward: Mapping[str, Value]
    uses: Counter[str] = field(default_factory=Counter)
    holds: dict[str, str] = field(init=False)
    outwards: frozenset[str] = field(init=False)
    takers: dict[str, list[Step]] = field(init=False)
    reserved: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.holds = {name: key for key, name in self.names.items()}
        self.takers = {}
        for step in self.steps:
            for value in step.inputs:
                self.takers.setdefault(value.key, []).append(step)
        self.outwards = frozenset(step.outward for step in self.steps)
        self.reserved = TAKEN | {step.node.op for step in self.steps if is_called(step.node)}

    def write(self, index: int) -> list[str]:
        """The lines of a call."""
        step = self.steps[index]
        if isinstance(step.node.entry, ParameterEntry):
            self.names[step.key] = step.module
            return []
        lines = self.own_outward(step)
        expression = self.call(step)
        self.uses.subtract(value.key for value in step.inputs)
        self.names[step.key] = self.variable(index)
        # A line that calls a function names its node in a comment.
        comment = f"  # {step.node.name}" if isinstance(step.node.entry, FunctionEntry) else ""
        lines.append(f"{self.names[step.key]} = {expression}{comment}")
        return [*lines, *self.pass_outward(step.key), *self.pass_outward(step.outward, own=step.node.calls is not None)]

    def own_outward(self, step: Step) -> list[str]:
        """The line that makes the dict for what a further call of a module passes outward, if anything needs it."""
        if step.node.calls is None or not self.uses[step.outward]:
            return []
        name = self.names[step.outward] = self.hold(self.free(f"{identifier(step.node.name)}_outward"), step.outward)
        return [f"{name}: dict[str, Tensor] = {{}}"]

    def pass_outward(self, key: str, *, own: bool = True) -> list[str]:
        found = [(name, value) for name, value in self.outward.items() if own and value.key == key]
        self.uses.subtract(value.key for _, value in found)
        return [f'outward["{name}"] = {self.read(value)}' for name, value in found]

    def read(self, value: Value) -> str:
        return self.names[value.key] + value.suffix

    def call(self, step: Step) -> str:
        arguments = [self.read(value) for value in step.inputs]
        content = step.node.content
        if isinstance(content, Operation) and isinstance(content.entry, FunctionEntry):
            return content.entry.call(arguments, step.specs, content.options)
        extra = [f"outward={self.names.get(step.outward, '{}')}"] if passes_outward(step.node) else []
        return f"{step.module}({', '.join([*arguments, *extra])})"

    def variable(self, index: int) -> str:
        """The variable for the result of a call: that of an input that is not needed any more, or else a free one."""
        step = self.steps[index]
        for value in step.inputs:
            name = self.names[value.key]
            if self.holds.get(name) == value.key and not self.is_live(name) and value.key not in self.outwards:
                return self.hold(name, step.key)
        wanted = identifier(step.node.name)
        if self.goes_on(step.key) and not self.is_live("y"):
            wanted = "y"
        return self.hold(self.free(wanted), step.key)

    def free(self, wanted: str) -> str:
        """The name, with underscores behind it if another variable has it."""
        while wanted in self.reserved or self.is_live(wanted):
            wanted += "_"
        return wanted

    def hold(self, name: str, key: str) -> str:
        self.holds[name] = key
        return name

    def is_live(self, name: str) -> bool:
        return name in self.holds and self.uses[self.holds[name]] > 0

    def goes_on(self, key: str) -> bool:
        """Whether the next call is the only user of a value, and takes no other input."""
        takers = self.takers.get(key, [])
        return len(takers) == 1 and self.uses[key] == 1 and len(takers[0].inputs) == 1


def attribute(owner: str, name: str) -> str:
    return f"{owner}.{name}" if name.isidentifier() and not keyword.iskeyword(name) else f'getattr({owner}, "{name}")'
