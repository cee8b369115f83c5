"""Vision models of transformers, from their configurations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from composer.errors import Diagnostic, did_you_mean, one_of
from composer.foreign import is_error, named
from composer.sources.library import CHANNELS, Keywords, changed_sizes, fits, is_length, package, sides_of, signature_of
from composer.sources.offline import offline
from composer.sources.refused import is_refused
from composer.spec.model import InputSpec
from composer.spec.model_source import ModelSource
from composer.spec.origin import Origin

PACKAGE, EXTRA, CLASSES = "transformers", "transformers", "num_labels"
misfit = fits

# Keys that every configuration takes besides those of its signature.
_OF_EVERY = ("num_labels", "attn_implementation", "torch_dtype", "architectures")
# Ways to compute attention that are part of PyTorch; others may be fetched from a hub.
_ATTENTION = ("eager", "sdpa")
# How classes with a task are called: `ViTForImageClassification`, and not `PoolFormerModel`.
_TASK = re.compile("For[A-Z]")
_IMAGES = ("pixel_values", "pixel_values_videos")
# Configurations that name a model of timm, and under which key.
_OF_TIMM = {"timm_backbone": "backbone", "timm_wrapper": "architecture"}


def check(source: ModelSource) -> Iterator[Diagnostic]:
    """The problems of the model type and the class."""
    transformers = package("transformers")
    known = list(transformers.CONFIG_MAPPING.keys())
    if source.name not in known:
        hint = did_you_mean(source.name, known, "such as `vit`, `swin` or `convnext`")
        text = f"transformers has no model type `{source.name}`"
        yield source.name_origin.problem("unknown-model", text, "a model type of transformers", hint)
        return
    written = _class_name(source)
    if written is not None and not _is_model(_attribute(written)):
        hint = did_you_mean(written, [one for one in dir(transformers) if _may_be_model(one, source)])
        here = source.origin / ("class" if source.class_name else "transformers")
        yield here.problem("unknown-model", f"transformers has no model `{written}`", "a class of a model", hint)
        return
    found = _class(source)
    if found is None:
        text = f"`{written or 'AutoModel'}` makes no model of the type `{source.name}`"
        yield source.name_origin.problem("unknown-model", text, "a model type that it knows, or another `class`")
    elif found.main_input_name not in _IMAGES:
        text = f"`{found.__name__}` takes `{found.main_input_name}`, no images"
        yield source.name_origin.problem("unknown-model", text, "a model of images, such as `clip_vision_model`")


def num_classes(source: ModelSource) -> int | None:
    """The number of labels, of classes with a task; None for a model without a classifier."""
    found = _class(source)
    if found is None or _TASK.search(found.__name__) is None:
        return None
    given, names = source.config.get("num_labels"), source.config.get("id2label")
    if type(given) is int:
        return given
    return len(names) if isinstance(names, dict) else int(_config_class(source)().num_labels)


def own_inputs(source: ModelSource) -> dict[str, InputSpec]:
    """The image of the configuration, of its `image_size` and `num_channels`, else 3×224×224; or its clip."""
    config = _config(source, {**source.config, **_labels(source)})
    sides = sides_of(getattr(config, "image_size", None)) or (224, 224)
    channels = next((getattr(config, name) for name in CHANNELS if is_length(getattr(config, name, None))), 3)
    frames = getattr(config, "num_frames", None)
    if is_length(frames):
        return {"input": InputSpec(shape=[frames, channels, *sides], layout="b t c h w")}
    return {"input": InputSpec(shape=[channels, *sides])}


def takes(source: ModelSource) -> Keywords:
    """The arguments of the class besides its configuration."""
    found = _class(source)
    known = Keywords(()) if found is None else signature_of(found.__init__)
    return Keywords(tuple(name for name in known.names if name != "config"))


def takes_vars(source: ModelSource) -> Keywords:
    """The keys of the configuration."""
    kind = _config_class(source)
    known = signature_of(kind.__init__).names
    return Keywords((*known, *kind.attribute_map, *(one for one in _OF_EVERY if one not in known)))


def more_problems(source: ModelSource) -> Iterator[Diagnostic]:
    """Keys that the configuration does not have, values that it refuses, and names that a hub would be asked for."""
    here = source.origin / "transformers"
    fetched = list(_fetched({**source.config, "model_type": source.name}, here))
    yield from fetched
    told = {problem.path for problem in fetched}
    known = takes_vars(source).names
    unknown = [name for name in source.config if name not in known and (here / name).dotted not in told]
    found = bool(told or unknown)
    for name in unknown:
        if not is_refused(name):
            names = [one for one in known if not is_refused(one)]
            hint = did_you_mean(name, names, f"it takes {one_of(names)}")
            text = f"the configuration of `{source.name}` has no `{name}`"
            yield (here / name).problem("unknown-arg", text, "not a key of it", hint, key=True)
    for name in source.vars:
        if name.endswith("_implementation") or name in _OF_TIMM.values():
            found = True
            yield source.origin.problem("source-weights", f"`{name}` cannot be a var", f"write it in `{here.dotted}`")
    if found:
        return
    try:
        _config(source, {**source.config, **_labels(source)})
    except BaseException as error:
        if not is_error(error):
            raise
        said = " ".join(named(error).split())
        key = next((name for name in source.config if f"'{name}'" in said or f"`{name}`" in said), None)
        at = (here / key if key else here).written
        yield at.problem("model", f"the configuration of `{source.name}` cannot be made: {said}")


def sized(source: ModelSource) -> dict[str, Any]:
    """The keys of the configuration for channels and size, where they differ and it has them."""

    def written(size: list[int]) -> Any:
        return size[0] if size[0] == size[1] and not _sides(source) else size

    return changed_sizes(source, takes_vars(source).names, written, sizes=("image_size",))


def call(source: ModelSource, tensors: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Images have a name."""
    found = _class(source)
    return (), {_IMAGES[0] if found is None else found.main_input_name: tensors[0]}


