"""Writes a scope as Python: a plain nn.Module class with a forward as a person would write it. Makes no modules."""

from __future__ import annotations

import json
import keyword
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from textwrap import dedent
from typing import Any

from composer.dag.levels import features_of, split
from composer.dag.operation import Operation
from composer.dag.order import node_of
from composer.dag.outputs import in_eval
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.registry import FunctionEntry, ModuleEntry, ParameterEntry
from composer.spec.sites import HEAD

# Names that a variable in a forward must not take.
_TAKEN = frozenset({"self", "torch", "nn", "Tensor", "outward"})


def class_code(scope: Scope) -> str:
    """The text of the file that defines the class of a scope. For a scope that is not a plain chain."""
    # A chain is indexed also if it passes a tensor outward, takes one for a node inside, or holds what rules put in.
    base = "nn.Module" if not _is_indexed(scope) else "Chain" if beside(scope) else "nn.Sequential"
    methods = _method("forward", scope)
    if scope.attention is not None:
        methods += _method("forward_attention", _up_to(scope, scope.attention))
    return _file(scope, base, f"The block `{scope.block}` of a composed network.", methods)


def root_code(root: Scope) -> str:
    """The file that defines the class of a whole network, with `forward`, `forward_features` and `forward_head`."""
    methods = _method("forward", root)
    main = in_eval(root)
    if (features := features_of(main)) is not None:
        before, after = split(replace(main, named=False), features)
        methods += _method("forward_features", before)
        if after is not None and len(after.outputs) == 1:
            methods += _head(after)
    return _file(root, "ComposedModule", f"The network `{root.block}`, composed.", methods)


def forward_code(scope: Scope) -> str:
    """The forward of a scope alone, as in its class."""
    return dedent("\n".join(_method("forward", scope))).strip()


def _up_to(scope: Scope, reference: str) -> Scope:
    """The scope with a single output, and the nodes that it needs; inner scopes stay as they are."""
    needed = {node_of(reference)}
    for name in reversed(list(scope.nodes)):
        if name in needed:
            needed.update(map(node_of, scope.nodes[name].inputs))
    kept = {name: node for name, node in scope.nodes.items() if name in needed}
    return replace(scope, nodes=kept, outputs={"attention": reference}, exposed=frozenset())


def is_chain(scope: Scope) -> bool:
    """Whether each node is a module of its own that takes the output of the node before it and nothing else."""
    own = all(node.calls is None for node in scope.nodes.values()) and not (scope.held or scope.brought)
    return own and scope.attention is None and _is_sequence(scope, scope.nodes, list(scope.outputs))


def beside(scope: Scope) -> frozenset[str]:
    """Names of the modules that rules put among the scope's own, and of those that it only holds."""
    added = (name for name, node in scope.nodes.items() if node.place is not None and _is_module(node))
    return frozenset((*added, *scope.held))


def _is_indexed(scope: Scope) -> bool:
    """Whether the scope is a chain but for what rules put into it, passes outward or takes for a node inside."""
    own = {name: node for name, node in scope.nodes.items() if node.place is None}
    return _is_sequence(scope, own, scope.main_outputs)


def _is_sequence(scope: Scope, nodes: Mapping[str, Node], outputs: Sequence[str]) -> bool:
    """Whether these nodes of a scope are a chain; a node that is not among them stands for its first input."""

    def source(reference: str) -> str:
        name = node_of(reference)
        while name in scope.nodes and name not in nodes:
            name = node_of(scope.nodes[name].inputs[0])
        return name

    own = [name for name in scope.inputs if name not in scope.brought]
    current = own[0]
    for name, node in nodes.items():
        taken = [source(one) for one in node.inputs if one not in scope.brought]
        if not (_is_module(node) or node.content is None) or taken != [current]:
            return False
        current = name
    return len(own) == 1 and [source(scope.outputs[name]) for name in outputs] == [current]


