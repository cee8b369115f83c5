"""How a model is called: the tensors, or lists of tensors, that it takes for the inputs of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from composer.sources.library import library_of
from composer.spec.model_source import ModelSource

BATCH = 2


def example(source: ModelSource, batch: int = BATCH) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments of a call of the model, tensors on meta with the shapes of the spec's inputs."""
    shapes: Mapping[str, tuple[int, ...]] = source.shapes
    if not shapes:
        shapes = {name: tuple(map(int, one.shape)) for name, one in source.own_inputs.items()}
    return called(source, [torch.zeros(batch, *shape, device="meta") for shape in shapes.values()])


def called(source: ModelSource, tensors: list[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with which the model takes the tensors of its inputs, each with a batch axis."""
    return library_of(source).call(source, tensors)
