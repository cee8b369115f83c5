"""How far attention moves the outputs of a network that was just filled with pretrained weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.compile.graph import compile_graph
from composer.compile.module import ComposedModule
from composer.compile.steps import evaluating
from composer.errors import WeightsError
from composer.spec.model import WeightsSpec
from composer.weights.checkpoint import Checkpoint
from composer.weights.load import copy_weights

if TYPE_CHECKING:
    from composer.dag.composition import Composition

BATCH_SIZE = 2


def largest_change(model: ComposedModule, checkpoint: Checkpoint, weights: WeightsSpec) -> float | None:
    """The largest absolute difference of an output to the plain backbone with the same weights.

    Both run in eval mode on the same random inputs. 0 where every rule has `start: identity`. None if there are no
    rules, or if the weights do not fill the plain backbone.
    """
    if not model.graph.spec.every_rule:
        return None
    # Tensors that the weights do not fill get the same values, because the seed is the same.
    plain = compile_graph(model.graph.plain, model.seed)
    try:
        copy_weights(
            plain, checkpoint, require="backbone", match=weights.match, keys=weights.keys, prefix=weights.prefix
        )
    except WeightsError:
        return None
    inputs = _inputs(model.graph, model.seed)
    ours, theirs = _outputs(model, inputs), _outputs(plain, inputs)
    return max(float((one - other).abs().max()) for one, other in zip(ours, theirs, strict=True))


def _inputs(graph: Composition, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(BATCH_SIZE, *tensor.without_batch) for tensor in graph.root.inputs.values()]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def _outputs(model: ComposedModule, inputs: list[Tensor]) -> list[Tensor]:
    with evaluating(model), torch.inference_mode():
        result = model(*inputs)
    return list(result.values()) if isinstance(result, dict) else [result]
