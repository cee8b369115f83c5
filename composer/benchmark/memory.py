"""The most memory that a pass takes beyond what the network itself takes."""

from __future__ import annotations

import base64
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from composer import registry
from composer.benchmark.contestant import Contestant, modes
from composer.benchmark.settings import Pass, Settings
from composer.dag.composition import Composition


def peak(contestant: Contestant, kind: Pass, settings: Settings) -> int | None:
    """Bytes at the peak of a pass, less those before it; None where they cannot be told.

    On CUDA, what PyTorch's allocator hands out. On the CPU, what a process of its own takes, which builds the network
    again; that of a module that came ready is not known.
    """
    if settings.device.type == "cuda":
        return _on_cuda(contestant, kind, settings)
    if not contestant.built or contestant.graph is None:
        return None
    return _in_a_process(contestant.graph, kind, settings)


def _on_cuda(contestant: Contestant, kind: Pass, settings: Settings) -> int:
    modes([contestant], kind)
    contestant.model.zero_grad(set_to_none=True)
    torch.cuda.synchronize(settings.device)
    before = torch.cuda.memory_allocated(settings.device)
    torch.cuda.reset_peak_memory_stats(settings.device)
    contestant.run(kind)
    torch.cuda.synchronize(settings.device)
    return torch.cuda.max_memory_allocated(settings.device) - before


def _in_a_process(graph: Composition, kind: Pass, settings: Settings) -> int | None:
    """None if the process fails, such as by too little memory."""
    work = base64.b64encode(pickle.dumps((graph.spec, kind, settings))).decode()
    done = subprocess.run(
        [sys.executable, "-m", "composer.benchmark.child", *_plugin_files()],
        input=work,
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.split()[-1:] if done.returncode == 0 else []
    return int(last[0]) if last and last[0].isdigit() else None


def _plugin_files() -> Sequence[str]:
    """Files of plugins that are loaded, which another process must load too."""
    names = dict.fromkeys(entry.plugin.name for entry in registry.entries() if entry.plugin.sha256)
    return [name for name in names if Path(name).is_file()]
