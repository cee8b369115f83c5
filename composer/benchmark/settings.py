"""How networks are run to be measured."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import nn

from composer.amounts import plural

Pass = Literal["forward", "step"]
# A step is a forward and a backward pass in training mode; a forward is one in eval mode, without gradients.
PASSES: tuple[Pass, ...] = ("forward", "step")
# Runs of each network that come first and are not measured.
WARM_UP = 3
CPU = torch.device("cpu")


def name_of(dtype: torch.dtype | None) -> str | None:
    """`float32` for torch.float32."""
    return None if dtype is None else str(dtype).removeprefix("torch.")


@dataclass(frozen=True)
class Settings:
    """What is the same for all networks of a benchmark.

    batch          number of examples in a run of a network that is built
    runs           number of measured runs of each network and pass
    device         where the networks run
    dtype          of parameters and inputs; None for what a module has, and float32 of what is built
    amp            whether operations run in bfloat16 where PyTorch's autocast says so
    channels_last  whether maps lie in memory channel by channel at each position
    compile        whether `torch.compile` makes the networks' code
    threads        number of threads of an operation on the CPU; None for PyTorch's own choice
    """

    batch: int = 8
    runs: int = 20
    device: torch.device = CPU
    dtype: torch.dtype | None = None
    amp: bool = False
    channels_last: bool = False
    compile: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("batch", "runs", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value}: it is at least 1")

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Within it, PyTorch runs with these threads and this precision."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads or before)
        try:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.amp):
                yield
        finally:
            torch.set_num_threads(before)

    def placed(self, model: nn.Module) -> nn.Module:
        """The model on the device, in the dtype and memory format."""
        model = model.to(device=self.device, dtype=self.dtype)
        return model.to(memory_format=torch.channels_last) if self.channels_last else model

    def words(self) -> list[str]:
        """The settings, for people, without what networks may have of their own."""
        where = [str(self.device)]
        if self.device.type == "cpu":
            where.append(plural(self.threads or torch.get_num_threads(), "thread"))
        more = [word for word in ("amp", "channels_last", "compile") if getattr(self, word)]
        return [*where, *more]

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        plain = {"device": str(self.device), "dtype": name_of(self.dtype)}
        return {**asdict(self), **plain, "threads": self.threads or torch.get_num_threads()}

    def machine(self) -> dict[str, Any]:
        """What the networks ran on."""
        processor = platform.processor() or platform.machine()
        return {
            "processor": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else processor,
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        }
