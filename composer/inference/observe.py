"""Runs a model once and notes who uses the result of each convolution, so that only a norm that is alone is folded."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from composer.hosts.recording.nested import tensors_in
from composer.inference.calls import Call
from composer.torch_private import (
    AnyBatchNorm,
    AnyConvolution,
    TorchDispatchMode,
    buffers,
    has_hooks,
    parameters,
    storage_of,
    tree_leaves,
)

# Forwards that normalise by running statistics and then apply what the norm holds, if anything.
_NORMS = {
    "torch.nn.modules.batchnorm._BatchNorm.forward",
    "torch.nn.modules.batchnorm.SyncBatchNorm.forward",
    "torchvision.ops.misc.FrozenBatchNorm2d.forward",
    "timm.layers.norm_act.BatchNormAct2d.forward",
    "timm.layers.norm_act.SyncBatchNormAct.forward",
    "timm.layers.norm_act.FrozenBatchNormAct2d.forward",
}


def is_batch_norm(module: nn.Module) -> bool:
    """Whether a module is a batch norm, of any library that is known here, or derived from PyTorch's."""
    return isinstance(module, AnyBatchNorm) or _forward(module) in _NORMS


def _forward(module: nn.Module) -> str:
    made: Any = type(module).forward
    return f"{getattr(made, '__module__', '')}.{getattr(made, '__qualname__', '')}"


@dataclass
class Made:
    """The result of a convolution.

    tensor   it, kept so that nothing else gets its memory
    readers  the module in whose forward each operation ran that reads it
    hooked   paths of modules with hooks that see it
    """

    convolution: nn.Module
    tensor: Tensor
    readers: list[nn.Module | None] = field(default_factory=list)
    hooked: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """What a run shows.

    pairs    paths of a convolution and of the batch norm that is the only user of its result
    refused  path of every other batch norm -> why it is not folded
    """

    pairs: tuple[tuple[str, str], ...]
    refused: Mapping[str, str]


def observe(model: nn.Module, call: Call) -> Found:
    """Which batch norms of a model can be folded into which convolutions.

    model  in eval mode; it is changed: give a copy
    call   what it is called with
    Raises InputError if it cannot run.
    """
    watch = _Watch(model)
    # A folded convolution has a bias. Whether its class uses a bias where it had none is seen in the run.
    for module in model.modules():
        if isinstance(module, AnyConvolution) and parameters(module).get("bias", 0) is None:
            weight = parameters(module).get("weight")
            if weight is not None:
                module.bias = nn.Parameter(weight.new_zeros(module.out_channels), requires_grad=False)
    watch.prepare()
    with watch:
        result = call.checked(model, f"`{type(model).__name__}`")
    return watch.found(result)


