"""Blocks that stand for a single operation: what a rule or `op` uses of a block."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from composer.dag.scope import Scope
from composer.dag.tensor import TensorSpec
from composer.errors import Mistakes, one_of
from composer.registry import ATTENTION, TENSOR_FACTS
from composer.spec.model import BlockSpec
from composer.spec.origin import Origin


def tensor_arguments(block: BlockSpec, tensor: TensorSpec) -> dict[str, Any]:
    """The arguments of a block that are named like facts of the tensor that arrives."""
    known: dict[str, Any] = {name: tensor.facts[name] for name in TENSOR_FACTS if name in tensor.facts}
    known |= {"in_channels": known["channels"]} if "channels" in known else {}
    return {name: known[name] for name in block.args if name in known}


def with_attention(scope: Scope, origin: Origin) -> Scope:
    """The scope of a block as a mechanism: its result is the only output, and `attention` is what `record` reads.

    Raises Mistakes for a block with further outputs.
    """
    results = {name: reference for name, reference in scope.outputs.items() if name != ATTENTION} or scope.outputs
    if len(results) > 1:
        text = f"block `{scope.block}` has several outputs: {one_of(results)}"
        label = "one, and beside it only `attention`"
        raise Mistakes((origin / "outputs").problem("place", text, label, key=True, path=scope.path))
    attention = scope.outputs.get(ATTENTION) if results is not scope.outputs else None
    return replace(scope, outputs=results, attention=attention)