def modules(scope: Scope) -> dict[str, Node]:
    """The nodes of a scope that become modules. A classifier that was left out becomes an nn.Identity.

    A node that calls the module of another is none.
    """
    used = {node_of(one) for node in scope.nodes.values() for one in node.inputs} | set(scope.outputs.values())
    return {
        name: node
        for name, node in scope.parts.items()
        if (_is_module(node) and node.calls is None) or (node.content is None and HEAD in node.sites and name in used)
    }


def _is_module(node: Node) -> bool:
    return isinstance(node.content, Scope) or isinstance(node.entry, ModuleEntry)


def identifier(text: str) -> str:
    """The text as a valid Python name."""
    word = "".join(character if f"_{character}".isidentifier() else "_" for character in text)
    return word if word.isidentifier() and not keyword.iskeyword(word) else f"_{word}"


def _file(scope: Scope, base: str, doc: str, methods: Sequence[str]) -> str:
    body = "\n".join(methods)
    imports = ["import torch"] if "torch." in body else []
    imports += ["from torch import Tensor, nn" if base.startswith("nn.") else "from torch import Tensor"]
    ours = [f"from composer import {base}"] if not base.startswith("nn.") else []
    called = {node.op: node.content for node in scope.walk() if _is_called(node) and f" {node.op}(" in body}
    ours += [_import(name, content) for name, content in sorted(called.items())]
    imports += ["", *ours] if ours else []
    return (
        "\n".join([*imports, "", "", f"class {identifier(scope.block)}({base}):", f'    """{_text(doc)}"""', body])
        + "\n"
    )


def _text(words: str) -> str:
    """Text of a spec, escaped for generated code, so that it can end neither the string nor the line."""
    return words.encode("unicode_escape").decode().replace('"', "'")


def _import(name: str, operation: Any) -> str:
    plugin = operation.entry.plugin.name
    # The comment names the plugin, for the error if it is missing when the network is loaded.
    return f"from composer.functions import {name}" + (f"  # plugin: {_text(plugin)}" if plugin != "composer" else "")


def _is_called(node: Node) -> bool:
    """Whether the forward calls a function of the registry by name."""
    return isinstance(node.entry, FunctionEntry) and node.entry.code is None


def _method(name: str, scope: Scope) -> list[str]:
    words = _arguments(scope.inputs)
    arguments = ["self", *(f"{word}: Tensor" for word in words)]
    if scope.outward:
        arguments.append("outward: dict[str, Tensor]")
    returns = "dict[str, Tensor]" if scope.gives_dict else "Tensor"
    body = _body(scope, words)
    if scope.training:
        main = in_eval(scope)
        returns = returns if main.gives_dict else f"Tensor | {returns}"
        body = ["if self.training:", *(f"    {line}" for line in body), *_body(main, words)]
    return ["", f"    def {name}({', '.join(arguments)}) -> {returns}:", *(f"        {line}" for line in body)]


def _head(after: Scope) -> list[str]:
    """Lines of `forward_head`. With `pre_logits` it skips the classifiers, and averages if they are averaged."""
    words = _arguments(after.inputs)
    lines = ["", f"    def forward_head(self, {words[0]}: Tensor, pre_logits: bool = False) -> Tensor:"]
    headless, opened = _without_heads(after)
    if headless is not after:
        lines += ["        if pre_logits:", *(f"            {line}" for line in _body(headless, words, opened))]
    return [*lines, *(f"        {line}" for line in _body(after, words))]


def _without_heads(scope: Scope) -> tuple[Scope, frozenset[str]]:
    """The scope with classifiers that pass their input on, and the paths of the inner scopes that changed."""
    nodes = dict(scope.nodes)
    opened: set[str] = set()
    for name, node in scope.nodes.items():
        if HEAD in node.sites:
            nodes[name] = replace(node, content=None, sites=())
        elif isinstance(node.content, Scope):
            inner, inside = _without_heads(node.content)
            if inner is not node.content:
                nodes[name] = replace(node, content=inner)
                opened |= {*inside, node.path}
    changed = any(nodes[name] is not node for name, node in scope.nodes.items())
    return (replace(scope, nodes=nodes) if changed else scope), frozenset(opened)


