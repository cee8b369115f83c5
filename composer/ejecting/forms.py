"""Blocks of one form, which become one class: the same nodes in the same order, with other numbers."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from composer.compile.inplace import overwriting
from composer.compile.parts import modules
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.ejecting.blocks import by_block, counted, is_sequence
from composer.ejecting.fit import Argument, identifier
from composer.ejecting.layers import Makers, of_parameter
from composer.ejecting.tree import ABSENT, Call, Column, Different, Layers, Optional, Text, join, outline
from composer.registry import FunctionEntry, ParameterEntry
from composer.spec.sites import HEAD

# Parts that blocks of one class may lack: with more of them, a class for each kind reads better.
_CHOICES = 3
_NUMBER = re.compile(r"(?<![\w.\"'])\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.\"'])")


@dataclass(frozen=True)
class Step:
    """A call in the forward of a form.

    kind    `module`, `parameter`, `function`, or `pass` for a node that gives its first input on
    calls   name of the node whose module it calls
    several names of its outputs, if it has several
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    calls: str
    several: tuple[str, ...] = ()


@dataclass
class Instance:
    """A block of the network: its parts by name (ABSENT where a node is left out), and its steps."""

    scope: Scope
    children: dict[str, Any]
    texts: dict[str, Any]
    steps: dict[str, Step]

    @property
    def outline(self) -> Hashable:
        return (
            _ends(self.scope),
            *((name, None if one is ABSENT else outline(one)) for name, one in self.children.items()),
            *((name, None if one is ABSENT else one.parts) for name, one in self.texts.items()),
            *self.steps.values(),
        )


@dataclass
class Form:
    """A class of the file.

    children  name -> tree of what makes it, or Optional
    texts     name of a node that calls a function -> its expression, or Optional
    remarks   name -> what a comment says of it
    """

    name: str
    instances: list[Instance]
    children: dict[str, Any]
    texts: dict[str, Any]
    steps: dict[str, Step]
    arguments: list[Argument] = field(default_factory=list)
    remarks: dict[str, str] = field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        return self.instances[0].scope

    @property
    def base(self) -> str:
        """The class that it extends: one that holds layers by number or name, if attributes cannot be called so."""
        if all(identifier(name) == name for name in self.children) or any(map(_is_parameter, self.children.values())):
            return "nn.Module"
        if list(self.children) == [str(index) for index in range(len(self.children))]:
            return "nn.ModuleList"
        return "nn.ModuleDict"

    def attribute(self, name: str) -> str:
        """The expression of a child."""
        if self.base == "nn.ModuleList":
            return f"self[{name}]"
        if identifier(name) == name:
            return f"self.{name}"
        return f'self["{name}"]' if self.base == "nn.ModuleDict" else f'self.get_submodule("{name}")'

    def call(self, index: int) -> Call:
        """The call that makes one of its blocks."""
        given = {one.name: one.values[index] for one in self.arguments}
        plain = sum(one.default is ABSENT for one in self.arguments)
        defaults = {one.name: one.default for one in self.arguments if one.default is not ABSENT}
        return Call(self.name, given, defaults, min(plain, 3))


