"""A network's weights -> a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import save_file

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule


def save_weights(model: ComposedModule, path: Path) -> None:
    """Write a network's weights as safetensors, with its class names where they fit its output."""
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in model.state_dict().items()}
    metadata = {"format": "pt", "spec": model.spec.name}
    if model.spec.classes is not None:
        metadata["classes"] = json.dumps(model.spec.classes)
    save_file(tensors, path, metadata=metadata)