def _outward_key(scope: Scope, output: str) -> str:
    """The path of the node whose tensor an output passes outward."""
    name, _, inner = scope.outputs[output].partition(".")
    content = scope.nodes[name].content if name in scope.nodes else None
    if inner and isinstance(content, Scope) and inner in content.outward:
        return _outward_key(content, inner)
    return f"{scope.path}.{name}"


@dataclass(frozen=True)
class _Value:
    """A tensor in a forward: the step that gives it, and the suffix that reads it (`["left"]` of a dict)."""

    key: str
    suffix: str = ""


@dataclass(frozen=True)
class _Step:
    """A call in a forward. `owner` is the module that holds the node: `self`, or a path from `self`."""

    node: Node
    inputs: tuple[_Value, ...]
    specs: tuple[TensorSpec, ...]
    owner: str

    @property
    def key(self) -> str:
        return f"{self.owner}.{self.node.name}"

    @property
    def module(self) -> str:
        """The expression of the module that it calls, or of the parameter that it reads."""
        return _attribute(self.owner, self.node.calls or self.node.name)

    @property
    def outward(self) -> str:
        """The dict in which its module passes tensors outward: a further call of a module has one of its own."""
        return "outward" if self.node.calls is None else f"{self.key}.outward"


def _steps(
    scope: Scope, arriving: Sequence[_Value], owner: str, opened: frozenset[str]
) -> tuple[list[_Step], dict[str, _Value]]:
    """The calls of a scope in order, and the value of each reference. Opened scopes appear as their own calls."""
    steps: list[_Step] = []
    values = dict(zip(scope.inputs, arriving, strict=True))
    own = modules(scope)
    for name, node in scope.nodes.items():
        inputs = tuple(values[reference] for reference in node.inputs)
        content = node.content
        if isinstance(content, Scope) and node.path in opened:
            inside, known = _steps(content, inputs, _attribute(owner, node.calls or name), opened)
            steps += inside
            values |= {f"{name}.{output}": known[reference] for output, reference in content.outputs.items()}
            values[name] = known[next(iter(content.outputs.values()))]
        elif content is None and name not in own:
            values[name] = inputs[0]
        else:
            step = _Step(node, inputs, tuple(map(scope.tensor, node.inputs)), owner)
            steps.append(step)
            values[name] = _Value(step.key)
            values |= {f"{name}.{key}": value for key, value in _parts(step)}
    return steps, values


def _parts(step: _Step) -> Iterable[tuple[str, _Value]]:
    """The outputs of a scope with several: keys of the dict that it returns, or tensors that it passes outward."""
    scope = step.node.content
    if not isinstance(scope, Scope):
        return
    main = scope.main_outputs
    for output in scope.outputs:
        if output not in main:
            # A module passes its tensors outward under its own name, whoever calls it.
            key = step.node.owner + _outward_key(scope, output).removeprefix(step.node.path)
            yield output, _Value(step.outward, f'["{key}"]')
        else:
            yield output, _Value(step.key, f'["{output}"]' if scope.gives_dict else "")


