"""Weights as safetensors; of a composed network with the whole spec in the metadata, so that the file rebuilds it."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from composer.artefacts import lock
from composer.compile.graph import compile_graph
from composer.compile.module import ComposedModule
from composer.exporting.job import Job, Runner
from composer.network import Graph
from composer.spec.dump import dump
from composer.spec.load import load_spec
from composer.weights.save import save_tensors, save_weights

# The key of the metadata that holds the spec.
SPEC = "composer.lock"


def write(job: Job) -> None:
    """Write the weights; of a composed network, with classes, preparation of images, and spec."""
    module = job.subject.module
    if isinstance(module, ComposedModule):
        written = lock(module.graph, module.seed)
        save_weights(module, job.file, {SPEC: dump(written)})
    else:
        tensors = {name: one.detach().cpu().contiguous() for name, one in module.state_dict().items()}
        save_tensors(tensors, job.file, {"format": "pt"})


def load(job: Job) -> Runner:
    """A network that is built anew of the spec in the file, or a copy of the module without its weights; filled."""
    module = _rebuilt(job)
    module.load_state_dict(load_file(job.file), strict=True)

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        called = job.subject.with_tensors(tensors)
        with torch.no_grad():
            return job.subject.flat(module(*called.args, **called.kwargs))

    return run


def _rebuilt(job: Job) -> nn.Module:
    with safe_open(job.file, "pt") as file:
        metadata = file.metadata()
    module = copy.deepcopy(job.subject.module)
    if SPEC in metadata and isinstance(module, ComposedModule):
        return _built(metadata[SPEC], module)
    with torch.no_grad():
        for one in module.state_dict().values():
            one.zero_()
    return module


def _built(text: str, like: ComposedModule) -> nn.Module:
    """The network of the spec in the file, in the dtype and mode of another."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spec.yaml"
        file.write_text(text, encoding="utf-8")
        # Whoever gave the network let its code run.
        spec = load_spec(file, weights=False, allow_code=True)
    dtype = next((one.dtype for one in like.parameters()), torch.float32)
    return compile_graph(Graph.of(spec, like.graph.limits), seed=1).to(dtype).eval()
