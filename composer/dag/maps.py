"""Outputs as feature maps: channels first, and tokens on the grid that they come from."""

from __future__ import annotations

from dataclasses import replace

from composer import registry
from composer.dag.infer import Inference
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.spec.origin import Origin


def outputs_as_maps(root: Scope, origin: Origin, inference: Inference) -> Scope:
    """The network with outputs as maps b c h w: a node is added after each output b h w c, or of tokens with positions.

    Other outputs, such as logits, stay as they are.
    """
    nodes, outputs = dict(root.nodes), dict(root.outputs)
    for output, reference in root.outputs.items():
        tensor = root.tensor(reference)
        found = _layer(tensor)
        if found is None:
            continue
        name, arguments = found
        entry = registry.get(name)
        assert entry is not None
        inferred = inference(entry, arguments, [tensor])
        path = reference.replace(".", "_") + "_map"
        while path in nodes:
            path += "_"
        nodes[path] = Node(path, path, origin / output, (reference,), inferred.operation, inferred.output)
        outputs[output] = path
    return replace(root, nodes=nodes, outputs=outputs)


def _layer(tensor: TensorSpec) -> tuple[str, dict[str, object]] | None:
    """The layer, and its options, that turns a tensor into a map b c h w; None if it is one or cannot be."""
    if tensor.layout == "b h w c":
        return "channels_first", {}
    if tensor.layout != "b n c" or tensor.whole_grid is None:
        return None
    height, width, prefix = tensor.whole_grid
    return "patches_to_map", {"grid": (height, width), "skip": prefix}
