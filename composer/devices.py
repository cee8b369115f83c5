"""Devices and dtypes by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.errors import Diagnostic, InputError, UnavailableError
from composer.visible import visible

if TYPE_CHECKING:
    import torch


def check_device(device: str | torch.device | None) -> torch.device | None:
    """The torch.device with this name (`auto`: CUDA if available, else CPU); None for None. Raises UnavailableError."""
    import torch

    if device is None:
        return None
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        problem = Diagnostic("device", f"unknown device `{device}`", label="`auto`, `cpu` or `cuda`")
        raise UnavailableError(problem) from error
    if found.type == "cuda" and not torch.cuda.is_available():
        problem = Diagnostic("device", "this machine has no CUDA device", help=("use `--device cpu`",))
        raise UnavailableError(problem)
    return found


def check_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """The floating-point dtype with this name; None for None. Raises InputError for any other value."""
    from composer.compile.module import dtype_of

    if dtype is None:
        return None
    found = dtype_of(str(dtype).removeprefix("torch."))
    if found is None:
        label = "float32, bfloat16, float16 or float64"
        raise InputError(Diagnostic("dtype", visible(f"unknown dtype `{dtype}`"), label=label))
    return found
