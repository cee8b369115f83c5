"""Checks a single file: keys that exclude each other, names, the form of nodes and rules."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from unicodedata import is_normalized

from composer.errors import Diagnostic, did_you_mean, one_of
from composer.spec.expression import is_dynamic, parse_condition
from composer.spec.hub import example, hub_of, parse_reference
from composer.spec.kind import check_declaration
from composer.spec.known import usual_place
from composer.spec.model import (
    LIBRARIES,
    NODE_KEYS,
    POSITIONS,
    UNSAID,
    Block,
    NodeSpec,
    PartSpec,
    Rule,
    SourceSpec,
    SpecFile,
    WeightsSpec,
)
from composer.spec.model_source import is_code
from composer.spec.origin import Origin
from composer.spec.tokens import ExpressionError

Problems = Iterator[Diagnostic]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_INDEX = re.compile(r"[0-9]{1,9}")


def is_attribute(name: str) -> bool:
    """Whether a name can be an attribute of a module: a Python identifier of at most 100 characters, no keyword."""
    return len(name) <= 100 and name.isidentifier() and not keyword.iskeyword(name) and is_normalized("NFKC", name)


def check_file(file: SpecFile, origin: Origin) -> Problems:
    """The problems of a single file."""
    yield from _sections(file, origin)
    yield from check_vars(file, origin / "vars")
    for name in file.inputs or {}:
        yield from _name(name, origin / "inputs" / name, "an input")
    yield from _nodes(file.nodes or {}, origin / "nodes")
    for name, block in file.blocks.items():
        yield from check_block(name, block, origin / "blocks" / name)
    for index, rule in enumerate(file.attention):
        yield from _rule(rule, origin / "attention" / index)
    if isinstance(file.weights, WeightsSpec):
        yield from check_weights(file.weights, origin / "weights")
    for path, weights in file.weights.items() if isinstance(file.weights, dict) else ():
        yield from check_weights(weights, origin / "weights" / path)


def check_weights(weights: WeightsSpec, origin: Origin) -> Problems:
    """The problems of a `weights` entry that can be found without reading any file."""
    hub = hub_of(weights.source)
    if hub is not None and parse_reference(weights.source) is None:
        here = (origin / "source").written
        yield here.problem("weights", f"cannot read the reference `{weights.source}`", f"such as `{example(hub)}`")
    if weights.keys is not None and weights.match == "order":
        help = ("drop `match: order`, or `keys`",)
        yield (origin / "keys").problem("weights", "`keys` maps names, and `match: order` looks at none", help=help)


def _sections(file: SpecFile, origin: Origin) -> Problems:
    if isinstance(file.backbone, SourceSpec):
        yield from check_model(file.backbone, origin / "backbone")
    if file.nodes is None and file.backbone is None:
        help = ("`backbone: resnet50` starts from a network of the zoo, `nodes:` writes a new one",)
        yield origin.problem("neither", "the spec has neither `nodes` nor a `backbone`", "one of the two", help)
    if file.nodes is not None and not file.nodes:
        yield (origin / "nodes").problem("empty", "`nodes` is empty", "at least one node", key=True)
    if file.nodes is None:
        used = _used_by_rules(file)
        for name in [one for one in file.blocks if one not in used]:
            help = (f"`use: {name}` in `attention` inserts it; or remove it, or write `nodes` that are such blocks",)
            yield (origin / "blocks" / name).problem("unused", f"nothing uses block `{name}`", help=help, key=True)
    if file.input is not None and file.inputs is not None:
        label = "keep one of the two"
        yield (origin / "inputs").problem("both", "a spec has `input` or `inputs`, not both", label, key=True)


def _used_by_rules(file: SpecFile) -> set[str]:
    """The blocks that rules of the file use, with those that these are made of."""
    found: set[str] = set()
    left = [rule.use for rule in file.attention if rule.use in file.blocks]
    while left:
        name = left.pop()
        if name is None or name in found:
            continue
        found.add(name)
        block = file.blocks[name]
        nodes = {} if isinstance(block, PartSpec) else block.nodes
        inside = [node.block for node in nodes.values() if node.block is not None]
        # A name that is an expression may be that of any block.
        left += file.blocks if any(map(is_dynamic, inside)) else [one for one in inside if one in file.blocks]
    return found


def check_vars(file: SpecFile, origin: Origin) -> Problems:
    """The problems of the vars of a file."""
    for name, value in file.vars.items():
        yield from check_declaration(name, value, origin / name)


def _name(name: str, origin: Origin, what: str, *, key: bool = True) -> Problems:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        label = "letters, digits and `_`, not a digit first"
        help = (f"`{name}` is a word of Python",) if keyword.iskeyword(name) else ()
        yield origin.problem("name", f"`{name}` cannot name {what}", label, help, key=key)


def check_model(source: SourceSpec, origin: Origin) -> Problems:
    """The problems of how a model of another library is named."""
    if len(source.libraries) != 1:
        found = " and ".join(f"`{name}`" for name in source.libraries) or "no library"
        label = f"exactly one of {one_of(LIBRARIES)}"
        yield origin.problem("form", f"the backbone has {found}", label, ("such as `backbone: {timm: resnet50}`",))
        return
    if source.class_name is not None and source.transformers is None:
        yield (origin / "class").problem("form", "`class` is a class of transformers", "remove it", key=True)
    if isinstance(source.transformers, dict) and not isinstance(source.transformers.get("model_type"), str):
        here = origin / "transformers"
        yield here.problem("missing-key", "`model_type` is missing", "`model_type: vit`", key=True)
    if source.python is not None and not is_code(source.python):
        here = origin / "python"
        yield here.problem("form", f"`{source.python}` names no factory", "`package.module:factory`")


def _part(part: PartSpec, origin: Origin) -> Problems:
    if isinstance(part.backbone, SourceSpec):
        yield from check_model(part.backbone, origin / "backbone")
    for index, rule in enumerate(part.attention):
        yield from _rule(rule, origin / "attention" / index)
    if part.weights is not None:
        yield from check_weights(part.weights, origin / "weights")
    if isinstance(part.backbone, SpecFile):
        yield from check_file(part.backbone, origin / "backbone")


def check_block(name: str, block: Block, origin: Origin) -> Problems:
    """The problems of a block."""
    yield from _name(name, origin, "a block")
    if isinstance(block, PartSpec):
        yield from _part(block, origin)
        return
    for index, given in enumerate(block.inputs):
        yield from _name(given, (origin / "inputs" / index).written, "an input", key=False)
    if not block.inputs:
        yield (origin / "inputs").problem("empty", f"block `{name}` takes nothing in", "at least one name")
    if len(set(block.inputs)) < len(block.inputs):
        yield (origin / "inputs").problem("name", "two inputs have one name", "a name for each")
    yield from _nodes(block.nodes, origin / "nodes")


def _nodes(nodes: dict[str, NodeSpec], origin: Origin) -> Problems:
    for name, node in nodes.items():
        here = origin / name
        if not _INDEX.fullmatch(name) and not is_attribute(name):
            yield from _name(name, here, "a node")
        yield from _form(node, here)


def _form(node: NodeSpec, origin: Origin) -> Problems:
    yield from _share(node, origin)
    kinds = [kind for kind, one in (("op", node.op), ("block", node.block), ("backbone", node.part)) if one is not None]
    if len(kinds) > 1 or (not kinds and not isinstance(node.share, str)):
        found = f"both `{kinds[0]}` and `{kinds[1]}`" if kinds else "neither `op` nor `block`"
        kind = ("op", "block", "backbone")
        near = () if kinds else tuple(hint for one in node.options for hint in did_you_mean(one, kind))
        yield origin.problem("form", f"the node has {found}", "exactly one of them", near, key=True)
    if node.part is not None:
        yield from _part(node.part, origin)
        if node.args:
            help = ("write them as `vars`",)
            yield (origin / "args").problem("form", "`args` belong to a `block`", help=help, key=True)
    if node.op is not None and node.args:
        help = ("write an operation's options as keys of the node itself",)
        yield (origin / "args").problem("form", "`args` belong to a `block`, this is an `op`", help=help, key=True)
    if node.block is not None:
        for option in node.options:
            hint = did_you_mean(option, NODE_KEYS, "arguments of a block go under `args`")
            yield (origin / option).problem("unknown-key", f"unknown key `{option}`", "not a key here", hint, key=True)
    if node.child_name is not None and node.repeat is None:
        label = "`repeat` too, or no `as`"
        yield (origin / "as").problem("form", "`as` names the children of a `repeat`", label, key=True)
    if node.inline and node.repeat is None:
        label = "`repeat` too, or no `inline`"
        yield (origin / "inline").problem("form", "`inline` is for the children of a `repeat`", label, key=True)
    if node.inline and node.site:
        help = ("give the site to the block that is repeated",)
        yield (origin / "site").problem("form", "an `inline` repeat is no place of its own", help=help, key=True)


def _share(node: NodeSpec, origin: Origin) -> Problems:
    """Problems of `share` that the node alone shows."""
    here = origin / "share"
    if node.share is False:
        yield here.problem("share", "`share` is false", "a node of this scope, or nothing at all", key=True)
    elif node.share is True and node.repeat is None:
        help = ("to call the module of another node, write that node's name",)
        yield here.problem("share", "`share: true` is for the copies of a `repeat`", "`repeat` too", help, key=True)
    elif isinstance(node.share, str) and node.repeat is not None:
        help = ("write the repeated node out here with `share: true`, or write this node several times",)
        text = f"a `repeat` makes nodes of its own, so it cannot call `{node.share}`"
        yield here.problem("share", text, "`true`: all copies are one", help)
    elif isinstance(node.share, str) and node.part is not None:
        text = f"a `backbone` makes a network of its own, and this node calls the module of `{node.share}`"
        yield (origin / "backbone").problem("share", text, "remove it", key=True)


def _rule(rule: Rule, origin: Origin) -> Problems:
    if len(rule.positions) != 1:
        found = " and ".join(f"`{name}`" for name in rule.positions) or "no place"
        label = f"exactly one of {one_of(POSITIONS)}"
        help = () if rule.positions or rule.use is None else (usual_place(rule.use),)
        yield origin.problem("rule-position", f"the rule has {found}", label, help)
        return
    if rule.position == "remove":
        yield from _remove(rule, origin)
    elif rule.use is None:
        yield origin.problem("missing-key", "the rule does not say what to `use`", "`use: <mechanism>`")
    if rule.input is not None and rule.position == "after":
        text = "what goes `after` a place takes its output, so `input` has nothing to choose"
        yield (origin / "input").problem("rule-position", text, "remove it, or `before`", key=True)
    if rule.output is not None and rule.position in ("before", "replace"):
        what = "takes an input" if rule.position == "before" else "gives one tensor"
        text = f"what goes `{rule.position}` a place {what}, so `output` has nothing to choose"
        yield (origin / "output").problem("rule-position", text, "remove it, or `after`", key=True)
    if rule.share == {}:
        yield (origin / "share").problem("empty", "`share` is empty", "a child of the mechanism, and `stage` or `all`")
    for child in rule.shared:
        if any(child.startswith(f"{other}.") for other in rule.shared if other):
            text = f"`{child}` is inside of what is shared already"
            yield (origin / "share" / child).problem("share", text, "remove it", key=True)
    if rule.name is not None:
        yield from _name(rule.name, origin / "name", "a mechanism", key=False)
    if isinstance(rule.where, str):
        try:
            parse_condition(rule.where)
        except ExpressionError as error:
            yield (origin / "where").expression_problem(error)


def _remove(rule: Rule, origin: Origin) -> Problems:
    written = {field.alias or name for name, field in Rule.model_fields.items() if name in rule.model_fields_set}
    for name in UNSAID["remove"]:
        if name in written:
            text = f"`remove` takes a node out, so `{name}` has nothing to say"
            yield (origin / name).problem("rule-remove", text, "remove it", key=True)
