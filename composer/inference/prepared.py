"""A model in another dtype or memory format that is called as before."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from composer.torch_private import tree_map


@dataclass(frozen=True)
class Form:
    """How a model computes.

    dtype          of weights and maps; None for the model's own
    channels_last  whether maps lie in memory channel by channel at each position
    compiled       whether `torch.compile` makes its code
    """

    dtype: torch.dtype | None = None
    channels_last: bool = False
    compiled: bool = False


class Prepared(nn.Module):
    """Calls a model with its inputs in the model's form, and gives its outputs in the dtype that they had before.

    model  in the form
    form   what inputs are turned into: floating-point tensors into the dtype, maps b c h w into the memory format
    given  the dtype of the outputs, of those that are in the form's

    Pickled models name this class: never rename or move it.
    """

    def __init__(self, model: nn.Module, form: Form, given: torch.dtype) -> None:
        super().__init__()
        self.model = model
        self.form = form
        self.given = given

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = tree_map(self._arriving, (args, kwargs))
        return tree_map(self._leaving, self.model(*args, **kwargs))

    def _arriving(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if self.form.dtype is not None and value.is_floating_point():
            value = value.to(self.form.dtype)
        maps = self.form.channels_last and value.ndim == 4
        return value.contiguous(memory_format=torch.channels_last) if maps else value

    def _leaving(self, value: Any) -> Any:
        return value.to(self.given) if isinstance(value, Tensor) and value.dtype == self.form.dtype else value


def prepared(model: nn.Module, form: Form) -> nn.Module:
    """A copy of a model in a form, called as the model is; the model itself if the form changes nothing.

    model  in the dtype in which its inputs and outputs stay
    form   how the copy computes
    """
    if form == Form():
        return model
    given = next((one.dtype for one in model.parameters() if one.is_floating_point()), torch.float32)
    made: Any = copy.deepcopy(model).to(dtype=form.dtype)
    if form.channels_last:
        for one in (*made.parameters(), *made.buffers()):
            # `Module.to` fails for the weights of 3D convolutions.
            if one.ndim == 4:
                one.data = one.data.contiguous(memory_format=torch.channels_last)
    # The model's own forward is compiled, not this wrapper's: PyTorch compiles a function a few times only, and all
    # models in a wrapper would share one.
    made = torch.compile(made) if form.compiled else made
    return Prepared(made, form, given) if form.channels_last or form.dtype is not None else made
