"""Writes a scope's forward as a person would write it: a line per call, few variables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from composer.compile.parts import modules
from composer.compile.writer import TAKEN, Step, Value, Writer, attribute, identifier, passes_outward
from composer.dag.outputs import in_eval
from composer.dag.scope import Scope
from composer.spec.sites import HEAD


def method(name: str, scope: Scope) -> list[str]:
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


def head(after: Scope) -> list[str]:
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


def _steps(
    scope: Scope, arriving: Sequence[Value], owner: str, opened: frozenset[str]
) -> tuple[list[Step], dict[str, Value]]:
    """The calls of a scope in order, and the value of each reference. Opened scopes appear as their own calls."""
    steps: list[Step] = []
    values = dict(zip(scope.inputs, arriving, strict=True))
    own = modules(scope)
    for name, node in scope.nodes.items():
        inputs = tuple(values[reference] for reference in node.inputs)
        content = node.content
        if isinstance(content, Scope) and node.path in opened:
            inside, known = _steps(content, inputs, attribute(owner, node.calls or name), opened)
            steps += inside
            values |= {f"{name}.{output}": known[reference] for output, reference in content.outputs.items()}
            values[name] = known[next(iter(content.outputs.values()))]
        elif content is None and name not in own:
            values[name] = inputs[0]
        else:
            step = Step(node, inputs, tuple(map(scope.tensor, node.inputs)), owner)
            steps.append(step)
            values[name] = Value(step.key)
            values |= {f"{name}.{key}": value for key, value in _parts(step)}
    return steps, values


def _parts(step: Step) -> Iterable[tuple[str, Value]]:
    """The outputs of a scope with several: keys of the dict that it returns, or tensors that it passes outward."""
    scope = step.node.content
    if not isinstance(scope, Scope):
        return
    main = scope.main_outputs
    for output in scope.outputs:
        if output not in main:
            # A module passes its tensors outward under its own name, whoever calls it.
            key = step.node.owner + _outward_key(scope, output).removeprefix(step.node.path)
            yield output, Value(step.outward, f'["{key}"]')
        else:
            yield output, Value(step.key, f'["{output}"]' if scope.gives_dict else "")


def _body(scope: Scope, words: Sequence[str], opened: frozenset[str] = frozenset()) -> list[str]:
    """The lines of a forward whose arguments are called `words`."""
    steps, values = _steps(scope, [Value(word) for word in words], "self", opened)
    main = {name: values[scope.outputs[name]] for name in scope.main_outputs}
    outward = {_outward_key(scope, name): values[scope.outputs[name]] for name in scope.outward}
    # Tensors that an inner scope passes outward are in `outward` already.
    outward = {key: value for key, value in outward.items() if value.key != "outward"}
    writer = Writer(steps, {word: word for word in words} | {"outward": "outward"}, outward)
    writer.uses.update(value.key for value in (*main.values(), *outward.values()))
    writer.uses.update(value.key for step in steps for value in step.inputs)
    made = any(passes_outward(step.node) and not step.node.calls for step in steps) and not scope.outward
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


def _arguments(inputs: Iterable[str]) -> list[str]:
    """Distinct names for the arguments of a forward; the usual name is `x`."""
    found: list[str] = []
    names = list(inputs)
    for name in names:
        word = "x" if name == "input" or len(names) == 1 else identifier(name)
        while word in TAKEN or word in found:
            word = f"{word}_"
        found.append(word)
    return found
