"""Models of torchvision, by the names of its own registry."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from composer.errors import Diagnostic, did_you_mean
from composer.sources.library import (
    Keywords,
    image_shape,
    is_length,
    nothing_more,
    package,
    positional,
    signature_of,
    without,
)
from composer.sources.offline import offline
from composer.spec.model import InputSpec
from composer.spec.model_source import ModelSource
from composer.spec.peers import image_of_torchvision

PACKAGE, EXTRA, CLASSES = "torchvision", "torchvision", "num_classes"
more_problems = nothing_more

# What the functions of the registry give to the model's class themselves.
_OWN = ("block", "layers", "backbone", "classifier", "aux_classifier", "features", "anchor_generator", "head")
# Frames of a clip where the weights state none.
_FRAMES = 16


def check(source: ModelSource) -> Iterator[Diagnostic]:
    """The problems of the model's name."""
    known = _models().list_models()
    if source.name not in known:
        hint = did_you_mean(source.name, known, "`torchvision.models.list_models()` names them all")
        text = f"torchvision has no model `{source.name}`"
        yield source.name_origin.problem("unknown-model", text, "a model of torchvision", hint)


def num_classes(source: ModelSource) -> int | None:
    """The number of classes of the model's weights; None for models without classes."""
    return len(_meta(source.name).get("categories") or ()) or None


def own_inputs(source: ModelSource) -> dict[str, InputSpec]:
    """The inputs of the model's weights: images, clips `b c t h w`, or the two images of optical flow."""
    kind, meta = _kind(source.name), _meta(source.name)
    image = image_of_torchvision(_transforms(source.name))
    if kind == "optical_flow":
        return {name: InputSpec(shape=[3, 224, 224]) for name in ("image1", "image2")}
    if kind == "video":
        frames = max(_FRAMES, meta.get("min_temporal_size", 1))
        side = image.shape[1] if image else 224
        return {"input": InputSpec(shape=[3, frames, side, side], layout="b c t h w")}
    size = source.args.get("image_size")
    if is_length(size):
        image = (image or InputSpec(shape=[])).model_copy(update={"shape": [3, size, size]})
    return {"input": image or InputSpec(shape=[3, 224, 224])}


def takes(source: ModelSource) -> Keywords:
    """The arguments of the model's function and class; those of a segmentation network reach no class."""
    builder = signature_of(_models().get_model_builder(source.name))
    if _kind(source.name) == "segmentation":
        return Keywords(builder.names)
    of_class = signature_of(_class(source.name).__init__)
    return Keywords(without((*builder.names, *of_class.names), _OWN), of_class.more)


def takes_vars(source: ModelSource) -> Keywords:
    """The same arguments."""
    return takes(source)


def misfit(source: ModelSource) -> str:
    """Of vision transformers, whose one argument is the side of a square."""
    changed = image_shape(source)
    if changed is None or "image_size" not in takes(source).names or changed[0][1] == changed[0][2]:
        return ""
    return f"{source.words} takes square images"


def sized(source: ModelSource) -> dict[str, Any]:
    """`image_size` or `input_size`, of models that are made for one size."""
    changed = image_shape(source)
    if changed is None or changed[0][1:] == changed[1][1:]:
        return {}
    known, size = takes(source).names, changed[0][1:]
    return {"image_size": size[0]} if "image_size" in known else {"input_size": size} if "input_size" in known else {}


def call(source: ModelSource, tensors: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Detectors take a list of images, the other models tensors."""
    if _kind(source.name) == "detection":
        return ([*tensors[0]],), {}
    return positional(source, tensors)


def make(source: ModelSource, given: Mapping[str, Any]) -> nn.Module:
    """The model, without weights of its own or of its backbone."""
    return _made(source.name, {**source.args, **given})


def _made(name: str, args: Mapping[str, Any]) -> nn.Module:
    builder = _models().get_model_builder(name)
    none = {key: None for key in inspect.signature(builder).parameters if key in ("weights", "weights_backbone")}
    model: nn.Module = builder(**none, **args)
    return model


def _models() -> Any:
    return package(PACKAGE).models


def _kind(name: str) -> str:
    """`detection`, `segmentation`, `video`, `optical_flow`, `quantization`; else the file of the model."""
    return str(_models().get_model_builder(name).__module__).split(".")[2]


def _meta(name: str) -> Mapping[str, Any]:
    weights = getattr(_models().get_model_weights(name), "DEFAULT", None)
    return {} if weights is None else weights.meta


def _transforms(name: str) -> Any:
    weights = getattr(_models().get_model_weights(name), "DEFAULT", None)
    return None if weights is None else weights.transforms()


@lru_cache(maxsize=256)
def _class(name: str) -> type[nn.Module]:
    """The class of a model, which only making one shows."""
    with offline(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with torch.device("meta"):
                return type(_made(name, {}))
        except RuntimeError:
            # Some constructors read values, which tensors on meta do not have.
            return type(_made(name, {}))
