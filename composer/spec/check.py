"""Checks a spec whose references are settled: names in expressions, blocks, arguments, inputs of nodes."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from composer.errors import Diagnostic, did_you_mean, one_of
from composer.spec.expression import Read, is_dynamic, parse_condition, parse_template
from composer.spec.model import BlockSpec, NodeSpec, OutputSpec, SourceSpec
from composer.spec.origin import Origin, walk_strings
from composer.spec.part import vars_key
from composer.spec.reads import names_read
from composer.spec.sharing import check_shares
from composer.spec.spec import Part, Spec
from composer.spec.tokens import ExpressionError

ARRIVING = (
    *("channels", "height", "width", "tokens", "length", "frames", "spatial_dims"),
    *("grid_height", "grid_width", "prefix_tokens"),
)
PLACE = (
    *("stage", "block", "num_stages", "num_blocks", "block_index", "all_blocks", "depth", "last"),
    *ARRIVING,
    *("kernel_size", "stride", "groups", "op", "kind", "path"),
)
REPEATED = ("index", "repeat")
MAX_DEPTH = 64
# A rule searches all places, also those that earlier rules made.
MAX_RULES = 500

Problems = Iterator[Diagnostic]
# Name that expressions may read -> the facts that may follow its dot; None if the facts are not known.
Names = Mapping[str, Container[str] | None]


def check_spec(spec: Spec) -> Problems:
    """Problems of a spec that can be found without knowing any plugin."""
    if len(spec.rules) > MAX_RULES:
        help = ("one rule with a site or a glob, and `where`, is about many places",)
        text = f"there are {len(spec.rules):,} rules, and at most {MAX_RULES} can apply"
        yield spec.rules[MAX_RULES][1].problem("budget", text, "too much from here on", help)
        return
    vars: dict[str, Container[str] | None] = dict.fromkeys(spec.vars)
    for name, value in spec.inputs.items():
        yield from _expressions(value.shape, spec.input_origins[name], vars)
    yield from _scope(spec, spec.nodes, spec.inputs, spec.node_origins, ChainMap({}, vars))
    for part in spec.parts.values():
        backbone = part.written.backbone
        written = backbone.to_mapping() if isinstance(backbone, SourceSpec) else backbone
        yield from _expressions(written, part.origin / "backbone", vars)
    for name, part in spec.parts.items():
        if "/" not in name:
            yield from _expressions(
                part.written.vars, part.origin / "vars", ChainMap(dict.fromkeys(part.spec.inputs, ARRIVING), vars)
            )
    yield from _sites(spec)
    yield from _unread_vars(spec)
    yield from _part_weights(spec)
    yield from check_blocks(spec)
    added = tuple(str(rule.name or rule.use) for rule, _ in spec.rules if rule.use)
    for file in spec.files:
        for name, output in file.content.outputs.items() if isinstance(file.content.outputs, dict) else ():
            if isinstance(output, OutputSpec):
                yield from _expressions(output.when, file.origin / "outputs" / name / "when", vars)
    if not spec.gives_levels and spec.source is None:
        yield from _outputs(spec.outputs, spec.nodes, spec.outputs_origin, added)
    place = ChainMap(dict.fromkeys(PLACE), vars)
    for rule, origin in spec.rules:
        yield from _expressions(rule.options, origin / "with", place)
        yield from _expressions(rule.sources, origin / "from", place)
        if isinstance(rule.where, str):
            try:
                start, condition = parse_condition(rule.where)
            except ExpressionError:
                # The problem was reported when the rule was read.
                continue
            reads = tuple((name, start + offset) for name, offset in condition.reads)
            yield from _unknown_names(reads, origin / "where", place)


def check_blocks(spec: Spec) -> Problems:
    """Problems of the blocks of a spec that can be found without knowing any plugin."""
    vars: dict[str, Container[str] | None] = dict.fromkeys(spec.vars)
    for name, block in spec.blocks.items():
        yield from _block(spec, block, spec.block_origins[name], vars)
    yield from _recursion(spec)


def _block(spec: Spec, block: BlockSpec, origin: Origin, vars: dict[str, Any]) -> Problems:
    names = ChainMap(dict.fromkeys(block.inputs, ARRIVING), vars)
    names.maps[0].update(dict.fromkeys(block.args))
    for arg, value in block.args.items():
        yield from _expressions(value, origin / "args" / arg, names)
    for var, value in block.vars.items():
        yield from _expressions(value, origin / "vars" / var, names)
        names[var] = None
    origins = {name: origin / "nodes" / name for name in block.nodes}
    yield from _scope(spec, block.nodes, block.inputs, origins, names)
    yield from _outputs(block.outputs, block.nodes, origin / "outputs")


def _scope(
    spec: Spec,
    nodes: Mapping[str, NodeSpec],
    inputs: Iterable[str],
    origins: Mapping[str, Origin],
    names: ChainMap[str, Any],
) -> Problems:
    names = names.new_child(dict.fromkeys(inputs, ARRIVING))
    arriving = names.new_child(dict.fromkeys(ARRIVING))
    repeated = arriving.new_child(dict.fromkeys(REPEATED))
    known = {**dict.fromkeys(nodes), **dict.fromkeys(inputs)}
    # The children of an inline node have no names yet, nor have the nodes of a model of another library.
    sources_known = not any(node.inline for node in nodes.values()) and (spec.source is None or nodes is not spec.nodes)
    if sources_known:
        yield from check_shares(nodes, origins)
    for name, node in nodes.items():
        here = origins[name]
        if name in inputs:
            yield here.problem("name", f"`{name}` already names an input of this scope", "another name", key=True)
        if sources_known:
            yield from _sources(node, here, known)
        visible = arriving if node.repeat is None else repeated
        parts = {
            "op": node.op,
            "block": node.block,
            "as": node.child_name,
            "when": node.when,
            vars_key(node.block or ""): node.args,
        }
        # What arrives is not known before the sources are.
        yield from _expressions(
            node.sources, here / "from", names if node.repeat is None else names.new_child(dict.fromkeys(REPEATED))
        )
        for key, value in {"repeat": node.repeat, **parts, **node.options}.items():
            if value:
                yield from _expressions(value, here / key, arriving if key == "repeat" else visible)
        if node.block is not None and not is_dynamic(node.block):
            yield from _instance(spec, node, here)


def _sources(node: NodeSpec, origin: Origin, known: Mapping[str, Any]) -> Problems:
    for index, source in enumerate(node.sources or ()):
        if not is_dynamic(source) and source.partition(".")[0] not in known:
            hint = did_you_mean(source, known, f"the nodes here are {one_of(known)}")
            where = origin / "from" / index
            yield where.written.problem(
                "unknown-node", f"there is no node `{source}` here", "a node of this scope", hint
            )


def _instance(spec: Spec, node: NodeSpec, origin: Origin) -> Problems:
    name = node.block or ""
    block = spec.blocks.get(name)
    if name in spec.parts:
        yield from check_part(spec.parts[name], name, node.args, origin)
    # A plugin may have the block: which plugins there are is known when the network is composed.
    elif block is not None:
        yield from check_arguments(name, block, node.args, origin)


def check_arguments(name: str, block: BlockSpec, args: Mapping[str, Any], origin: Origin) -> Problems:
    """Problems with the arguments of a block: unknown ones, and required ones that are missing."""
    for arg in args:
        if arg not in block.args:
            hint = did_you_mean(arg, block.args, f"`{name}` takes {one_of(block.args)}")
            here = origin / "args" / arg
            text = f"block `{name}` has no argument `{arg}`"
            yield here.problem("unknown-arg", text, "not an argument", hint, key=True)
    missing = [arg for arg, default in block.args.items() if default is None and args.get(arg) is None]
    if missing:
        label = f"`args: {{{missing[0]}: …}}`"
        yield origin.problem("missing-arg", f"block `{name}` needs {one_of(missing)}", label, key=True)


def check_part(part: Part, name: str, args: Mapping[str, Any], origin: Origin) -> Problems:
    """Problems with the vars that a node gives to its part: those that the part does not have."""
    known = part.spec.vars
    for arg in args:
        if arg not in known:
            hint = did_you_mean(arg, known, f"its vars are {one_of(known)}")
            text = f"`{part.spec.name}` has no var `{arg}`"
            here = origin / vars_key(name) / arg
            yield here.problem("unknown-var", text, "not a var of this network", hint, key=True)


def _expressions(value: Any, origin: Origin, names: Names) -> Problems:
    for text, here in walk_strings(value, origin):
        if not is_dynamic(text):
            continue
        try:
            reads = parse_template(text).reads
        except ExpressionError as error:
            yield here.expression_problem(error)
        else:
            yield from _unknown_names(reads, here, names)


def _unknown_names(reads: Iterable[Read], origin: Origin, names: Names) -> Problems:
    for read, offset in reads:
        name, _, fact = read.partition(".")
        if name not in names and name in REPEATED:
            help = (f"`{name}` is known only in a node with `repeat`",)
            yield origin.problem_within(
                "unknown-name", f"unknown name `{name}`", offset, len(name), "not known here", help
            )
        elif name not in names:
            hint = did_you_mean(name, names, f"known here: {one_of(sorted(names), 24)}")
            yield origin.problem_within(
                "unknown-name", f"unknown name `{name}`", offset, len(name), "not known here", hint
            )
        elif fact and (known := names[name]) is not None and fact not in known:
            text, hint = f"`{name}` has no `{fact}`", did_you_mean(fact, ARRIVING, f"it has {one_of(ARRIVING)}")
            start = offset + len(name) + 1
            yield origin.problem_within("unknown-name", text, start, len(fact), "not a fact of it", hint)


def _outputs(
    outputs: Mapping[str, str] | None, nodes: Mapping[str, NodeSpec], origin: Origin, added: tuple[str, ...] = ()
) -> Problems:
    if outputs is not None and not outputs:
        yield origin.problem("empty", "`outputs` is empty", "a node, or `name: node`", key=True)
    if any(node.inline for node in nodes.values()):
        # The children of an inline node have no names yet.
        return
    for name, reference in (outputs or {}).items():
        # An inserted node has its mechanism's name, and does not exist yet.
        if reference.partition(".")[0] not in nodes and not reference.startswith(added):
            hint = did_you_mean(reference, nodes, f"the nodes here are {one_of(nodes)}")
            here = (origin / name).written
            yield here.problem("unknown-node", f"there is no node `{reference}`", "a node of this scope", hint)


def _sites(spec: Spec) -> Problems:
    """Problems of sites that are written by globs: only models of other libraries have none of their own."""
    if spec.source is None:
        for file in spec.files:
            for name in list(file.content.sites)[:1]:
                text = f"`{spec.name}` says the sites of its own nodes"
                help = (f"at the node: `site: {name}`; a rule takes globs too",)
                yield (file.origin / "sites").problem("sites", text, "a model of another library", help, key=True)


def _unread_vars(spec: Spec) -> Problems:
    """Vars that a file with a backbone and nodes declares and does not read: most likely a backbone's var, misspelt."""
    for file in spec.files:
        if file.content.nodes is None or file.content.backbone is None:
            continue
        read = names_read(file.origin)
        for name in file.content.vars:
            origin = file.origin / "vars" / name
            if name not in read and spec.var_origins[name].document is file.origin.document and _declares(spec, name):
                hint = did_you_mean(name, [one for one in spec.vars if one != name], "remove it")
                text = f"nothing reads the var `{name}`"
                yield origin.problem("unknown-var", text, "not a var of the backbone, nor read here", hint, key=True)


