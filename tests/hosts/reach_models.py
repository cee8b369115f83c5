"""The models of the reach table, each as a spec names it, and how each is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import torch
import yaml
from torch import Tensor, nn

import composer
from composer.hosts.recording.record import on_meta
from composer.sources import example, make
from composer.spec.model_source import ModelSource
from tests.hosts.test_sites import FAMILIES, TORCHVISION, TRANSFORMERS
from tests.sources.test_transformers import TYPES, WHOLE

DATA: Mapping[str, Any] = yaml.safe_load((Path(__file__).parent / "reach.yaml").read_text())
SIZES = (64, 128)
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Subject:
    """A row of the table.

    backbone  as in a spec
    blocks    how many there are by eye: by globs, or in all; None where nobody has counted
    part      path of the module that takes the insertions; empty for the whole model
    sites     that are named and not recognised
    args      of the model that runs with numbers, where the whole one is too large
    """

    library: str
    name: str
    backbone: Mapping[str, Any]
    blocks: Mapping[str, int] | int | None = None
    part: str = ""
    sites: Mapping[str, Any] = field(default_factory=dict)
    args: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The name of the model in its library."""
        found = next(iter(self.backbone.values()))
        return str(found["model_type"] if isinstance(found, Mapping) else found)

    def source(self, size: int | None, args: Mapping[str, Any]) -> ModelSource:
        """The model as a spec names it, for images of a size, or for its own."""
        spec: dict[str, Any] = {"backbone": {**self.backbone, "args": {**self.backbone.get("args", {}), **args}}}
        found = composer.load_spec({**spec, "input": [3, size, size]} if size else spec).source
        assert found is not None
        return found


@dataclass
class Live:
    """A model with numbers, in evaluation mode.

    host     the part of it that takes the insertions
    example  what the host is called with
    """

    model: nn.Module
    host: nn.Module
    example: Arguments
    size: str
    call: Callable[[bool], Any]

    def run(self, *, training: bool = False) -> Any:
        """What the model gives, in training mode if told, with the same random numbers in each run."""
        self.model.train(training)
        torch.manual_seed(0)
        try:
            return self.call(training)
        finally:
            self.model.eval()


def subjects() -> list[Subject]:
    """Every row, in the order of the table."""
    return [*_timm(), *_torchvision(), *_transformers(), *_smp()]


def _timm() -> Iterator[Subject]:
    for name, one in FAMILIES.items():
        args = DATA["timm"].get(name, {})
        yield Subject("timm", name, {"timm": one["model"]}, one["block"], args=args)


def _torchvision() -> Iterator[Subject]:
    for name, (blocks, _) in TORCHVISION.items():
        yield Subject("torchvision", name, {"torchvision": name}, blocks)
    for name, blocks in DATA["segmentation"].items():
        yield Subject("torchvision", name, {"torchvision": name}, blocks)
    for name, blocks in DATA["detection"].items():
        yield Subject("torchvision", name, {"torchvision": name}, blocks, part="backbone")


def _transformers() -> Iterator[Subject]:
    counted = {name.lower(): numbers[0] for name, numbers in TRANSFORMERS.items()}
    for kind, config in TYPES.items():
        blocks = config.get("num_hidden_layers") or sum(config.get("depths", ())) or None
        if config is WHOLE:
            blocks = counted.get(kind.replace("_", ""))
        if kind in DATA["siblings"]:
            continue
        yield Subject("transformers", kind, {"transformers": {"model_type": kind, **config}}, blocks)


def _smp() -> Iterator[Subject]:
    for made in smp.MODEL_ARCHITECTURES_MAPPING.values():
        name = made.__name__
        encoder = "tu-vit_tiny_patch16_224" if name == "DPT" else "resnet18"
        backbone = {"smp": name, "args": {"encoder_name": encoder}}
        yield Subject("smp", name, backbone, sites={"block": DATA["smp"][name]})


def recordable(subject: Subject) -> tuple[nn.Module, Arguments]:
    """The part of the library's own model that takes insertions, on the meta device, and what it is called with."""
    source = subject.source(None, {})
    whole = make(source)
    return whole.get_submodule(subject.part), _images(source, subject.part)


def live(subject: Subject) -> Live:
    """The model with numbers, for the smallest images that it takes."""
    size = None if subject.part else next(filter(lambda size: _takes(subject, size), SIZES), None)
    args = DATA["detector"] if subject.part and not subject.name.startswith("ssd") else subject.args
    source = subject.source(size, args)
    model = make(source, seed=0).eval()
    _without_zeros(model)
    inputs = _numbers(_images(source, subject.part))
    if subject.part:
        return Live(model, model.get_submodule(subject.part), inputs, "64×64", _detecting(model))
    side = max((one.shape[-1] for one in _tensors(inputs)), default=0)
    return Live(model, model, inputs, f"{side}×{side}", lambda _: model(*inputs[0], **inputs[1]))


def _takes(subject: Subject, size: int) -> bool:
    """Whether the model runs on images of a size, and accepts them as its own."""
    try:
        source = subject.source(size, subject.args)
        args, kwargs = example(source)
        made = make(source)
        with torch.no_grad():
            on_meta(made)(*args, **kwargs)
    except Exception:
        return False
    return True


def _images(source: ModelSource, part: str) -> Arguments:
    return ((torch.empty(2, 3, 64, 64, device="meta"),), {}) if part else example(source)


def _numbers(arguments: Any) -> Any:
    """The arguments with random numbers."""
    if isinstance(arguments, Tensor):
        generator = torch.Generator().manual_seed(0)
        return torch.randn(arguments.shape, generator=generator).to(arguments.dtype)
    if isinstance(arguments, Mapping):
        return {key: _numbers(one) for key, one in arguments.items()}
    return type(arguments)(map(_numbers, arguments)) if isinstance(arguments, tuple | list) else arguments


def _tensors(arguments: Arguments) -> Sequence[Tensor]:
    return [one for one in (*arguments[0], *arguments[1].values()) if isinstance(one, Tensor)]


def _without_zeros(model: nn.Module) -> None:
    """Weights that start at zero get numbers: behind them nothing can be seen, and no gradient comes through."""
    for name, parameter in model.named_parameters():
        if not parameter.any() and parameter.ndim >= 2:
            nn.init.normal_(parameter, std=0.02)
        elif not parameter.any() and not name.endswith("bias"):
            nn.init.ones_(parameter)


def _detecting(model: nn.Module) -> Callable[[bool], Any]:
    """A detector's call: of images, and in training of boxes, classes, masks and keypoints too."""
    images = [torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(number)) for number in (0, 1)]
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[:, 8:40, 8:40] = 1
    points = torch.tensor([[[20.0, 20.0, 1.0]] * 17])
    target = {"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([1])}
    target |= {"masks": mask, "keypoints": points}
    return lambda training: model(images, [target, target]) if training else model(images)
