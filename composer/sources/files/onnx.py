"""Reads an ONNX file: its graph, and the shapes that onnx infers. Weights are not read, and never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

from composer.errors import Diagnostic, UnavailableError
from composer.foreign import is_error, named
from composer.sources.files.graph import FileGraph, FileProblem, Owned, Ref, Step, Value, checked
from composer.sources.files.onnx_constants import with_lengths
from composer.sources.files.onnx_functions import Reader, function_of

MAX_BYTES = 2_147_483_647
# Numbers of this many bytes may be sizes that a shape is made of; larger ones are weights, which nothing here needs.
MAX_CONSTANT = 4096
_DTYPES = {
    **{1: torch.float32, 2: torch.uint8, 3: torch.int8, 4: torch.uint16, 5: torch.int16, 6: torch.int32},
    **{7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64, 16: torch.bfloat16},
}
_KIND = "pkg.torch.export.graph_signature.InputSpec.kind"
_BATCH = 1
# Of an image whose height or width is open, as wherever a model does not say its size.
_SIDE = 224


def read_onnx(path: Path, shapes: Sequence[tuple[int, ...]] = ()) -> FileGraph:
    """The graph of an `.onnx` file. Raises FileProblem; UnavailableError without the package `onnx`.

    shapes  of the inputs in order, without the batch: lengths of the axes that the file leaves open; without them an
            image whose height or width is open has 224
    """
    try:
        import onnx
    except ImportError as error:
        text = "reading ONNX files needs the package `onnx`"
        help = ("pip install 'attention-composer[export]'",)
        raise UnavailableError(Diagnostic("extra", text, label="an extra of composer", help=help)) from error
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise FileProblem("it is larger than 2 GiB, which no ONNX file may be: put its weights into a file beside it")
    try:
        model = onnx.load(path, load_external_data=False)
        if not model.graph.node:
            raise FileProblem("its graph is empty, or it is no ONNX file")
        if model.functions:
            from onnx.inliner import inline_local_functions

            model = inline_local_functions(model)
        _prepare(model, shapes)
        model = with_lengths(model)
        return checked(_Graph(model, onnx.numpy_helper.to_array).read())
    except FileProblem:
        raise
    except BaseException as error:
        if not is_error(error):
            raise
        raise FileProblem(f"onnx cannot read it ({named(error).splitlines()[0][:300]}): write it again") from error


def _prepare(model: Any, shapes: Sequence[tuple[int, ...]]) -> None:
    """Leave out weights, and give the batch, and the sides of images, a length where they have none."""
    for one in model.graph.initializer:
        if len(one.raw_data) > MAX_CONSTANT:
            one.ClearField("raw_data")
        elif len(one.float_data) > MAX_CONSTANT:
            one.ClearField("float_data")
    held = {one.name for one in model.graph.initializer}
    symbol = None
    for one, given in zip_longest([one for one in model.graph.input if one.name not in held], shapes):
        dims = one.type.tensor_type.shape.dim if one is not None else ()
        if not dims:
            continue
        if dims[0].dim_param or not dims[0].dim_value:
            symbol = symbol or dims[0].dim_param
            dims[0].dim_value = _BATCH
        for number, dim in enumerate(dims):
            if not dim.dim_value:
                if symbol and dim.dim_param == symbol:
                    dim.dim_value = _BATCH
                    continue
                if number >= 1 and given is not None and len(given) == len(dims) - 1:
                    dim.dim_value = given[number - 1]
                elif len(dims) == 4 and number >= 2:
                    dim.dim_value = _SIDE
                else:
                    text = f"axis {number} of its input `{one.name}` has no length (`{dim.dim_param or '?'}`)"
                    raise FileProblem(f"{text}: write it with fixed sizes; open may be the batch, height and width")
    # What was inferred for an open batch would contradict.
    for one in (*model.graph.value_info, *model.graph.output):
        dims = one.type.tensor_type.shape.dim
        if any(dim.dim_param for dim in dims):
            one.type.tensor_type.ClearField("shape")


@dataclass
class _Graph:
    """What has been read so far."""

    model: Any
    to_array: Any
    values: dict[str, Value] = field(default_factory=dict)
    owned: dict[str, Owned] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def read(self) -> FileGraph:
        graph = self.model.graph
        kinds = {one.name: _properties(one).get(_KIND, "") for one in graph.value_info}
        self.hold(graph, kinds)
        inputs = tuple(one.name for one in graph.input if one.name not in self.owned)
        for one in (*graph.input, *graph.value_info, *graph.output):
            if (value := _value(one)) is not None:
                self.values.setdefault(one.name, value)
        live = {*inputs, *(name for name, one in self.owned.items() if one.is_parameter)}
        for number, node in enumerate(graph.node):
            self.node(node, number, live)
        outputs = tuple(self.renamed.get(one.name, one.name) for one in graph.output)
        self.fuse(outputs)
        root = next((classes[0] for node in graph.node if (classes := _listed(node, "class_hierarchy"))), "")
        return FileGraph(root, "onnx", inputs, outputs, self.values, self.owned, tuple(self.steps))

    def hold(self, graph: Any, kinds: Mapping[str, str]) -> None:
        """What the network holds: weights that are learned, and others."""
        statistics = {name for node in graph.node if node.op_type == "BatchNormalization" for name in node.input[3:5]}
        for one in graph.initializer:
            value = Value(tuple(one.dims), _DTYPES.get(one.data_type, torch.float32))
            kind = kinds.get(one.name, "")
            size = torch.Size(value.shape).numel()
            learned = kind == "PARAMETER" if kind else size > 1 and bool(value.shape) and one.name not in statistics
            learned = learned and value.dtype.is_floating_point
            self.values[one.name], self.owned[one.name] = value, Owned(one.name, learned)
            if not learned and (one.raw_data or one.int64_data or one.int32_data or one.float_data):
                self.constants[one.name] = self.to_array(one)

    def node(self, node: Any, number: int, live: set[str]) -> None:
        taken = [self.renamed.get(name, name) for name in node.input]
        given = [name for name in node.output if name]
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
            self.constant(node)
            return
        alive = any(name in live for name in taken) and node.op_type not in ("Shape", "Size")
        if not alive and node.op_type != "Identity":
            # Lengths, and numbers made of numbers: the shapes of what is live say all of it.
            for name in given:
                value = self.values.get(name)
                if value is not None:
                    self.owned[name] = Owned(name, is_parameter=False)
            return
        if node.op_type in ("Identity", "Dropout") and len(given) == 1:
            self.renamed[given[0]] = taken[0]
            return
        live.update(given)
        missing = next((name for name in given if name not in self.values), None)
        if missing is not None:
            name = node.name or node.op_type
            raise FileProblem(
                f"onnx infers no shape for `{missing}`, which `{name}` gives: write it with fixed sizes, "
                "or run onnx.shape_inference over it first"
            )
        stack = _stack(node)
        name = node.name.rpartition("/")[2] or f"{node.op_type}_{number}"
        attributes = {one.name: _attribute(one) for one in node.attribute}
        reader = Reader(node.op_type, node.domain, taken, given, attributes, self.values, self.constants, self.owned)
        for step in function_of(reader, name):
            self.steps.append(replace(step, stack=stack))

    def constant(self, node: Any) -> None:
        name = node.output[0]
        tensor = next((one.t for one in node.attribute if one.name == "value"), None)
        if tensor is not None:
            self.constants[name] = self.to_array(tensor)
            self.values[name] = Value(tuple(tensor.dims), _DTYPES.get(tensor.data_type, torch.float32))
        else:
            given = next((one for one in node.attribute if one.name.startswith("value_")), None)
            if given is None:
                return
            import numpy

            self.constants[name] = found = numpy.asarray(_attribute(given))
            self.values[name] = Value(tuple(found.shape), torch.int64)
        self.owned[name] = Owned(name, is_parameter=False)

    def fuse(self, outputs: tuple[str, ...]) -> None:
        """A product with a matrix of the network, and the sum with its bias, is a linear layer."""
        uses: dict[str, list[Step]] = {}
        for step in self.steps:
            for name in step.taken:
                uses.setdefault(name, []).append(step)
        found: list[Step] = []
        fused: dict[str, int] = {}
        for step in self.steps:
            if self.is_linear(step, uses):
                weight = step.args[1].name
                self.values[weight] = replace(self.values[weight], shape=self.values[weight].shape[::-1])
                (given,) = step.outputs
                assert given is not None
                if len(uses.get(given, ())) == 1 and given not in outputs:
                    fused[given] = len(found)
                found.append(replace(step, op="linear", args=step.args))
                continue
            bias = self.bias_of(step, fused)
            if bias is not None:
                name, product = bias
                before = found[fused.pop(product)]
                place = found.index(before)
                stack = before.stack
                found[place] = replace(before, args=(*before.args, Ref(name)), outputs=step.outputs, stack=stack)
                continue
            found.append(step)
        self.steps = found

    def is_linear(self, step: Step, uses: Mapping[str, list[Step]]) -> bool:
        if step.op != "matmul" or len(step.args) != 2 or not all(isinstance(one, Ref) for one in step.args):
            return False
        weight = step.args[1].name
        learned = weight in self.owned and self.owned[weight].is_parameter
        return learned and len(self.values[weight].shape) == 2 and len(uses[weight]) == 1

    def bias_of(self, step: Step, fused: Mapping[str, int]) -> tuple[str, str] | None:
        """The bias and the product that a step adds."""
        if step.op != "add" or len(step.args) != 2 or not all(isinstance(one, Ref) for one in step.args):
            return None
        for one, other in (step.args, step.args[::-1]):
            learned = one.name in self.owned and self.owned[one.name].is_parameter
            if learned and other.name in fused and self.values[one.name].shape == self.values[other.name].shape[-1:]:
                return one.name, other.name
        return None


def _value(info: Any) -> Value | None:
    tensor = info.type.tensor_type
    if not tensor.HasField("shape") or any(not dim.HasField("dim_value") for dim in tensor.shape.dim):
        return None
    return Value(tuple(dim.dim_value for dim in tensor.shape.dim), _DTYPES.get(tensor.elem_type, torch.float32))


def _attribute(one: Any) -> Any:
    from onnx import helper

    value = helper.get_attribute_value(one)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return list(value) if not isinstance(value, int | float | str) and hasattr(value, "__iter__") else value


def _properties(one: Any) -> dict[str, str]:
    return {each.key: each.value for each in one.metadata_props}


def _listed(node: Any, word: str) -> list[str]:
    """A list that torch's exporter writes beside a node."""
    text = _properties(node).get(f"pkg.torch.onnx.{word}", "")
    if not 0 < len(text) < 10_000:
        return []
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [str(one) for one in found] if isinstance(found, list) else []


def _stack(node: Any) -> tuple[tuple[str, str, str], ...]:
    """The modules around a node, as torch's exporters write them: beside it, or as the path in its name."""
    paths, classes = _listed(node, "name_scopes")[:-1], _listed(node, "class_hierarchy")
    if paths:
        return tuple((path, made, path) for path, made in zip(paths, classes, strict=False) if path)
    if not re.fullmatch(r"(/[\w.:]+)+", node.name):
        return ()
    found: list[str] = []
    last = ""
    for word in node.name.split("/")[1:-1]:
        before = found[-1] if found else ""
        if last and word.startswith(f"{last}."):
            before = before[: -len(last)].rstrip(".")
        found.append(f"{before}.{word}" if before else word)
        last = word
    return tuple((path, "", path) for path in found)
