"""Why the grid of tokens is not known: the node that lost it goes along with the tensor, for messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from composer.dag.tensor import TensorSpec


def told(output: TensorSpec, inputs: Sequence[TensorSpec], path: str) -> TensorSpec:
    """The output of the node at `path`; if its tokens have no known grid, with the node that lost it."""
    if output.axis("n") is None or output.grid is not None:
        return output
    lost = path if any(tensor.positions for tensor in inputs) else next((one.lost for one in inputs if one.lost), "")
    return replace(output, lost=lost)


def why_unknown(tensor: TensorSpec) -> str:
    """What became of the grid of tokens that have none, as the end of a sentence."""
    if tensor.lost:
        how = "in an order that is not row by row" if tensor.is_followed else "without one"
        return f"`{tensor.lost}` gives them {how}"
    return "they come from an input of the network, which says none"
