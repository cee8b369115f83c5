"""Architectures of segmentation_models_pytorch."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from composer.errors import Diagnostic, did_you_mean
from composer.sources.library import Keywords, fits, image_shape, is_length, package, positional, signature_of
from composer.spec.model import InputSpec
from composer.spec.model_source import ModelSource

PACKAGE, EXTRA, CLASSES = "segmentation_models_pytorch", "smp", "classes"
call, misfit = positional, fits

# What the encoder's name begins with where timm makes the encoder.
_TIMM = "tu-"


def check(source: ModelSource) -> Iterator[Diagnostic]:
    """The problems of the architecture's name."""
    known = _architectures()
    if source.name not in known:
        hint = did_you_mean(source.name, known, f"it has {', '.join(f'`{one}`' for one in known)}")
        text = f"segmentation_models_pytorch has no `{source.name}`"
        yield source.name_origin.problem("unknown-model", text, "an architecture", hint)


def num_classes(source: ModelSource) -> int | None:
    """The default of `classes`."""
    return int(signature_default(source, "classes"))


def own_inputs(source: ModelSource) -> dict[str, InputSpec]:
    """An image of 224×224; no library states how it is prepared without asking a hub."""
    channels = source.args.get("in_channels", signature_default(source, "in_channels"))
    return {"input": InputSpec(shape=[channels if is_length(channels) else 3, 224, 224])}


def takes(source: ModelSource) -> Keywords:
    """The arguments of the architecture; it hands further ones to its encoder."""
    return signature_of(_architectures()[source.name].__init__)


def takes_vars(source: ModelSource) -> Keywords:
    """The arguments of the architecture itself."""
    return Keywords(takes(source).names)


def more_problems(source: ModelSource) -> Iterator[Diagnostic]:
    """An encoder that the library does not have."""
    name = {**source.args, **source.vars}.get("encoder_name")
    if not isinstance(name, str):
        return
    here = source.origin_of("encoder_name")
    if name.startswith(_TIMM):
        timm = package("timm")

        of_timm = name.removeprefix(_TIMM)
        known = [f"{_TIMM}{one}" for one in timm.list_models(f"{of_timm[:3]}*")]
        found = not any(letter in of_timm for letter in ":/\\") and timm.is_model(of_timm)
    else:
        known = package(PACKAGE).encoders.get_encoder_names()
        found = name in known
    if not found:
        hint = did_you_mean(name, known, "`tu-NAME` is an encoder of timm")
        yield here.problem("unknown-model", f"there is no encoder `{name}`", "an encoder of the library", hint)


def sized(source: ModelSource) -> dict[str, Any]:
    """`in_channels`, where they differ; an architecture takes images of any size."""
    changed = image_shape(source)
    return {} if changed is None or changed[0][0] == changed[1][0] else {"in_channels": changed[0][0]}


def make(source: ModelSource, given: Mapping[str, Any]) -> nn.Module:
    """The architecture, without weights of its encoder."""
    return _architectures()[source.name](encoder_weights=None, **{**source.args, **given})


def signature_default(source: ModelSource, name: str) -> Any:
    """The default of an argument of the architecture."""
    return inspect.signature(_architectures()[source.name].__init__).parameters[name].default


def _architectures() -> dict[str, type[nn.Module]]:
    found = package(PACKAGE)
    return {one.__name__: one for one in found.MODEL_ARCHITECTURES_MAPPING.values()}
