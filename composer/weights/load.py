"""Copy weights into a composed network: all of what fits, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor

from composer.errors import Diagnostic, WeightsError, did_you_mean, one_of
from composer.spec.hub import hub_of
from composer.weights.checkpoint import Checkpoint
from composer.weights.compare import Require, compare, require_fit
from composer.weights.fit import Wanted, by_name, by_order
from composer.weights.hub import fetch
from composer.weights.keys import Keys
from composer.weights.read import read_checkpoint
from composer.weights.report import LoadReport
from composer.weights.unwrap import unwrap

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule

Match = Literal["name", "order"]


def load_weights(
    model: ComposedModule,
    source: str | Path | Mapping[str, Any] | Checkpoint,
    *,
    require: Require = "backbone",
    match: Match = "name",
    keys: Keys | None = None,
    ema: bool = False,
) -> LoadReport:
    """Copy weights into a composed network.

    source   a .safetensors, .pt, .pth, .bin, .ckpt or .tar file, a hub reference (`timm:…`, `torchvision:…`, `hf:…`),
             a mapping name -> tensor (wrapped or not), or what `read_checkpoint` gave
    require  `backbone`: the source must fit, but for what attention rules put in or took out, what `outputs` leave
             out, and a classifier of another size; `all`: it must fit exactly; `any`: what fits is copied
    match    `name`, or `order`: the n-th tensor of the source is the n-th of the plain backbone
    keys     a key map by name, as a .yaml file or a mapping; without one those of composer are tried where the
             names do not fit
    ema      take averaged weights of a file that holds both
    Raises WeightsError, with every name that does not fit, and UnavailableError for a hub that cannot be asked. The
    network is then as it was.
    """
    WeightsError.check(_wrong_options(require, match, keys))
    checkpoint = open_source(source, ema=ema)
    own = model.state_dict()
    wanted = Wanted({name: tuple(tensor.shape) for name, tensor in own.items()}, model.graph)
    fitted = by_order(checkpoint, wanted) if match == "order" else by_name(checkpoint, wanted, keys)
    report = compare(fitted, wanted, checkpoint)
    require_fit(report, require, model.spec.name, by_order=match == "order")
    ready = {name: fitted.tensors[name].detach() for name in report.loaded}
    WeightsError.check(_problems(ready, own, checkpoint.name))
    with torch.no_grad():
        for name, tensor in ready.items():
            own[name].copy_(tensor)
    return report


def open_source(source: str | Path | Mapping[str, Any] | Checkpoint, *, ema: bool = False) -> Checkpoint:
    """The checkpoint of whatever `load_weights` takes. Raises WeightsError or UnavailableError."""
    if isinstance(source, Checkpoint):
        return source
    if isinstance(source, str) and hub_of(source):
        return fetch(source, ema=ema)
    if isinstance(source, Mapping):
        return unwrap(source, "the mapping", ema=ema)
    return read_checkpoint(source, ema=ema)


def _wrong_options(require: str, match: str, keys: Keys | None) -> Iterator[Diagnostic]:
    for name, value, known in (("require", require, get_args(Require)), ("match", match, get_args(Match))):
        if value not in known:
            text, hint = f"`{name}` cannot be `{value}`", did_you_mean(value, known)
            yield Diagnostic("weights-option", text, label=one_of(known), help=hint)
    if keys is not None and match == "order":
        text = "`keys` maps names, and `match: order` looks at none"
        yield Diagnostic("weights-keys", text, help=("drop one of the two",))


def _problems(found: Mapping[str, Tensor], own: Mapping[str, Tensor], source: str) -> Iterator[Diagnostic]:
    """Tensors of the right shape that still cannot be copied, one problem a kind."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for name, tensor in found.items():
        if problem := _unfit(tensor, own[name]):
            kinds.setdefault(problem, []).append(name)
    for (text, label), names in kinds.items():
        yield Diagnostic("weights-values", f"{source} holds {text} in {one_of(names, 6)}", label=label)


def _unfit(tensor: Tensor, own: Tensor) -> tuple[str, str] | None:
    """What a tensor holds instead of what the network needs there, and that; None where it can be copied."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_nested:
        kind = "no values" if tensor.is_meta else "quantized values" if tensor.is_quantized else f"{tensor.layout} ones"
        return kind, "plain dense tensors"
    if own.is_floating_point():
        if not tensor.is_floating_point():
            return f"{str(tensor.dtype).removeprefix('torch.')} values", "floating-point weights"
        if not torch.isfinite(tensor.to(own.dtype)).all():
            # Also numbers that only the network's own precision cannot hold.
            return "numbers that are not finite", "finite weights"
    elif tensor.is_complex() or (tensor.is_floating_point() and not torch.equal(tensor, tensor.round())):
        return f"{str(tensor.dtype).removeprefix('torch.')} values", "whole numbers"
    return None
