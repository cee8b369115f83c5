"""Folds batch norms into the convolutions before them: w' = w·γ/σ, b' = (b − μ)·γ/σ + β."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from composer.amounts import plural
from composer.errors import Diagnostic, InputError
from composer.inference.calls import Call, Difference, copied, difference
from composer.inference.observe import observe
from composer.torch_private import AnyTransposedConvolution, children, parameters


class Folded(nn.Identity):
    """Stands where a batch norm was that is part of the convolution before it. Passes its input on, in eval mode only.

    Pickled networks name this class: never rename or move it.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training:
            text = "a network with folded batch norms does not train: no batch is normalised any more"
            raise InputError(
                Diagnostic("inference", text, help=("call `eval()`, or train the network it was made of",))
            )
        return input


@dataclass(frozen=True)
class FoldReport:
    """What became of the batch norms of a model.

    folded      path of a batch norm -> path of the convolution that has become both
    left        path of every other batch norm -> why it stays
    difference  of the outputs on the example from those of the model as it was
    undo        gives the model as it was, bit for bit: the one that was given, which was not changed; or, if it was
                changed in place, the same object with the tensors and modules that it had
    """

    folded: Mapping[str, str]
    left: Mapping[str, str]
    difference: Difference
    undo: Callable[[], nn.Module] = field(repr=False, compare=False)

    def __str__(self) -> str:
        first = f"{plural(len(self.folded), 'batch norm')} folded into convolutions, {len(self.left)} left"
        lines = [first, f"largest difference of the outputs: {self.difference}"]
        lines += [f"  {path} stays: {reason}" for path, reason in self.left.items()]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {"folded": dict(self.folded), "left": dict(self.left), "difference": vars(self.difference)}


def fold_batch_norms(model: nn.Module, example: Any = None, *, inplace: bool = False) -> tuple[nn.Module, FoldReport]:
    """A model in eval mode that computes the same with fewer operations, and a report of what was folded.

    model    any nn.Module: composed, timm's, torchvision's or your own
    example  what it is called with: a tensor, a tuple of arguments, a mapping of keywords, or (tuple, mapping); a
             composed network needs none
    inplace  change the model itself; `report.undo()` takes all of it back

    A run on the example shows who uses what. A batch norm is folded if it alone uses the result of a convolution (of
    any dimension, grouped, dilated, transposed, with or without a bias), and both are called once, have no hooks and
    share no weights. The convolution keeps its keys and gets a bias; the norm's keys go. What the example does not
    reach stays as it is.
    Raises InputError if the model cannot be copied or run, or if its outputs on the example change by more than
    rounding; then nothing is changed.
    """
    plain = copied(model)
    call = Call.of(model, example)
    like = call.checked(plain, f"`{type(model).__name__}`")
    found = observe(copied(model), call)
    before = _State.of(model)
    folded, left = {}, dict(found.refused)
    try:
        result = model.eval() if inplace else copied(model)
        for convolution, norm in found.pairs:
            if reason := _fold(result, convolution, norm):
                left[norm] = reason
            else:
                folded[norm] = convolution
        apart = difference(call.checked(result, "the folded model"), like)
        _check(apart, like, result)
    except BaseException:
        if inplace:
            before.restore()
        raise
    return result, FoldReport(folded, left, apart, before.restore if inplace else lambda: model)


def _fold(model: nn.Module, convolution: str, norm: str) -> str:
    """Fold one batch norm; why it cannot be folded, if so."""
    conv: Any = model.get_submodule(convolution)
    batch_norm: Any = model.get_submodule(norm)
    weight, bias = _fused(conv, batch_norm)
    if not (weight.isfinite().all() and bias.isfinite().all()):
        return f"the folded weights are not finite in {str(weight.dtype).removeprefix('torch.')}"
    conv.weight = nn.Parameter(weight, requires_grad=conv.weight.requires_grad)
    conv.bias = nn.Parameter(bias, requires_grad=conv.weight.requires_grad)
    stand_in = _stand_in(batch_norm)
    for path in [path for path, one in model.named_modules(remove_duplicate=False) if one is batch_norm]:
        model.set_submodule(path, stand_in)
    return ""


def _fused(conv: Any, norm: Any) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that is both, computed in float64."""
    given = [conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.weight, norm.bias]
    weight, *vectors = (None if one is None else one.detach().cpu().double() for one in given)
    transposed = isinstance(conv, AnyTransposedConvolution)
    # A transposed convolution's weight holds the groups along its first axis, and a group's outputs along its second.
    groups = conv.groups if transposed else 1
    parts = [[None] * groups if one is None else one.chunk(groups) for one in (weight, *vectors)]
    fused = [
        fuse_conv_bn_weights(w, b, mean, var, norm.eps, scale, shift, transpose=transposed)
        for w, b, mean, var, scale, shift in zip(*parts, strict=True)
    ]
    weights, biases = zip(*fused, strict=True)
    like = conv.weight.detach()
    # `empty_like` keeps the memory format.
    return torch.empty_like(like).copy_(torch.cat(weights).detach()), torch.cat(biases).detach().to(like)


def _stand_in(norm: nn.Module) -> nn.Module:
    """What stands in a batch norm's place: what it did behind the norm, such as an activation, under the same names."""
    behind = [(name, one) for name, one in children(norm).items() if one is not None]
    made = nn.Sequential(OrderedDict([("folded", Folded()), *behind])) if behind else Folded()
    return made.eval()


def _check(apart: Difference, like: Any, model: nn.Module) -> None:
    """Raise InputError if the outputs differ by more than rounding explains."""
    dtypes = {one.dtype for one in model.parameters() if one.is_floating_point()}
    # A hundred times what ResNets show; deep networks add up the rounding of each layer.
    allowed = max((10 * torch.finfo(one).eps ** 0.5 for one in dtypes), default=0.0)
    if apart.relative > allowed:
        text = f"folding changes the outputs by {apart}, more than rounding explains"
        help = (
            "the model may run its parts in a way that one run does not show; leave folding out",
            "a network that amplifies rounding shows it in `model.double()`, where the difference goes away",
        )
        raise InputError(Diagnostic("inference", text, label=f"at most {allowed:.1g} of the largest output", help=help))


@dataclass(frozen=True)
class _State:
    """Which tensors and children each module of a model has, and its mode."""

    model: nn.Module
    modules: list[tuple[nn.Module, dict[str, Any], dict[str, Any], bool]]

    @classmethod
    def of(cls, model: nn.Module) -> _State:
        held = [(one, dict(parameters(one)), dict(children(one)), one.training) for one in model.modules()]
        return cls(model, held)

    def restore(self) -> nn.Module:
        """The model with the same objects as before."""
        for module, tensors, inside, training in self.modules:
            parameters(module).clear()
            parameters(module).update(tensors)
            children(module).clear()
            children(module).update(inside)
            module.training = training
        return self.model
