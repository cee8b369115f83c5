"""Copies weights into a network: every tensor that fits, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from composer import given
from composer.compile.module import ComposedModule
from composer.errors import Diagnostic, WeightsError, did_you_mean, one_of
from composer.load_report import Adapted, LoadReport
from composer.spec.hub import hub_of
from composer.spec.sources import wrong_network
from composer.weights.adapt import adapt
from composer.weights.checkpoint import Checkpoint
from composer.weights.compare import Require, compare, require_fit
from composer.weights.fit import Fitted, by_name, by_order
from composer.weights.hosted import WantedOfHost, wanted_of
from composer.weights.hub import fetch
from composer.weights.keys import Keys, read_key_map
from composer.weights.read import read_checkpoint
from composer.weights.reading import AS_THEY_ARE
from composer.weights.remarks import with_remarks
from composer.weights.search import Choice
from composer.weights.tensor import irregular
from composer.weights.unwrap import of_entry, unwrap
from composer.weights.wanted import Wanted

Match = Literal["name", "order"]


def load_weights(
    model: ComposedModule | nn.Module,
    source: str | Path | Mapping[str, Any] | Checkpoint,
    *,
    require: Require = "backbone",
    match: Match = "name",
    keys: Keys | None = None,
    ema: bool = False,
    entry: str | None = None,
    prefix: str | None = None,
) -> LoadReport:
    """Copy weights into a network and return a report of what became of every tensor.

    model    the network to fill, on any device but meta; or a model of any library, before `composer.insert` or after
             it: a file of the plain model is whole for both
    source   a .safetensors, .pt, .pth, .bin, .ckpt or .tar file, a hub reference (`timm:…`, `torchvision:…`, `hf:…`), a
             mapping name -> tensor (wrapped or not), or the result of `read_checkpoint`
    require  `backbone`: the source must fit, except for what attention rules inserted or removed, what `outputs` leaves
             out, and a classifier of another size; `all`: it must fit exactly; `any`: copy what fits
    match    `name`, or `order`: the n-th tensor of the source is the n-th of the plain backbone
    keys     a key map: a name, a .yaml file or a mapping; by default composer's key maps are tried if the names do not
             fit
    ema      take averaged weights if the file holds both averaged and plain weights
    entry    the entry to take, dotted, if the file holds several sets of weights; by default the one that fits
    prefix   what the names in the file begin with; by default the prefix with which they fit
    Raises WeightsError, with every name that does not fit, and UnavailableError for a hub that cannot be reached. The
    network is then as it was.
    """
    foreign = None if isinstance(model, ComposedModule) or not isinstance(model, nn.Module) else wanted_of(model)
    if not isinstance(model, ComposedModule) and foreign is None:
        raise WeightsError(wrong_network(model))
    WeightsError.check(_wrong_options(require, match, keys))
    checkpoint = open_source(source, ema=ema, entry=entry)
    if not isinstance(model, ComposedModule):
        assert foreign is not None
        return _into_host(model, foreign, checkpoint, require, match, keys, prefix)
    report, fitted = copy_weights(model, checkpoint, require=require, match=match, keys=keys, prefix=prefix)
    report = with_remarks(report, model.graph, checkpoint, fitted.sources)
    model.weights_report = report
    return report


def copy_weights(
    model: ComposedModule,
    checkpoint: Checkpoint,
    *,
    require: Require,
    match: Match,
    keys: Keys | None,
    prefix: str | None,
) -> tuple[LoadReport, Fitted]:
    """Copy tensors without any remarks on the source; arguments as for `load_weights`."""
    choice = Choice(None if keys is None else read_key_map(keys), prefix)
    own = model.state_dict()
    WeightsError.check(_no_room(own))
    wanted = Wanted({name: tuple(tensor.shape) for name, tensor in own.items()}, model.graph)
    fitted = (by_order if match == "order" else by_name)(checkpoint, wanted, choice)
    adapted: tuple[Adapted, ...] = ()
    if require != "all":
        image = checkpoint.facts.input
        size = None if image is None or len(image.shape) != 3 else (int(image.shape[1]), int(image.shape[2]))
        tensors, adapted = adapt(fitted.tensors, model, size)
        fitted = replace(fitted, tensors=tensors)
    report = compare(fitted, wanted, checkpoint)
    report = replace(report, adapted=adapted)
    require_fit(report, require, model.spec.name, by_order=match == "order")
    _copy(own, fitted, report, checkpoint)
    return report, fitted


def _into_host(
    model: nn.Module,
    wanted: WantedOfHost,
    checkpoint: Checkpoint,
    require: Require,
    match: Match,
    keys: Keys | None,
    prefix: str | None,
) -> LoadReport:
    """Copy tensors into a model of another library; its own names are those of the file unless a key map is given."""
    own = model.state_dict()
    WeightsError.check(_no_room(own))
    choice = Choice(AS_THEY_ARE if keys is None else read_key_map(keys), prefix)
    fitted = (by_order if match == "order" else by_name)(checkpoint, wanted, choice)
    report = compare(fitted, wanted, checkpoint)
    require_fit(report, require, type(model).__name__, by_order=match == "order")
    _copy(own, fitted, report, checkpoint)
    return report


def _copy(own: Mapping[str, Tensor], fitted: Fitted, report: LoadReport, checkpoint: Checkpoint) -> None:
    """Copy what the report says is loaded. Raises WeightsError before the first tensor if one cannot be copied."""
    ready = {name: fitted.tensors[name].detach() for name in report.loaded}
    WeightsError.check(_problems(ready, own, checkpoint.name))
    with torch.no_grad():
        for name, tensor in ready.items():
            own[name].copy_(tensor)


def open_source(
    source: str | Path | Mapping[str, Any] | Checkpoint, *, ema: bool = False, entry: str | None = None
) -> Checkpoint:
    """The checkpoint for any source that `load_weights` takes. Raises WeightsError or UnavailableError."""
    found = _open(source, ema)
    return found if entry is None else of_entry(found, entry)


def _open(source: str | Path | Mapping[str, Any] | Checkpoint, ema: bool) -> Checkpoint:
    if isinstance(source, Checkpoint):
        return source
    if isinstance(source, str) and hub_of(source):
        return fetch(source, ema=ema)
    if isinstance(source, Mapping):
        return unwrap(source, "the mapping", ema=ema)
    return read_checkpoint(given.path("source", source), ema=ema)


def _wrong_options(require: str, match: str, keys: Keys | None) -> Iterator[Diagnostic]:
    for name, value, known in (("require", require, get_args(Require)), ("match", match, get_args(Match))):
        if value not in known:
            text, hint = f"`{name}` cannot be `{value}`", did_you_mean(value, known)
            yield Diagnostic("weights-option", text, label=one_of(known), help=hint)
    if keys is not None and match == "order":
        text = "`keys` maps names, and `match: order` looks at none"
        yield Diagnostic("weights-keys", text, help=("drop one of the two",))


def _no_room(own: Mapping[str, Tensor]) -> Iterator[Diagnostic]:
    """One problem per kind of tensor in the network that no numbers can be copied into."""
    if meta := [name for name, tensor in own.items() if tensor.is_meta]:
        text = f"the network has no numbers yet: on the meta device are {one_of(meta, 3)}"
        help = ('call `model.to_empty(device="cpu")` and `model.init_non_persistent_buffers()` first',)
        yield Diagnostic("weights-meta", text, label="a network on a device", help=help)
    # This tells a DTensor without importing its class.
    if sharded := [name for name, tensor in own.items() if hasattr(tensor, "device_mesh")]:
        text = f"the network is spread over processes: each holds a part of {one_of(sharded, 3)}"
        help = (
            "load weights before `fully_shard`, or give the whole state of a network to "
            "`torch.distributed.checkpoint.state_dict.set_model_state_dict`",
        )
        yield Diagnostic("weights-sharded", text, label="a whole network", help=help)


def _problems(found: Mapping[str, Tensor], own: Mapping[str, Tensor], source: str) -> Iterator[Diagnostic]:
    """One problem per kind of tensor in the file that has the right shape and still cannot be copied."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for name, tensor in found.items():
        if problem := _unfit(tensor, own[name]):
            kinds.setdefault(problem, []).append(name)
    for (text, label), names in kinds.items():
        yield Diagnostic("weights-values", f"{source} holds {text} in {one_of(names, 6)}", label=label)


def _unfit(tensor: Tensor, own: Tensor) -> tuple[str, str] | None:
    """What a tensor holds, and what the network needs in its place; None if the tensor can be copied."""
    if kind := irregular(tensor):
        return kind, "plain dense tensors"
    if own.is_floating_point():
        if not tensor.is_floating_point():
            return f"{str(tensor.dtype).removeprefix('torch.')} values", "floating-point weights"
        if not torch.isfinite(tensor.to(own.dtype)).all():
            # This includes numbers too large for the network's own dtype.
            return "numbers that are not finite", "finite weights"
    elif tensor.is_complex() or (tensor.is_floating_point() and not torch.equal(tensor, tensor.round())):
        return f"{str(tensor.dtype).removeprefix('torch.')} values", "whole numbers"
    return None