class _Watch(TorchDispatchMode):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # The first of several paths names a module.
        self.paths: dict[nn.Module, str] = {}
        for path, module in model.named_modules(remove_duplicate=False):
            self.paths.setdefault(module, path)
        self.hooked = {module for module in self.paths if has_hooks(module)}
        self.owners: dict[int, set[nn.Module]] = defaultdict(set)
        self.made: dict[int, Made] = {}
        self.calls: Counter[nn.Module] = Counter()
        self.arrived: dict[nn.Module, Tensor] = {}
        # Modules whose tensors are read in the forward of another.
        self.lent: dict[nn.Module, nn.Module | None] = {}
        self.stack: list[nn.Module] = []

    def prepare(self) -> None:
        """Note the tensors of each module, and follow which module runs."""
        for module in self.paths:
            for tensor in (*parameters(module).values(), *buffers(module).values()):
                if tensor is not None:
                    self.owners[id(tensor)].add(module)
            if not isinstance(module, torch.jit.ScriptModule):
                module.register_forward_pre_hook(self.enter, with_kwargs=True)
                module.register_forward_hook(self.leave, with_kwargs=True, always_call=True)

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.stack.append(module)
        self.calls[module] += 1
        self._show_hooks(module, (args, kwargs))
        if args and isinstance(args[0], Tensor):
            self.arrived[module] = args[0]

    def leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        self._show_hooks(module, result)
        if self.stack and self.stack[-1] is module:
            self.stack.pop()

    def _show_hooks(self, module: nn.Module, values: Any) -> None:
        if module in self.hooked:
            for made in self._of(values):
                made.hooked.append(self.paths[module])

    def _of(self, values: Any) -> Iterator[Made]:
        """The results of convolutions among these values."""
        for _, one in tensors_in(values):
            if (made := self._made(one)) is not None:
                yield made

    def _made(self, tensor: Tensor) -> Made | None:
        return self.made.get(storage_of(tensor)) if _has_storage(tensor) else None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        here = self.stack[-1] if self.stack else None
        for one in tree_leaves((args, kwargs)):
            if isinstance(one, Tensor):
                if (made := self._made(one)) is not None:
                    made.readers.append(here)
                for owner in self.owners.get(id(one), ()):
                    if owner is not here:
                        self.lent[owner] = here
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default and isinstance(here, AnyConvolution):
            own = parameters(here)
            if args[1] is own.get("weight") and args[2] is own.get("bias"):
                self.made[storage_of(result)] = Made(here, result)
        return result

    def found(self, result: Any) -> Found:
        """What the run has shown; `result` is what the model gave."""
        for made in self._of(result):
            made.hooked.append("")
        pairs, refused = [], {}
        for norm, path in self.paths.items():
            if is_batch_norm(norm):
                convolution = self._convolution(norm)
                if isinstance(convolution, str):
                    refused[path] = convolution
                else:
                    pairs.append((self.paths[convolution], path))
        return Found(tuple(pairs), refused)

    def _convolution(self, norm: nn.Module) -> nn.Module | str:
        """The convolution into which a batch norm can be folded, or why there is none."""
        if own := self._own_reason(norm, "it"):
            return own
        if _forward(norm) not in _NORMS:
            return f"it is a {type(norm).__name__}, whose forward is not known"
        if getattr(norm, "running_mean", None) is None or getattr(norm, "running_var", None) is None:
            return "it normalises by the statistics of the batch"
        if norm.training:
            return "it stays in training mode"
        arrived = self.arrived.get(norm)
        made = self._made(arrived) if arrived is not None else None
        if made is None or arrived is None or arrived.shape != made.tensor.shape:
            return "its input does not come straight from a convolution with weights of its own"
        path = self.paths[made.convolution]
        if other := self._own_reason(made.convolution, f"`{path}`"):
            return other
        if made.hooked:
            where = made.hooked[0]
            return f"the result of `{path}` is seen by a hook of `{where}`" if where else f"`{path}` gives an output"
        readers = [one for one in made.readers if one is not norm]
        if readers:
            where = self._name(readers[0])
            return f"the result of `{path}` is used in {where} too"
        return made.convolution

    def _own_reason(self, module: nn.Module, what: str) -> str:
        """Why a module cannot be changed; empty if it can."""
        if self.calls[module] != 1:
            return f"{what} is called {self.calls[module]} times" if self.calls[module] else f"{what} is not called"
        if module in self.hooked:
            return f"{what} has hooks"
        if "forward" in module.__dict__:
            return f"{what} has a `forward` set on the object"
        tensors = [one for one in (*parameters(module).values(), *buffers(module).values()) if one is not None]
        others = {other for one in tensors for other in self.owners[id(one)]} - {module}
        if others:
            return f"{what} shares its weights with `{min(self.paths[one] for one in others)}`"
        if module in self.lent:
            return f"the weights of {what} are used in {self._name(self.lent[module])}"
        if any(type(one) not in (nn.Parameter, Tensor) for one in tensors):
            return f"the weights of {what} are no plain tensors"
        return ""

    def _name(self, module: nn.Module | None) -> str:
        return f"`{self.paths[module]}`" if module is not None and self.paths[module] else "the model's own forward"


def _has_storage(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_nested