def make(source: ModelSource, given: Mapping[str, Any]) -> nn.Module:
    """The model of the configuration; `given` are keys of it."""
    config = _config(source, {**source.config, **given})
    maker = _attribute(_class_name(source) or "AutoModel")
    model: nn.Module = maker.from_config(config, **source.args) if _is_auto(maker) else maker(config, **source.args)
    return model


def _fetched(value: Any, origin: Origin) -> Iterator[Diagnostic]:
    """A problem per name, at any depth of a configuration, that a hub would be asked for."""
    if not isinstance(value, dict):
        return
    kind = value.get("model_type")
    for name, one in value.items():
        if name == _OF_TIMM.get(str(kind)):
            timm = package("timm")

            if not isinstance(one, str) or any(letter in one for letter in ":/\\") or not timm.is_model(one):
                text = f"timm's registry has no model `{one}`"
                yield (origin / name).problem("unknown-model", text, "a model of timm")
        elif name in ("backbone", "backbone_kwargs") and one is not None:
            text = f"`{name}` would be looked up on a hub"
            help = ("such as `backbone_config: {model_type: resnet}`",)
            yield (origin / name).problem("source-weights", text, "write `backbone_config`", help, key=True)
        elif name.endswith("_implementation") and one not in _ATTENTION:
            text = f"`{name}` may be fetched from a hub"
            yield (origin / name).problem("source-weights", text, one_of(_ATTENTION))
        else:
            yield from _fetched(one, origin / name)


def _labels(source: ModelSource) -> dict[str, Any]:
    """The keys of the configuration that vars set."""
    return {CLASSES if name == "num_classes" else name: value for name, value in source.vars.items()}


def _config_class(source: ModelSource) -> Any:
    return package(PACKAGE).CONFIG_MAPPING[source.name]


def _config(source: ModelSource, keys: Mapping[str, Any]) -> Any:
    with offline():
        return package(PACKAGE).AutoConfig.for_model(source.name, **keys)


def _sides(source: ModelSource) -> bool:
    """Whether the configuration writes the size of an image as two sides."""
    return not isinstance(getattr(_config(source, {**source.config, **_labels(source)}), "image_size", 0), int)


def _class_name(source: ModelSource) -> str | None:
    """The class to make: the one that the spec names, or the first of `architectures`."""
    named = source.config.get("architectures")
    if source.class_name is None and isinstance(named, list) and named and isinstance(named[0], str):
        return named[0]
    return source.class_name


def _class(source: ModelSource) -> Any:
    """The class of the model; None if there is none for the model type."""
    maker = _attribute(_class_name(source) or "AutoModel")
    if not _is_auto(maker):
        return maker
    found = maker._model_mapping.get(_config_class(source), None)
    return found[0] if isinstance(found, tuple) else found


def _attribute(name: str) -> Any:
    """What the library has under a name; None also where what it has needs a package that is not installed."""
    try:
        return getattr(package(PACKAGE), name, None)
    except (ImportError, RuntimeError):
        return None


def _is_auto(maker: Any) -> bool:
    return hasattr(maker, "_model_mapping")


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and (issubclass(value, package(PACKAGE).PreTrainedModel) or _is_auto(value))


def _may_be_model(name: str, source: ModelSource) -> bool:
    """Whether a name of the package may be that of a model: what else it is, is not imported to be suggested."""
    return (
        name[:1].isupper()
        and not name.endswith(("Config", "Tokenizer", "Processor", "Fast"))
        and name[:1] == (_class_name(source) or " ")[:1].upper()
    )