@dataclass
class Forms:
    """Finds the forms of a network, the innermost first.

    makers  makes the calls of operations
    named   a name for a class that nothing else in the file has
    """

    makers: Makers
    root: Scope
    names: Any
    found: list[Form] = field(default_factory=list)
    calls: dict[int, Call] = field(default_factory=dict)
    on_form: Any = None
    counts: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = counted(self.root)

    def read(self) -> list[Form]:
        """Every form of the network; the last is the network itself."""
        for scopes in by_block(self.root, self.counts):
            groups = _grouped([self.instance(scope) for scope in scopes])
            for number, group in enumerate(groups):
                form = self.form(group, number, len(groups))
                self.found.append(form)
                self.on_form(form)
                for index, instance in enumerate(group):
                    self.calls[id(instance.scope)] = form.call(index)
        return self.found

    def form(self, group: list[Instance], number: int, count: int) -> Form:
        children, texts, steps = joined(group)
        is_root = group[0].scope is self.root
        name = self.names.of_root() if is_root else self.names.of_form([one.scope for one in group], number, count)
        return Form(name, group, children, texts, steps, remarks=self.names.remarks([one.scope for one in group]))

    def instance(self, scope: Scope) -> Instance:
        own = modules(scope)
        overwrites = set(overwriting(scope))
        children: dict[str, Any] = {}
        texts: dict[str, Any] = {}
        steps: dict[str, Step] = {}
        written = self.written(scope)
        for name, node in scope.parts.items():
            if name in written:
                continue
            if name in own or (isinstance(node.entry, ParameterEntry) and node.calls is None):
                children[name] = self.child(node, overwrites=name in overwrites)
        for name, node in scope.nodes.items():
            kind = written.get(name) or _kind(node, name in own)
            if kind == "function":
                texts[name] = self.text(scope, node)
            elif kind == "pass":
                # Other blocks of the form may have something here.
                texts.setdefault(name, ABSENT)
            content = node.content
            several = tuple(content.outputs) if isinstance(content, Scope) and len(content.outputs) > 1 else ()
            steps[name] = Step(name, kind, node.inputs, node.calls or name, several)
        return Instance(scope, children, texts, steps)

    def written(self, scope: Scope) -> dict[str, str]:
        """Modules of a scope that need no layer: those that change nothing, and those that are an expression."""
        called = {node.calls for node in scope.nodes.values()}
        found = {}
        for name, node in scope.nodes.items():
            content = node.content
            if (
                not isinstance(content, Operation)
                or not node.owns
                or name in called
                or node.calls
                or HEAD in node.sites
            ):
                continue
            if content.entry.name == "identity" and content.entry.is_own:
                found[name] = "pass"
            elif self.makers.expression(content) is not None:
                found[name] = "function"
        return found

    def child(self, node: Node, *, overwrites: bool) -> Any:
        content = node.content
        if content is None:
            return Call("nn.Identity", {})
        if not node.owns:
            # What is called there is told at the end of the network's `__init__`.
            return Call("nn.Identity", {})
        if isinstance(content, Scope):
            return self.value_of(content)
        if isinstance(content.entry, ParameterEntry):
            return of_parameter({**_defaults(content), **content.arguments})
        call = self.makers.call(content, overwrites=overwrites)
        return self.names.of_head(node, call) if HEAD in node.sites else call

    def value_of(self, scope: Scope) -> Any:
        if not is_sequence(scope, self.counts):
            return self.calls[id(scope)]
        overwrites = set(overwriting(scope))
        own = modules(scope)
        return Layers(
            {name: self.child(node, overwrites=name in overwrites) for name, node in scope.parts.items() if name in own}
        )

    def text(self, scope: Scope, node: Node) -> Text:
        content = node.content
        assert isinstance(content, Operation)
        expression = self.makers.expression(content)
        if expression is not None:
            return _cut(expression)
        assert isinstance(content.entry, FunctionEntry)
        names = [f"§{_letter(index)}§" for index in range(len(node.inputs))]
        written = self.makers.written(content, names, tuple(map(scope.tensor, node.inputs)))
        return _cut(written)


def _cut(written: str) -> Text:
    numbers = [_number(one) for one in _NUMBER.findall(written)]
    return Text(tuple(_NUMBER.split(written)), tuple(numbers))


