"""What can be wrong with a spec before anything is known about plugins: a table of small checks, all torch-free."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from composer.errors import Diagnostic, did_you_mean, one_of
from composer.spec.expression import ExpressionError, is_dynamic, parse, parse_template
from composer.spec.model import NODE_KEYS, POSITIONS, BlockSpec, NodeSpec, Rule, SpecFile
from composer.spec.origin import Origin, walk_strings

if TYPE_CHECKING:
    from composer.spec.load import Spec

ARRIVING = ("channels", "height", "width", "tokens")
PLACE = ("stage", "block", "depth", "last", *ARRIVING, "kernel_size", "stride", "groups", "op", "path")
REPEATED = ("index", "repeat")
MAX_DEPTH = 64

Problems = Iterator[Diagnostic]


def check_file(file: SpecFile, origin: Origin) -> list[Diagnostic]:
    """What is wrong with one file by itself."""
    return list(_parts(file, origin)) + list(_rules(file, origin))


def check_spec(spec: Spec) -> list[Diagnostic]:
    """What is wrong once references are settled: names in expressions, blocks, arguments, inputs of nodes."""
    problems = list(_scope(spec, spec.nodes, tuple(spec.inputs), spec.body, set(spec.vars) | set(spec.inputs)))
    for name, block in spec.blocks.items():
        here = spec.body / "blocks" / name
        names = set(spec.vars) | set(block.args) | set(block.inputs)
        for var, value in block.vars.items():
            problems += _expressions(value, here / "vars" / var, names)
            names.add(var)
        problems += _scope(spec, block.nodes, tuple(block.inputs), here, names)
        problems += _outputs(block.outputs, block.nodes, here / "outputs")
    problems += _recursion(spec)
    outputs_file = next((file for file in spec.files if file.content.outputs is not None), None)
    if outputs_file is not None:
        problems += _outputs(spec.outputs, spec.nodes, outputs_file.origin / "outputs")
    for rule, origin in spec.rules:
        problems += _expressions(rule.options, origin / "with", set(spec.vars) | set(PLACE))
    for name, value in spec.inputs.items():
        inputs_origin = spec.body / ("input" if name == "input" else "inputs")
        problems += _expressions(value.shape, inputs_origin, set(spec.vars))
    return problems


def _parts(file: SpecFile, origin: Origin) -> Problems:
    if file.nodes is not None and file.backbone is not None:
        help = ("keep `backbone` and change it with `attention` rules, or keep `nodes` and drop `backbone`",)
        yield (origin / "backbone").problem("both", "a spec has `nodes` or a `backbone`, not both", help=help, key=True)
    if file.nodes is None and file.backbone is None:
        yield origin.problem("neither", "a spec needs `nodes` or a `backbone`", "one of the two")
    if file.nodes is not None and not file.nodes:
        yield (origin / "nodes").problem("empty", "`nodes` is empty", "at least one node")
    if file.backbone is not None and file.blocks:
        yield (origin / "blocks").problem(
            "unused", "`blocks` belong to a spec with `nodes`", "no blocks here", key=True
        )
    if file.input is not None and file.inputs is not None:
        yield (origin / "inputs").problem("both", "a spec has `input` or `inputs`, not both", key=True)
    for scope, nodes in [
        (origin, file.nodes or {}),
        *((origin / "blocks" / n, b.nodes) for n, b in file.blocks.items()),
    ]:
        for name, node in nodes.items():
            yield from _name(name, scope / "nodes" / name)
            yield from _form(node, scope / "nodes" / name)


def _name(name: str, origin: Origin) -> Problems:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]{1,9}", name) or keyword.iskeyword(name) or len(name) > 100:
        label = "letters, digits and `_`, not a Python keyword: it becomes an attribute and a state_dict key"
        yield origin.problem("name", f"`{name}` cannot name a node", label, key=True)


def _form(node: NodeSpec, origin: Origin) -> Problems:
    if (node.op is None) == (node.block is None):
        found = "both `op` and `block`" if node.op else "neither `op` nor `block`"
        yield origin.problem("form", f"the node has {found}", "exactly one of them", key=True)
    if node.op is not None and node.args:
        help = ("write an operation's options as keys of the node itself",)
        yield (origin / "args").problem("form", "`args` belong to a `block`, this is an `op`", help=help, key=True)
    if node.block is not None:
        for option in node.options:
            hint = did_you_mean(option, NODE_KEYS, "arguments of a block go under `args`")
            yield (origin / option).problem("unknown-key", f"unknown key `{option}`", "not a key here", hint, key=True)
    if node.child_name is not None and node.repeat is None:
        yield (origin / "as").problem("form", "`as` names the children of a `repeat`", "`repeat:` too", key=True)


def _rules(file: SpecFile, origin: Origin) -> Problems:
    for index, rule in enumerate(file.attention):
        here = origin / "attention" / index
        if len(rule.positions) != 1:
            found = ", ".join(f"`{name}`" for name in rule.positions) or "no position"
            yield here.problem("rule-position", f"the rule has {found}", f"exactly one of {one_of(POSITIONS)}")
            continue
        if rule.position == "remove":
            for name in ("use", "with", "name", "start", "tokens"):
                if name in {
                    field.alias or key for key, field in Rule.model_fields.items() if key in rule.model_fields_set
                }:
                    yield (here / name).problem("rule-remove", f"`remove` stands alone, without `{name}`", key=True)
        elif rule.use is None:
            yield here.problem("missing-key", "the rule does not say what to `use`", "`use: <mechanism>`")
        if rule.name is not None:
            yield from _name(rule.name, here / "name")
        if isinstance(rule.where, str):
            yield from _where(rule.where, here / "where")


def _where(text: str, origin: Origin) -> Problems:
    try:
        parse(text[2:-1] if text.startswith("${") and text.endswith("}") else text)
    except ExpressionError as error:
        yield origin.expression_problem(error)


def _scope(
    spec: Spec, nodes: Mapping[str, NodeSpec], inputs: tuple[str, ...], origin: Origin, names: set[str]
) -> Problems:
    known = {*nodes, *inputs}
    for name, node in nodes.items():
        here = origin / "nodes" / name
        if name in inputs:
            yield here.problem("name", f"`{name}` already names an input of this scope", "another name", key=True)
        for index, source in enumerate(node.sources or []):
            if source.partition(".")[0] not in known:
                hint = did_you_mean(source, known, f"the nodes here are {one_of(known)}")
                where = here / "from" / index if _is_list(spec, here / "from") else here / "from"
                yield where.problem("unknown-node", f"there is no node `{source}` here", "a node of this scope", hint)
        visible = names | (set(REPEATED) if node.repeat is not None else set())
        yield from _expressions(node.repeat, here / "repeat", names | set(ARRIVING))
        yield from _expressions(node.child_name, here / "as", visible | set(ARRIVING))
        for key, value in [("op", node.op), ("block", node.block), ("when", node.when), ("args", node.args)]:
            yield from _expressions(value, here / key, visible | set(ARRIVING))
        for option, value in node.options.items():
            yield from _expressions(value, here / option, visible | set(ARRIVING))
        if node.block is not None and not is_dynamic(node.block):
            yield from _instance(spec, node, here)


def _is_list(spec: Spec, origin: Origin) -> bool:
    value: Any = origin.document.plain()
    for step in origin.path:
        value = value[step]
    return isinstance(value, list)


def _instance(spec: Spec, node: NodeSpec, origin: Origin) -> Problems:
    block = spec.blocks.get(node.block or "")
    if block is None:
        hint = did_you_mean(node.block, spec.blocks, f"the blocks are {one_of(spec.blocks)}")
        yield (origin / "block").problem(
            "unknown-block", f"unknown block `{node.block}`", "not a block of this spec", hint
        )
        return
    yield from check_arguments(node.block or "", block, node.args, origin)


def check_arguments(name: str, block: BlockSpec, args: Mapping[str, Any], origin: Origin) -> Problems:
    """Arguments a block does not have, and required ones that are missing."""
    for arg in args:
        if arg not in block.args:
            hint = did_you_mean(arg, block.args, f"`{name}` takes {one_of(block.args)}")
            here = origin / "args" / arg
            yield here.problem(
                "unknown-arg", f"block `{name}` has no argument `{arg}`", "not an argument", hint, key=True
            )
    missing = [arg for arg, default in block.args.items() if default is None and args.get(arg) is None]
    if missing:
        label = f"`args: {{{missing[0]}: …}}`"
        yield origin.problem("missing-arg", f"block `{name}` needs {one_of(missing)}", label, key=True)


def _expressions(value: Any, origin: Origin, names: set[str]) -> Problems:
    for text, here in walk_strings(value, origin):
        if not is_dynamic(text):
            continue
        try:
            used = parse_template(text).names
        except ExpressionError as error:
            yield here.expression_problem(error)
            continue
        for name in sorted(used - names):
            hint = did_you_mean(name, names, f"known here: {one_of(sorted(names), 24)}")
            yield here.problem("unknown-name", f"unknown name `{name}` in `{text}`", "not known here", hint)


def _outputs(outputs: Mapping[str, str] | None, nodes: Iterable[str], origin: Origin) -> Problems:
    if outputs is not None and not outputs:
        yield origin.problem("empty", "`outputs` is empty", "`name: node`")
    for name, reference in (outputs or {}).items():
        if reference.partition(".")[0] not in set(nodes):
            hint = did_you_mean(reference, nodes)
            yield (origin / name).problem(
                "unknown-node", f"there is no node `{reference}`", "a node of this scope", hint
            )


def _recursion(spec: Spec) -> Problems:
    """Blocks that contain themselves; what an expression chooses is bounded when it is elaborated."""
    uses = {
        name: {node.block for node in block.nodes.values() if node.block and not is_dynamic(node.block)}
        for name, block in spec.blocks.items()
    }
    done: set[str] = set()

    def visit(start: str) -> list[str] | None:
        trail, stack = [start], [iter(sorted(uses.get(start, ())))]
        while stack:
            child = next(stack[-1], None)
            if child is None:
                done.add(trail.pop())
                stack.pop()
            elif child in trail:
                return [*trail, child]
            elif child not in done:
                trail.append(child)
                stack.append(iter(sorted(uses.get(child, ()))))
        return None

    for name in spec.blocks:
        cycle = visit(name) if name not in done else None
        if cycle is not None:
            here = spec.body / "blocks" / name
            yield here.problem("cycle", f"block `{name}` contains itself: {' -> '.join(cycle)}", key=True)
            return
