"""Models of timm, by the names of its own registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from composer.errors import Diagnostic, did_you_mean, one_of
from composer.sources.library import (
    Keywords,
    changed_sizes,
    fits,
    is_length,
    nothing_more,
    package,
    positional,
    sides_of,
    signature_of,
    without,
)
from composer.sources.offline import offline
from composer.spec.model import InputSpec
from composer.spec.model_source import ModelSource
from composer.spec.peers import image_of_timm

PACKAGE, EXTRA, CLASSES = "timm", "timm", "num_classes"
call, misfit, more_problems = positional, fits, nothing_more

# What `create_model` and its builder take for every model.
_OF_BUILDER = ("features_only", "out_indices", "feature_cls", "output_stride", "output_fmt", "scriptable", "exportable")
# What the functions of the registry give to the model's class themselves.
_OWN = ("cfg", "block", "layers", "block_args", "device", "dtype")


def check(source: ModelSource) -> Iterator[Diagnostic]:
    """The problems of the model's name."""
    timm = package("timm")

    name = source.name
    if any(letter in name for letter in ":/\\"):
        help = (
            "a spec names models of timm's own registry; `timm.list_models()` has them all",
            "weights of a hub are written `weights: hf:OWNER/NAME`",
        )
        text = f"`{name}` is not in timm's registry: it would fetch a model, or open a file"
        yield source.name_origin.problem("unknown-model", text, "a name of timm's registry", help)
    elif not timm.is_model(name):
        known = timm.list_models(f"{name[:3]}*") or timm.list_models(f"{name[:1]}*")
        hint = did_you_mean(name, known, "`timm.list_models()` names them all")
        yield source.name_origin.problem("unknown-model", f"timm has no model `{name}`", "a model of timm", hint)
    elif "." in name:
        model, _, tag = name.partition(".")
        tags = [one.partition(".")[2] for one in timm.list_pretrained(f"{model}.*")]
        if tag not in tags:
            hint = did_you_mean(tag, tags, f"it has {one_of(tags)}")
            text = f"timm's `{model}` has no variant `{tag}`"
            yield source.name_origin.problem("unknown-model", text, "a variant of the model", hint)


def num_classes(source: ModelSource) -> int | None:
    """The number of classes of the model's configuration."""
    if source.args.get("features_only") is True:
        return None
    return int(_configuration(source).get("num_classes", 1000))


def own_inputs(source: ModelSource) -> dict[str, InputSpec]:
    """The input of the model's configuration, of the size and channels that the arguments say."""
    found = image_of_timm(_configuration(source)) or InputSpec(shape=[3, 224, 224])
    channels, *own = map(int, found.shape)
    sides = sides_of(source.args.get("img_size")) or own
    given = source.args.get("in_chans")
    if is_length(given) and given != channels:
        channels, found = given, found.model_copy(update={"mean": None, "std": None})
    fields = {name: getattr(found, name) for name in found.model_fields_set if getattr(found, name) is not None}
    return {"input": InputSpec(**{**fields, "shape": [channels, *sides]})}


def takes(source: ModelSource) -> Keywords:
    """The arguments of the model's function and class."""
    timm = package("timm")

    found = signature_of(timm.models.model_entrypoint(source.name.partition(".")[0]))
    of_class = signature_of(_class(source.name).__init__)
    return Keywords(without((*found.names, *of_class.names, *_OF_BUILDER), _OWN), of_class.more)


def takes_vars(source: ModelSource) -> Keywords:
    """The same arguments."""
    return takes(source)


def sized(source: ModelSource) -> dict[str, Any]:
    """`in_chans` and `img_size`, where they differ from the model's own and it takes them."""
    return changed_sizes(source, takes(source).names, tuple, ("in_chans",), ("img_size",))


def make(source: ModelSource, given: Mapping[str, Any]) -> nn.Module:
    """The model, without weights of any hub."""
    timm = package("timm")

    model: nn.Module = timm.create_model(source.name, pretrained=False, **{**source.args, **given})
    return model


def _configuration(source: ModelSource) -> Mapping[str, Any]:
    found = package("timm.models").get_pretrained_cfg(source.name)
    return {} if found is None else found.to_dict()


@lru_cache(maxsize=256)
def _class(name: str) -> type[nn.Module]:
    """The class of a model, which only making one shows."""
    timm = package("timm")

    with offline():
        try:
            with torch.device("meta"):
                return type(timm.create_model(name, pretrained=False))
        except RuntimeError:
            # Some constructors read values, which tensors on meta do not have.
            return type(timm.create_model(name, pretrained=False))