def _body(scope: Scope, words: Sequence[str], opened: frozenset[str] = frozenset()) -> list[str]:
    """The lines of a forward whose arguments are called `words`."""
    steps, values = _steps(scope, [_Value(word) for word in words], "self", opened)
    main = {name: values[scope.outputs[name]] for name in scope.main_outputs}
    outward = {_outward_key(scope, name): values[scope.outputs[name]] for name in scope.outward}
    # Tensors that an inner scope passes outward are in `outward` already.
    outward = {key: value for key, value in outward.items() if value.key != "outward"}
    writer = _Writer(steps, {word: word for word in words} | {"outward": "outward"}, outward)
    writer.uses.update(value.key for value in (*main.values(), *outward.values()))
    writer.uses.update(value.key for step in steps for value in step.inputs)
    made = any(_passes_outward(step.node) and not step.node.calls for step in steps) and not scope.outward
    lines = ["outward: dict[str, Tensor] = {}"] if made else []
    lines += [line for word in words for line in writer.pass_outward(word)]
    for index in range(len(steps)):
        lines += writer.write(index)
    result = [writer.read(value) for value in main.values()]
    if scope.gives_dict:
        keys = [json.dumps(name, ensure_ascii=False) for name in main]
        pairs = ", ".join(f"{key}: {text}" for key, text in zip(keys, result, strict=True))
        return [*lines, f"return {{{pairs}}}"]
    last = lines[-1] if lines else ""
    start = f"{result[0]} = "
    # Return the last call directly.
    if last.startswith(start) and steps and steps[-1].key == next(iter(main.values())).key:
        return [*lines[:-1], f"return {last.removeprefix(start)}"]
    return [*lines, f"return {result[0]}"]


def _passes_outward(node: Node) -> bool:
    return isinstance(node.content, Scope) and bool(node.content.outward)


@dataclass
class _Writer:
    """Writes calls, one line per call. Reuses a variable once its value is not needed any more.

    names    value -> the expression that reads it
    outward  key in `outward` -> the value that the scope passes outward
    uses     value -> how many more times it is needed
    holds    variable -> the value that was last assigned to it
    """

    steps: Sequence[_Step]
    names: dict[str, str]
    outward: Mapping[str, _Value]
    uses: Counter[str] = field(default_factory=Counter)
    holds: dict[str, str] = field(init=False)
    outwards: frozenset[str] = field(init=False)
    takers: dict[str, list[_Step]] = field(init=False)
    reserved: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.holds = {name: key for key, name in self.names.items()}
        self.takers = {}
        for step in self.steps:
            for value in step.inputs:
                self.takers.setdefault(value.key, []).append(step)
        self.outwards = frozenset(step.outward for step in self.steps)
        self.reserved = _TAKEN | {step.node.op for step in self.steps if _is_called(step.node)}

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

    def own_outward(self, step: _Step) -> list[str]:
        """The line that makes the dict for what a further call of a module passes outward, if anything needs it."""
        if step.node.calls is None or not self.uses[step.outward]:
            return []
        name = self.names[step.outward] = self.hold(self.free(f"{identifier(step.node.name)}_outward"), step.outward)
        return [f"{name}: dict[str, Tensor] = {{}}"]

    def pass_outward(self, key: str, *, own: bool = True) -> list[str]:
        found = [(name, value) for name, value in self.outward.items() if own and value.key == key]
        self.uses.subtract(value.key for _, value in found)
        return [f'outward["{name}"] = {self.read(value)}' for name, value in found]

    def read(self, value: _Value) -> str:
        return self.names[value.key] + value.suffix

    def call(self, step: _Step) -> str:
        arguments = [self.read(value) for value in step.inputs]
        content = step.node.content
        if isinstance(content, Operation) and isinstance(content.entry, FunctionEntry):
            return content.entry.call(arguments, step.specs, content.options)
        extra = [f"outward={self.names.get(step.outward, '{}')}"] if _passes_outward(step.node) else []
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


def _attribute(owner: str, name: str) -> str:
    return f"{owner}.{name}" if name.isidentifier() and not keyword.iskeyword(name) else f'getattr({owner}, "{name}")'


def _arguments(inputs: Iterable[str]) -> list[str]:
    """Distinct names for the arguments of a forward; the usual name is `x`."""
    found: list[str] = []
    names = list(inputs)
    for name in names:
        word = "x" if name == "input" or len(names) == 1 else identifier(name)
        while word in _TAKEN or word in found:
            word = f"{word}_"
        found.append(word)
    return found
