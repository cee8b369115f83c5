"""Entries for what composer has no layer for: a module's class or a function, as the nodes of a recording hold them."""

from __future__ import annotations

import copy
import inspect
import linecache
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

import torch
from pydantic import BaseModel
from torch import nn

from composer.hosts.recording.replay import Replay
from composer.registry import FunctionEntry, ModuleEntry, Plugin
from composer.torch_private import AnyBatchNorm

_KINDS: Mapping[str, tuple[type, ...]] = {
    "conv": (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    "linear": (nn.Linear,),
    "norm": (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.InstanceNorm2d, AnyBatchNorm),
    "pool": (
        *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
        *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
    ),
    "activation": (
        *(nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh, nn.PReLU),
        *(nn.LeakyReLU, nn.ELU, nn.Mish, nn.Softmax, nn.Softplus),
    ),
}
_FUNCTION_KINDS = {
    **dict.fromkeys(("add", "sub", "mul", "div", "concat", "matmul", "stack"), "merge"),
    **dict.fromkeys(("relu", "gelu", "silu", "sigmoid", "softmax", "tanh", "hardswish"), "activation"),
    **dict.fromkeys(("mean", "amax", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"), "pool"),
    **dict.fromkeys(("flatten", "reshape", "view", "permute", "transpose", "unsqueeze", "squeeze", "getitem"), "shape"),
}


class NoOptions(BaseModel):
    """What is recorded is as it is: a spec sets nothing of it."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class HostEntry(ModuleEntry):
    """A module of another library, or of the user.

    made   the recorded module itself
    given  how it was called, with its arguments that are no tensors; None where it is not called
    """

    made: nn.Module
    given: Replay | None = None

    def make(self, arguments: Mapping[str, Any]) -> nn.Module:
        """A copy of the recorded module on the device that is set, with tensors that hold no certain numbers."""
        memo: dict[int, Any] = {}
        for one in (*self.made.parameters(), *self.made.buffers()):
            fresh = torch.empty(one.shape, dtype=one.dtype)
            memo[id(one)] = nn.Parameter(fresh, one.requires_grad) if isinstance(one, nn.Parameter) else fresh
        return copy.deepcopy(self.made, memo)

    def run(self, made: nn.Module, tensors: Sequence[Any]) -> Any:
        """What the module gives for these tensors among the arguments of the recorded call."""
        if self.given is None:
            return made(*tensors)
        return self.given.on(made, self.given.cast(tensors))

    def may_hide_cost(self, made: nn.Module) -> bool:
        """Whether it has a matrix that no counted operation used; a scale or a bias costs nothing."""
        return any(sum(length > 1 for length in one.shape) > 1 for one in made.parameters())

    @property
    def words(self) -> str:
        """Its class, and where it is from."""
        return f"`{self.name}` of {self.plugin.name}"

    @property
    def doc(self) -> str:
        """The docstring of its class."""
        return inspect.cleandoc(type(self.made).__dict__.get("__doc__") or "")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class HostFunction(FunctionEntry):
    """A function on tensors, with the arguments of its call that are no tensors."""

    def make(self, arguments: Mapping[str, Any]) -> Any:
        """The function with its other arguments."""
        return self.factory

    def run(self, made: Replay, tensors: Sequence[Any]) -> Any:
        """What the function gives for these tensors."""
        return made(*made.cast(tensors))


def module_entry(module: nn.Module, given: Replay | None = None, *, counted: bool = True) -> HostEntry:
    """The entry of a module's class, for a call with these arguments."""
    made = type(module)
    file, line = source_of(made)
    return HostEntry(
        name=made.__name__,
        kind=kind_of(module),
        factory=made,
        options=NoOptions,
        inputs=(0, None),
        tensors=(),
        plugin=_plugin(made),
        file=file,
        line=line,
        module=made,
        facts={},
        settings=NoOptions,
        made=module,
        given=given,
        counted=counted,
    )


def function_entry(name: str, run: Callable[..., Any], function: Callable[..., Any] | None) -> HostFunction:
    """The entry of a function, which `run` repeats as it was called."""
    return HostFunction(
        name=name,
        kind=_FUNCTION_KINDS.get(name, "other"),
        factory=run,
        options=NoOptions,
        inputs=(0, None),
        tensors=(),
        plugin=_plugin(function or run),
        file="",
        line=0,
    )


def kind_of(module: nn.Module) -> str:
    """The kind of a module, in the registry's words."""
    for kind, classes in _KINDS.items():
        if isinstance(module, classes):
            return kind
    name = type(module).__name__.lower()
    return next(
        (kind for word, kind in (("attention", "token"), ("attn", "token"), ("norm", "norm")) if word in name), "other"
    )


@cache
def _source_of(made: Hashable) -> tuple[str, int]:
    try:
        file = inspect.getsourcefile(made) or ""  # type: ignore[arg-type]
    except (OSError, TypeError):
        return "", 0
    # Of a class in a class or a function, the indented line; inspect.getsourcelines would parse the whole file.
    begins = re.compile(rf"\s*class {re.escape(getattr(made, '__name__', ''))}\b")
    lines = linecache.getlines(file)
    return file, next((number for number, line in enumerate(lines, 1) if begins.match(line)), 0)


def source_of(made: type) -> tuple[str, int]:
    """File and line of a class; empty and 0 if it has no source."""
    key: Any = made
    return _source_of(key)


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _plugin(of: Any) -> Plugin:
    package = (getattr(of, "__module__", None) or "torch").partition(".")[0]
    return Plugin(package, _version(package))