def _letter(index: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[index] if index < 26 else f"{_letter(index // 26 - 1)}{_letter(index % 26)}"


def _number(text: str) -> int | float:
    return int(text) if text.isdigit() else float(text)


def _defaults(operation: Operation) -> dict[str, Any]:
    return {name: field.default for name, field in operation.entry.options.model_fields.items()}


def _kind(node: Node, is_module: bool) -> str:
    content = node.content
    if isinstance(node.entry, ParameterEntry):
        return "parameter"
    if content is None:
        return "module" if is_module else "pass"
    if isinstance(node.entry, FunctionEntry):
        return "function"
    return "module"


def joined(group: Sequence[Instance]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Step]]:
    """The trees of children, the expressions, and the steps of blocks of one form. Raises Different."""
    first = group[0]
    if any(list(one.steps) != list(first.steps) or _ends(one.scope) != _ends(first.scope) for one in group):
        raise Different
    names = list(dict.fromkeys(name for one in group for name in one.children))
    order = [name for name in first.scope.parts if name in names]
    if sorted(order) != sorted(names):
        raise Different
    children = {name: _part(name, [one.children.get(name, ABSENT) for one in group]) for name in order}
    if any(isinstance(one, Optional) and _is_parameter(one.part) for one in children.values()):
        raise Different
    steps = {name: _step([one.steps[name] for one in group]) for name in first.steps}
    texts = {
        name: _part(name, [one.texts.get(name, ABSENT) for one in group])
        for name, step in steps.items()
        if step.kind == "function"
    }
    for name, one in children.items():
        if isinstance(one, Optional) and name in steps and len(steps[name].inputs) != 1:
            raise Different
    if sum(isinstance(one, Optional) for one in (*children.values(), *texts.values())) > _CHOICES:
        raise Different
    return children, texts, steps


def _is_parameter(tree: Any) -> bool:
    return isinstance(tree, Call) and tree.function == "nn.Parameter"


def _ends(scope: Scope) -> Hashable:
    return (*scope.inputs, *scope.outputs.items(), *scope.main_outputs)


def _step(steps: Sequence[Step]) -> Step:
    there = [one for one in steps if one.kind != "pass"]
    if any(one != there[0] for one in there):
        raise Different
    found = there[0] if there else steps[0]
    if any(one.inputs[:1] != found.inputs[:1] for one in steps):
        raise Different
    return found


def _part(name: str, values: Sequence[Any]) -> Any:
    there = tuple(value is not ABSENT for value in values)
    tree = join(values, name, name)
    return tree if all(there) else Optional(Column(there, "", f"has_{name}"), tree)


def _grouped(instances: Sequence[Instance]) -> list[list[Instance]]:
    """The blocks in groups of one form each, in the order of the network."""
    buckets: dict[Hashable, list[Instance]] = {}
    for one in instances:
        buckets.setdefault(one.outline, []).append(one)
    groups: list[list[Instance]] = []
    for bucket in (part for one in buckets.values() for part in _joinable(one)):
        for index, group in enumerate(groups):
            try:
                joined([*group, *bucket])
            except Different:
                continue
            groups[index] = [*group, *bucket]
            break
        else:
            groups.append(bucket)
    return groups


def _joinable(bucket: list[Instance]) -> list[list[Instance]]:
    """The blocks as one list if one class can be written for them, or else each by itself."""
    try:
        joined(bucket)
    except Different:
        return [[one] for one in bucket]
    return [bucket]


def words_of(instances: Sequence[Instance]) -> list[Argument]:
    """What columns of a form may be written with: channels of the inputs, arguments of the block, its vars."""
    first = instances[0].scope
    atoms: list[Argument] = []
    for index, name in enumerate(first.inputs):
        channels = tuple(one.scope.inputs[list(one.scope.inputs)[index]].channels for one in instances)
        if None not in channels:
            atoms.append(Argument("channels" if index == 0 else f"{identifier(name)}_channels", channels))
    for name in first.words:
        values = tuple(one.scope.words.get(name) for one in instances)
        if all(isinstance(one, bool | int | float | str | None.__class__) for one in values):
            atoms.append(Argument(identifier(name), values))
    taken: dict[str, Argument] = {}
    for atom in atoms:
        taken.setdefault(atom.name, atom)
    return list(taken.values())