def _part_weights(spec: Spec) -> Problems:
    """Weights for networks inside that cannot be: no node of that name, or no network inside at all."""
    if any(node.inline for node in spec.nodes.values()):
        # The children of an inline node have no names yet.
        return
    for path, (_, origin) in spec.part_weights.items():
        if not spec.parts or path.partition(".")[0] not in spec.nodes:
            known = [name for name, node in spec.nodes.items() if node.part or node.block in spec.parts]
            hint = did_you_mean(path, known, f"the networks inside are {one_of(known)}")
            text = f"there is no network `{path}` inside this one"
            yield origin.problem("weights", text, "the path of a node with `backbone`", hint, key=True)


def _declares(spec: Spec, name: str) -> bool:
    """Whether a single file of a network has this var: a nearer one would set it."""
    return sum(name in file.content.vars for file in spec.files) == 1


def _recursion(spec: Spec) -> Problems:
    """Blocks that contain themselves. A block chosen by an expression is checked when it is elaborated."""
    uses = {
        name: {str(node.block): key for key, node in block.nodes.items() if node.block in spec.blocks}
        for name, block in spec.blocks.items()
    }
    done: set[str] = set()
    for name in spec.blocks:
        cycle = _find_cycle(name, uses, done)
        if cycle:
            here = spec.block_origins[cycle[0]] / "nodes" / uses[cycle[0]][cycle[1]] / "block"
            trail = " -> ".join(cycle if len(cycle) < 10 else [*cycle[:6], "…", *cycle[-2:]])
            yield here.problem("cycle", f"block `{cycle[0]}` contains itself: {trail}", "another block")
            return


def _find_cycle(start: str, uses: Mapping[str, Mapping[str, str]], done: set[str]) -> list[str]:
    """The blocks on a path from `start` that ends in a cycle; empty if there is none."""
    if start in done:
        return []
    # A dict serves as an ordered set of the blocks on the path.
    trail, stack = {start: None}, [iter(uses[start])]
    while stack:
        child = next(stack[-1], None)
        if child is None:
            stack.pop()
            done.add(trail.popitem()[0])
        elif child in trail:
            found = list(trail)
            return [*found[found.index(child) :], child]
        elif child not in done:
            trail[child] = None
            stack.append(iter(uses[child]))
    return []
