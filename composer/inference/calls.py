"""Runs a model on its example, and compares what two models give."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from composer.benchmark.contestant import inputs_of
from composer.benchmark.settings import Settings
from composer.compile.module import ComposedModule
from composer.errors import Diagnostic, InputError
from composer.foreign import is_error, named
from composer.hosts.insert import called
from composer.hosts.recording.nested import tensors_in
from composer.hosts.refusal import not_a_module
from composer.torch_private import is_compiled


@dataclass(frozen=True)
class Call:
    """What a model is called with: positional and named arguments."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @classmethod
    def of(cls, model: nn.Module, example: Any) -> Call:
        """The call of an example, on the device and in the dtype of the model.

        example  a tensor, a tuple of arguments, a mapping of keywords, or (tuple, mapping); None for standard normal
                 inputs of a composed network, a batch of 8
        Raises InputError if there is no example for a model that is not composed.
        """
        if example is not None:
            return cls(*called(example))
        if not isinstance(model, ComposedModule):
            text = f"nothing says what `{type(model).__name__}` is called with"
            label = "`example`: a tensor, a tuple of arguments, or a mapping of named ones"
            raise InputError(Diagnostic("keyword", text, label=label))
        like = next((one for one in model.parameters() if one.is_floating_point()), torch.empty(0))
        return cls(*inputs_of(model.composed.graph, Settings(device=like.device, dtype=like.dtype)))

    def run(self, model: nn.Module) -> Any:
        """What a model gives, without gradients. Draws of random numbers are the same in every run."""
        devices = {one.device for _, one in tensors_in([*self.args, *self.kwargs.values()]) if one.is_cuda}
        with torch.random.fork_rng([*devices]), torch.no_grad():
            torch.manual_seed(0)
            return model(*self.args, **self.kwargs)

    def checked(self, model: nn.Module, what: str) -> Any:
        """What a model gives. Raises InputError, which says `what` cannot run, in place of the model's own error."""
        try:
            return self.run(model)
        except BaseException as error:
            if not is_error(error):
                raise
            text = f"{what} cannot run on the example: {named(error)}"
            raise InputError(Diagnostic("inference", text, label="what the model is called with")) from error


@dataclass(frozen=True)
class Difference:
    """How far the outputs of a model are from those of another.

    largest   the largest absolute difference of two numbers; infinite if the outputs have other shapes
    relative  the same, divided by the largest absolute number of the other model's outputs
    """

    largest: float
    relative: float

    def __str__(self) -> str:
        return f"{self.largest:.2g} ({self.relative:.1g} of the largest output)"


def difference(found: Any, like: Any) -> Difference:
    """The difference of nested outputs, such as a tensor or a dict of tensors, from those of another model."""
    ours, theirs = dict(tensors_in(found)), dict(tensors_in(like))
    if {where: one.shape for where, one in ours.items()} != {where: one.shape for where, one in theirs.items()}:
        return Difference(math.inf, math.inf)
    largest = scale = 0.0
    for where, one in theirs.items():
        if one.numel():
            wide = torch.complex128 if one.is_complex() else torch.float64
            number, other = one.cpu().to(wide), ours[where].cpu().to(wide)
            apart = (other - number).abs()
            # Equal infinities have no difference, and a number that is NaN in both has none.
            same = (other == number) | (other.isnan() & number.isnan())
            apart = apart.masked_fill(same, 0.0).nan_to_num(math.inf, math.inf)
            largest = max(largest, float(apart.max()))
            scale = max(scale, float(number.abs().nan_to_num(0.0, 0.0, 0.0).max()))
    return Difference(largest, largest / scale if scale else (math.inf if largest else 0.0))


def copied(model: nn.Module) -> nn.Module:
    """A copy of a model in eval mode. Raises InputError for what cannot be copied and changed."""
    InputError.check(not_a_module(model))
    if isinstance(model, torch.jit.ScriptModule):
        raise _unchangeable("a ScriptModule, whose code is fixed", "give the model that was scripted or traced")
    if is_compiled(model):
        raise _unchangeable("compiled", "give the model that was compiled")
    if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        raise _unchangeable("spread over devices", "give `model.module`")
    tensors = [*model.parameters(), *model.buffers()]
    if any(is_lazy(one) for one in tensors):
        raise _unchangeable("lazy: some of its layers have no sizes yet", "run it once")
    if any(one.is_meta for one in tensors):
        raise _unchangeable("on the meta device, without numbers", "build it on another device")
    try:
        found = copy.deepcopy(model)
    except BaseException as error:
        if not is_error(error):
            raise
        text = f"`{type(model).__name__}` cannot be copied: {named(error)}"
        help = ("what it holds must support `copy.deepcopy`",)
        raise InputError(Diagnostic("inference", text, help=help)) from error
    return found.eval()


def _unchangeable(what: str, help: str) -> InputError:
    return InputError(Diagnostic("inference", f"the model is {what}", help=(help,)))
