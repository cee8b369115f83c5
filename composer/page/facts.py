"""The facts that a page shows about each node, by path: its kind, its source lines, its cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn

from composer import registry
from composer.dag.macs import total
from composer.dag.nodes.unfinished import Missing
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.dag.sketch import Sketch
from composer.dag.tensor import TensorSpec
from composer.docstring import link, sections
from composer.mathml import lines
from composer.page.code import is_one_for_all, operation_code, scope_code, scope_form
from composer.page.schema import FactsData, OperationData
from composer.page.sources import Files
from composer.page.tables import Tables
from composer.registry import TENSOR_FACTS, BlockEntry, Entry, FunctionEntry
from composer.spec.document import Value
from composer.spec.expression import is_dynamic
from composer.spec.model import BlockSpec
from composer.spec.origin import Origin
from composer.summary.columns import shape
from composer.visible import one_line

MAX_VALUE = 200

Json = dict[str, Any]


@dataclass(frozen=True)
class Costs:
    """By path of the operation: multiply-accumulates, bytes kept for the backward pass, seconds.

    None if not known. `seconds` may also have paths of blocks.
    """

    macs: Mapping[str, int | None] | None = None
    memory: Mapping[str, int] | None = None
    seconds: Mapping[str, float] | None = None


@dataclass
class _Sum:
    """The total cost of the operations in a scope, and the number of each operation."""

    parameters: int = 0
    macs: int | None = 0
    memory: int = 0
    seconds: float = 0.0
    operations: Counter[str] = field(default_factory=Counter)

    def add(self, other: _Sum) -> None:
        self.parameters += other.parameters
        self.macs = total([self.macs, other.macs])
        self.memory += other.memory
        self.seconds += other.seconds
        self.operations.update(other.operations)


def facts_of(sketch: Sketch, costs: Costs, tables: Tables, files: Files) -> tuple[FactsData, dict[str, FactsData]]:
    """The facts of the whole network; and path -> facts of each node, without nodes that only pass their input on."""
    reader = _Reader(sketch, costs, tables, files)
    total = reader.scope(sketch.root)
    return cast(FactsData, reader.whole(sketch.root, total)), cast(dict[str, FactsData], reader.found)


@dataclass
class _Reader:
    sketch: Sketch
    costs: Costs
    tables: Tables
    files: Files
    found: dict[str, Json] = field(default_factory=dict)
    written: dict[tuple[int, Any], Mapping[str, Value]] = field(default_factory=dict)

    def scope(self, scope: Scope) -> _Sum:
        """The total cost of a scope; adds the facts of its nodes to `found`."""
        total = _Sum()
        for node in scope.parts.values():
            if node.content is not None:
                # Reserves the place: a block comes before the nodes in it.
                self.found[node.path] = {}
                own = self.scope(node.content) if isinstance(node.content, Scope) else self.operation_sum(node)
                self.found[node.path] = self.facts(scope, node, own)
                total.add(own)
        unfinished = self.sketch.unfinished.get(scope.path)
        for name, missing in (unfinished.missing if unfinished else {}).items():
            self.missing(scope, name, missing)
        return total

    def whole(self, root: Scope, total: _Sum) -> Json:
        return {"op": root.block, "kind": "network", **self.block(root), **self.numbers("", total)}

    def operation_sum(self, node: Node) -> _Sum:
        assert isinstance(node.content, Operation)
        macs = self.costs.macs.get(node.path, 0) if self.costs.macs else 0
        memory = self.costs.memory.get(node.path, 0) if self.costs.memory else 0
        seconds = (self.costs.seconds or {}).get(node.path, 0.0)
        return _Sum(node.content.num_parameters, macs, memory, seconds, Counter([node.op]))

    def numbers(self, path: str, own: _Sum) -> Json:
        measured = self.costs.seconds
        return {
            "parameters": own.parameters,
            "macs": None if self.costs.macs is None else own.macs,
            **({} if self.costs.memory is None else {"memory": own.memory}),
            **({} if measured is None else {"seconds": measured.get(path, own.seconds)}),
        }

    def facts(self, scope: Scope, node: Node, own: _Sum) -> Json:
        line, content = self.files.line_of(node.origin), node.content
        found: Json = {"op": node.op, "kind": "block", **self.numbers(node.path, own)}
        if line is not None:
            found["line"] = line
        if node.rule is not None:
            found["rule"] = node.rule
        if node.sites:
            found["sites"] = node.sites
        if shares := node.told_shares:
            found["shares"] = list(shares.items())
        if isinstance(content, Operation):
            taken = [("", scope.tensor(reference)) for reference in node.inputs]
            return found | self.ends(taken, [("", node.tensor)]) | self.operation(node, content)
        assert isinstance(content, Scope)
        return found | self.block(content) | {"contents": self.contents(own)}

    def ends(self, taken: Iterable[tuple[str, TensorSpec]], given: Iterable[tuple[str, TensorSpec]]) -> Json:
        """Input and output tensors as numbers in the table, with names if they have names."""
        return {
            side: [[name, self.tensor(tensor)] if name else self.tensor(tensor) for name, tensor in ends]
            for side, ends in (("in", taken), ("out", given))
        }

    def tensor(self, tensor: TensorSpec) -> int:
        layout = tensor.layout if tensor.grid is None else f"{tensor.layout} (n = {tensor.grid})"
        return self.tables.tensors.number((tensor, tensor.grid), lambda: [shape(tensor), layout])

    def contents(self, own: _Sum) -> int:
        counts = own.operations.most_common()
        return self.tables.contents.number(tuple(counts), lambda: counts)

    def block(self, scope: Scope) -> Json:
        several = len(scope.inputs) > 1
        taken = [(name if several else "", tensor) for name, tensor in scope.inputs.items()]
        finished = scope.path not in self.sketch.unfinished
        # In an unfinished scope, the nodes of outputs may be missing.
        outputs = scope.outputs.items() if finished else ()
        several = len(scope.outputs) > 1
        given = [(name if several else "", scope.tensor(reference)) for name, reference in outputs]
        found = self.ends(taken, given)
        if finished:
            found["code"] = self.tables.codes.number(scope_form(scope), lambda: scope_code(scope))
        if scope.path and (known := self.known(scope)) is not None:
            origin, block = known
            defined = self.files.line_of(origin)
            found |= {"defined": defined} if defined else {}
            about = one_line(block.description)
            found |= {"description": about} if about else {}
        return found

    def known(self, scope: Scope) -> tuple[Origin, BlockSpec] | None:
        """Where the block of a scope is written, in the spec or a plugin, and what is; None for a repeat."""
        spec, name = self.sketch.spec, scope.block
        entry = scope.entry or (None if name in spec.blocks else registry.get_block(name))
        if isinstance(entry, BlockEntry):
            return entry.origin, entry.block
        return (spec.block_origins[name], spec.blocks[name]) if name in spec.blocks else None

    def operation(self, node: Node, operation: Operation) -> Json:
        """Kind, options, weights and code of an operation, as numbers in tables that equal operations share."""
        entry, tables = operation.entry, self.tables
        mechanism = entry.category == "mechanism"
        made: list[Any] = []

        def built() -> Any:
            if not made:
                with torch.device("meta"), torch.no_grad():
                    made.append(operation.make())
            return made[0]

        if entry.name not in tables.operations:
            tables.operations[entry.name] = _documentation(entry)
        written = self.written_options(node, operation)
        key = (operation.key, node.rule is None, tuple((name, repr(one.data)) for name, one in written.items()))
        found: Json = {"kind": "attention" if mechanism else entry.kind}
        if operation.arguments:
            found["options"] = tables.options.number(key, lambda: _options(node, operation, written))
        if not isinstance(entry, FunctionEntry) and node.owns:
            shared = tuple(f"{child}." for child in node.shares)
            weights = tables.weights.number((operation.key, shared), lambda: _weights(built(), shared))
            found |= {"weights": weights} if tables.weights.rows[weights] else {}
        form = entry if is_one_for_all(entry) else operation.key
        code = tables.codes.number(form, lambda: operation_code(entry, built()))
        if tables.codes.rows[code] is not None:
            found["code"] = code
        return found

    def written_options(self, node: Node, operation: Operation) -> Mapping[str, Value]:
        """The options that the spec itself gives for a node, as written."""
        key = (id(node.origin.document), (node.origin.path, operation.entry.name, node.role))
        if key not in self.written:
            value: Value | None = node.origin.document.nearest(node.origin.path)
            if value is not None and node.role in ("used", "helper"):
                value = value.child("with") if node.role == "used" else None
            found = value.data if value is not None and isinstance(value.data, dict) else {}
            self.written[key] = {name: one for name, one in found.items() if name in operation.arguments}
        return self.written[key]

    def missing(self, scope: Scope, name: str, missing: Missing) -> None:
        """Add the facts of a node that could not be made, and of the nodes in it."""
        path = f"{scope.path}.{name}" if scope.path else name
        what = missing.op
        line = self.files.line_of(self.origin(scope, name))
        state = "failed" if missing.failed else "unreached"
        found = {"op": what, "kind": "missing", "parameters": 0, "macs": None, "state": state}
        self.found[path] = found | ({"line": line} if line is not None else {})
        inner = self.sketch.unfinished.get(path)
        if inner is not None:
            self.scope(inner.scope)

    def origin(self, scope: Scope, name: str) -> Origin:
        """Where a node of an unfinished scope is written; for a copy, where the repeat is written."""
        spec = self.sketch.spec
        if not scope.path:
            return spec.node_origins.get(name, spec.writer.origin)
        if scope.block == "repeat":
            outer, _, own = scope.path.rpartition(".")
            around = self.sketch.unfinished.get(outer)
            return self.origin(around.scope, own) if around else spec.writer.origin
        known = self.known(scope)
        return known[0] / "nodes" / name if known else spec.writer.origin


def _documentation(entry: Entry) -> OperationData:
    parts = sections(entry.doc)
    found = {
        "summary": entry.summary,
        "mechanism": entry.category == "mechanism",
        "kind": entry.kind,
        "math": lines(parts.get("Math", "")),
        "source": parts.get("Source"),
        "departs": parts.get("Departs"),
        "link": link(parts.get("Source", "")),
        "plugin": None if entry.plugin.name == "composer" else entry.plugin.name,
    }
    return cast(OperationData, {name: value for name, value in found.items() if value})


def _options(node: Node, operation: Operation, written: Mapping[str, Value]) -> list[list[str]]:
    """A row per option: name, value, source (`given`, `default`, `place`), and its expression if written as one."""
    rows = []
    for name, value in operation.arguments.items():
        known = written.get(name)
        if known is not None:
            dynamic = isinstance(known.data, str) and is_dynamic(known.data)
            rows.append([name, _text(value), "given", *([known.data] if dynamic else [])])
        else:
            rows.append([name, _text(value), _whence(node, operation.entry, name, value)])
    return rows


def _whence(node: Node, entry: Entry, name: str, value: Any) -> str:
    if name in TENSOR_FACTS or name == "in_channels":
        return "place"
    fields = entry.known_options
    # Settings of a convolution that a rule leaves out come from the convolution that it replaces.
    settings = node.rule is not None and name not in entry.options.model_fields
    return "place" if settings else "default" if name in fields and fields[name].default == value else "given"


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def _weights(built: Any, shared: tuple[str, ...]) -> list[list[str]]:
    """A row per tensor: its key in the module, and its lengths; not of children that belong to other nodes."""
    if isinstance(built, nn.Parameter):
        return [["", _lengths(built)]]
    buffers = {name for name, _ in built.named_buffers()}
    own = {key: one for key, one in built.state_dict().items() if not key.startswith(shared)}
    return [[key, _lengths(one), *(["buffer"] if key in buffers else [])] for key, one in own.items()]


def _lengths(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "scalar"
