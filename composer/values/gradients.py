"""How strongly the network's answer depends on what each node gives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from composer.compile.steps import evaluating, frozen, run_steps
from composer.draw.values import Values
from composer.errors import Diagnostic, InputError

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule
    from composer.dag.composition import Composition
    from composer.dag.scope import Node

WORDS = (
    "Norm of the gradient of the cross entropy to the network’s own answer, by the node’s output: mean over the images"
)


def gradients(model: ComposedModule, batches: Iterable[Tensor]) -> Values:
    """L2 norm of the gradient of the cross entropy to the arg max, by each node's output: mean over the images.

    model    a composed network; runs in eval mode, and is then as it was, with the gradients that it had
    batches  b c h w each, as the network takes them

    The gradient of each image is of its own loss. A block has the number of its first output; a node of which the loss
    does not depend, by way of the images, has none. Raises InputError for a network that does not give one vector of
    logits.
    """
    check_logits(model.graph)
    sums: dict[str, float] = {}
    count = 0

    def note(node: Node, value: Tensor) -> Tensor:
        if value.requires_grad:
            # Also of a value that a later operation overwrites: what a hook gets is of the value as it is now.
            value.register_hook(lambda gradient: _add(sums, node.path, gradient))
        return value

    like = next(model.parameters(), torch.empty(0))
    with evaluating(model), frozen(model), torch.inference_mode(False), torch.enable_grad():
        for batch in batches:
            count += len(batch)
            # Not a leaf, because activations may overwrite it.
            images = batch.to(like).detach().requires_grad_().clone()
            (logits,) = run_steps(model, images, note).values()
            cross_entropy(logits, logits.detach().argmax(1), reduction="sum").backward()
    numbers = {path: total / count for path, total in sums.items()}
    return Values("gradient", "gradient", WORDS, numbers)


def check_logits(graph: Composition) -> None:
    """Raises InputError for a network that does not give one vector of logits."""
    outputs = graph.outputs
    if [one.layout for one in outputs.values()] != ["b c"]:
        text = f"`{graph.spec.name}` gives {', '.join(f'{name} {tensor}' for name, tensor in outputs.items())}"
        label = "gradients need one vector of logits"
        raise InputError(Diagnostic("gradient", text, label=label))


def _add(sums: dict[str, float], path: str, gradient: Tensor) -> None:
    sums[path] = sums.get(path, 0.0) + float(gradient.detach().double().flatten(1).norm(dim=1).sum())
