"""Lengths that an ONNX file computes while it runs, such as `x.shape[2] // 7`: computed here where shapes are known."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from composer.sources.files.graph import words

MAX_NUMBERS = 4096
MAX_ROUNDS = 200
_FOLDED = words(
    """
    Shape Gather Unsqueeze Squeeze Concat Add Sub Mul Div Mod Neg Cast Slice Equal Greater Less Where Not And Or
    ConstantOfShape Reshape Floor Ceil Identity Min Max ReduceProd Expand Transpose Constant
    """
)


def with_lengths(model: Any) -> Any:
    """The model with inferred shapes, what computes lengths replaced by the lengths, as far as they can be known."""
    import onnx

    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    for _ in range(MAX_ROUNDS):
        if not _fold(model):
            break
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    return model


def _fold(model: Any) -> bool:
    """Replace nodes of constants by constants; whether shapes that were missing may now be known."""
    from onnx import helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    graph = model.graph
    # Lengths are whole numbers; small tensors of others are weights.
    known = {one.name: numpy_helper.to_array(one) for one in graph.initializer if _is_small(one)}
    known = {name: one for name, one in known.items() if one.dtype.kind in "iub"}
    shapes = {one.name: _shape(one) for one in (*graph.value_info, *graph.input, *graph.output)}
    missing = any(
        name and shapes.get(name) is None and name not in known for node in graph.node for name in node.output
    )
    if not missing:
        return False
    kept, folded = [], 0
    for node in graph.node:
        found: Any = None
        if node.domain in ("", "ai.onnx") and node.op_type in _FOLDED and len(node.output) == 1:
            if node.op_type == "Constant" and any(one.name == "value" and _is_float(one.t) for one in node.attribute):
                pass
            elif node.op_type == "Shape":
                shape = shapes.get(node.input[0])
                found = None if shape is None else numpy_helper.to_array(helper.make_tensor("", 7, [len(shape)], shape))
                attributes = {one.name: one.i for one in node.attribute}
                found = None if found is None else found[attributes.get("start", 0) : attributes.get("end")]
            elif all(name in known for name in node.input if name) and _fits(node, known):
                taken = {name: known[name] for name in node.input if name}
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    (found,) = ReferenceEvaluator(_of_node(node, taken, model)).run(None, taken)
        if found is None or found.size > MAX_NUMBERS:
            kept.append(node)
            continue
        known[node.output[0]] = found
        graph.initializer.append(numpy_helper.from_array(found, node.output[0]))
        folded += 1
    for one in [one for one in graph.value_info if shapes.get(one.name) is None]:
        graph.value_info.remove(one)
    del graph.node[:]
    graph.node.extend(kept)
    return folded > 0


def _of_node(node: Any, given: Mapping[str, Any], model: Any) -> Any:
    """A model of one node."""
    from onnx import helper

    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(one.dtype), one.shape)
        for name, one in given.items()
    ]
    output = helper.make_empty_tensor_value_info(node.output[0])
    graph = helper.make_graph([node], "constant", inputs, [output])
    return helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=min(model.ir_version, 10))


def _fits(node: Any, known: Mapping[str, Any]) -> bool:
    """Whether what a node makes of constants stays small."""
    if node.op_type in ("ConstantOfShape", "Expand"):
        sizes = known[node.input[-1]].reshape(-1).tolist()
        number = 1
        for one in sizes:
            number *= max(int(one), 1)
            if number > MAX_NUMBERS:
                return False
    return True


def _is_float(tensor: Any) -> bool:
    return tensor.data_type in (1, 10, 11, 16)


def _is_small(tensor: Any) -> bool:
    number = 1
    for one in tensor.dims:
        number *= one
    held = tensor.raw_data or tensor.int64_data or tensor.int32_data or tensor.float_data or tensor.double_data
    return number <= MAX_NUMBERS and bool(held or number == 0)


def _shape(info: Any) -> list[int] | None:
    tensor = info.type.tensor_type
    if not tensor.HasField("shape") or any(not dim.HasField("dim_value") for dim in tensor.shape.dim):
        return None
    return [dim.dim_value for dim in tensor.shape.dim]
