"""composer's backbones in timm's registry, for code that makes its networks with `timm.create_model`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from composer import api
from composer.compile.features import FeatureInfo
from composer.compile.module import ComposedModule
from composer.errors import Diagnostic, InputError, UnavailableError

PREFIX = "composer_"
LAST = 3
# timm's registry reads a module's networks from `__all__`.
__all__: list[str] = ["Pyramid", "register_with_timm"]


class Pyramid(nn.Module):
    """Features at several scales in timm's form: a list of maps, the finest first.

    The maps are b c h w, also for Swin, where timm's are b h w c; `output_fmt` says so.
    """

    output_fmt = "NCHW"

    def __init__(self, body: ComposedModule, info: FeatureInfo) -> None:
        super().__init__()
        self.body = body
        self.feature_info = info

    def forward(self, x: Tensor) -> list[Tensor]:
        """b 3 h w -> a list of b c h w."""
        return list(self.body(x).values())


def register_with_timm() -> list[str]:
    """Let `timm.create_model("composer_resnet50", ...)` make composer's backbones; return their names in timm.

    `create_model` then takes `num_classes`, `in_chans`, `img_size`, `features_only` with `out_indices` (numbers of
    levels, or how many of the last), and vars of the spec by name. Features are maps b c h w; a ViT gives its last
    three. No pretrained weights have these names: `pretrained=True` raises InputError, which says how to load timm's
    weights. Raises UnavailableError without the extra `timm`.
    """
    try:
        from timm.models import is_model, register_model
    except ImportError as error:
        problem = Diagnostic("extra", "timm is not installed", help=('pip install "attention-composer[timm]"',))
        raise UnavailableError(problem) from error
    names = []
    for backbone in api.list_backbones():
        name = PREFIX + backbone
        names.append(name)
        if not is_model(name):
            register_model(_entry(name, backbone))
    return names


def _entry(name: str, backbone: str) -> Any:
    def create(pretrained: bool = False, **options: Any) -> nn.Module:
        return _create(name, backbone, pretrained, **options)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = f"{backbone}, composed."
    create.__module__ = __name__
    setattr(sys.modules[__name__], name, create)
    return create


def _create(
    name: str,
    backbone: str,
    pretrained: bool,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    img_size: int | tuple[int, int] | None = None,
    features_only: bool = False,
    out_indices: int | Sequence[int] | None = None,
    pretrained_cfg: Any = None,
    pretrained_cfg_overlay: Any = None,
    cache_dir: Any = None,
    **vars: Any,
) -> nn.Module:
    if pretrained:
        help = (f'composer.build("{backbone}", weights="timm:{backbone}")',)
        raise InputError(Diagnostic("weights", f"`{name}` has no weights of its own", help=help))
    model = api.build(backbone, vars=vars, num_classes=num_classes, in_chans=in_chans, img_size=img_size)
    return _pyramid(model, out_indices) if features_only else model


def _pyramid(model: ComposedModule, out_indices: int | Sequence[int] | None) -> Pyramid:
    levels = model.composed.graph.levels
    scales = {level.scale for level in levels}
    # As in timm: every scale; for a network with a single scale, some of its last blocks.
    wanted = out_indices if out_indices is not None else len(levels) if len(scales) == len(levels) else LAST
    if isinstance(wanted, int):
        wanted = range(len(levels) - wanted, len(levels))
    chosen = list(_chosen(levels, wanted))
    paths = {level.path.replace(".", "_"): level.path for level in chosen}
    return Pyramid(api.features(model, paths, maps=True), FeatureInfo(chosen))


def _chosen(levels: Sequence[Any], indices: Sequence[int]) -> Iterator[Any]:
    for index in indices:
        if not -len(levels) <= index < len(levels):
            text = f"out_indices has {index}, and there are {len(levels)} levels"
            raise InputError(Diagnostic("features", text, label=f"0 to {len(levels) - 1}"))
        yield levels[index]
