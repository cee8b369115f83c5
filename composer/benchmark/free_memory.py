"""Whether networks fit into the memory that is free, before they are built."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from composer.amounts import size
from composer.benchmark.settings import Pass, Settings
from composer.dag.composition import Composition
from composer.errors import Diagnostic, InputError
from composer.summary.memory import Unknown, activation_memory

_STATUS = Path("/proc/meminfo")


def check_room(graphs: Sequence[Composition], passes: Sequence[Pass], settings: Settings) -> None:
    """Raise InputError, naming the network, if a pass needs more memory than is free, as far as is known.

    All networks are there at once. A step has a gradient for each parameter, and what autograd keeps for each example.
    """
    free = free_memory(settings.device)
    if free is None:
        return
    number = (settings.dtype or torch.float32).itemsize
    weights = number * sum(one.num_parameters for one in graphs)
    if "step" not in passes:
        if weights > free:
            raise _too_large("the networks' parameters", weights, free, settings)
        return
    for graph in graphs:
        needed = weights + number * graph.num_parameters + kept_by_example(graph, number) * settings.batch
        if needed > free:
            raise _too_large(f"a training step of `{graph.spec.name}`", needed, free, settings)


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE) if _STATUS.exists() else None
    return int(found[1]) * 1024 if found else None


def kept_by_example(graph: Composition, number: int) -> int:
    """Bytes that an example keeps for the backward pass; 0 where not known."""
    try:
        # They are counted in float32.
        return sum(activation_memory(graph.root, kernels=graph.spec.kernels).values()) * min(number, 4) // 4
    except Unknown:
        return 0


def _too_large(what: str, needed: int, free: int, settings: Settings) -> InputError:
    text = f"{what} at batch {settings.batch} needs at least {size(needed)}, and {size(free)} are free"
    return InputError(Diagnostic("memory", text, help=("a smaller `--batch` or `--size`", "`--pass forward`")))
