"""Writes a network's weights to a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from composer.weights.facts import Facts, uses_in, write_facts
from composer.weights.preparation import image_of

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule


def save_weights(model: ComposedModule, path: Path, more: Mapping[str, str] | None = None) -> None:
    """Write a network's weights as safetensors. The metadata has the names of its classes, how an image becomes its
    input, and how its backbone uses each tensor; and what is given as `more`.
    """
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in model.state_dict().items()}
    save_tensors(tensors, path, metadata_of(model) | dict(more or {}))


def metadata_of(model: ComposedModule) -> dict[str, str]:
    """What a file of a network's weights says beside its tensors."""
    metadata = {"format": "pt", "spec": model.spec.name}
    if model.spec.classes is not None:
        metadata["classes"] = json.dumps(model.spec.classes)
    image = report.image if (report := model.weights_report) else image_of(model.graph)
    return metadata | write_facts(Facts(image, uses_in(model.graph)))


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors as safetensors. Raises OSError, also for errors of the safetensors library."""
    try:
        save_file(_apart(tensors), path, metadata=dict(metadata or {}))
    except SafetensorError as error:
        raise OSError(str(error)) from error


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share no memory, as safetensors requires: tied weights are stored once per name."""
    found: dict[str, Tensor] = {}
    known: set[int] = set()
    for name, tensor in tensors.items():
        memory = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if memory in known else tensor
        known.add(memory)
    return found
