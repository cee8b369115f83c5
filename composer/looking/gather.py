"""A network run once on images, and all that its attention showed meanwhile."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from composer import registry
from composer.looking.forms import Branches, Form, Gates, Other, Routing, read
from composer.looking.photograph import Photo
from composer.looking.prepared import SHOWN, Images, prepare_images
from composer.looking.sites import Site, sites_of
from composer.recording import record
from composer.registry import ModuleEntry

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule

# Larger values of an image are kept of the images that are drawn alone.
LARGE = 1 << 14
# What the first image is turned into, to see whether a gate notices.
COPIES = ("its negative", "its pixels in random order", "noise", "a uniform image")


@dataclass(frozen=True)
class Seen:
    """One attention value: its form, and the same over all images and the altered copies.

    everything  values with those of the copies behind, of forms that are small; None for maps
    fed         what arrived, pooled to a number for each channel, for the same inputs
    """

    form: Form
    everything: Tensor | None
    fed: Tensor | None


@dataclass(frozen=True)
class Gathered:
    """What one look at a network saw.

    model    a copy of it in eval mode and float32
    names    of all images; `photos` and `inputs` (b c h w) are those of the first ones, which are drawn
    logits   images x classes; None where the network ends in something else
    """

    model: ComposedModule
    names: tuple[str, ...]
    photos: tuple[Photo, ...]
    inputs: Tensor
    logits: Tensor | None
    seen: tuple[Seen, ...]

    def of(self, kind: type[Any]) -> list[Any]:
        """The forms of one kind, in the order they run."""
        return [one.form for one in self.seen if isinstance(one.form, kind)]


def gather(model: ComposedModule, images: Images) -> Gathered:
    """Run a network on images in eval mode and float32, and keep what its attention shows.

    images   a path, several, a folder; or a batch b c h w, prepared as the network's input asks
    The network itself is left as it is. Raises InputError.
    """
    twin = copy.deepcopy(model).float().eval()
    prepared = prepare_images(twin, images)
    found = _Collection(twin)
    shown, logits = torch.empty(0), []
    for number, batch in enumerate(prepared.batches):
        logits.append(found.run(batch))
        if number == 0:
            shown = batch[:SHOWN]
    found.run(_altered(shown[0]), altered=True)
    whole = None if any(one is None for one in logits) else torch.cat([one for one in logits if one is not None])
    return Gathered(twin, prepared.names, prepared.photos, shown, whole, tuple(found.seen()))


def _altered(image: Tensor) -> Tensor:
    """COPIES of an image c h w."""
    generator = torch.Generator().manual_seed(0)
    pixels = image.flatten(1)
    order = torch.randperm(pixels.shape[1], generator=generator)
    mean, deviation = pixels.mean(1, keepdim=True), pixels.std(1, correction=0, keepdim=True)
    negative = 2 * mean - pixels
    noise = mean + deviation * torch.randn(pixels.shape, generator=generator)
    return torch.stack([negative, pixels[:, order], noise, mean.expand_as(pixels)]).unflatten(2, image.shape[1:])


class _Collection:
    """Values by path and part, batch by batch."""

    def __init__(self, model: ComposedModule) -> None:
        self.model = model
        self.sites = sites_of(model)
        self.parts = _parts(model, self.sites)
        self.values: dict[tuple[str, str], list[Tensor]] = {}
        self.copies: dict[tuple[str, str], Tensor] = {}
        self.fed: dict[str, list[Tensor]] = {}
        self.device = next(model.parameters(), torch.empty(0)).device

    def run(self, batch: Tensor, *, altered: bool = False) -> Tensor | None:
        """Run a batch; returns its logits."""
        with contextlib.ExitStack() as stack:
            whole = stack.enter_context(record(self.model))
            stack.enter_context(_pooled_inputs(self.model, self.sites, self.fed))
            halves = {key: stack.enter_context(record(part)) for key, (part, _) in self.parts.items()}
            with torch.inference_mode():
                output = self.model(batch.to(self.device))
        found = {(path, ""): value for path, value in whole.items()}
        found.update({key: values[""] for key, values in halves.items() if "" in values})
        for key, value in found.items():
            self._keep(key, value, len(batch), altered)
        return output.float().cpu() if isinstance(output, Tensor) and output.ndim == 2 else None

    def _keep(self, key: tuple[str, str], value: Any, count: int, altered: bool) -> None:
        if not isinstance(value, Tensor) or value.ndim == 0 or len(value) != count:
            # Not one value an image: it is listed, and nothing more.
            value = _numbers(value)
        large = value.numel() > LARGE * len(value)
        if altered and large:
            return
        value = value.float().cpu()
        if altered:
            self.copies[key] = value
            return
        before = self.values.setdefault(key, [])
        room = SHOWN - sum(map(len, before)) if large else len(value)
        before.append(value[: max(0, room)])

    def seen(self) -> Iterator[Seen]:
        """What was kept, in the order that the network runs."""
        order = {path: index for index, path in enumerate(self.sites)}
        for path, part in sorted(self.values, key=lambda key: (order[key[0]], key[1])):
            site = self.sites[path]
            if (path, part) in self.parts:
                site = replace(site, applied=self.parts[path, part][1].applied)
            form = _read(site, self.values[path, part], part)
            everything = None
            if isinstance(form, Gates | Branches | Routing) and (copies := self.copies.get((path, part))) is not None:
                everything = torch.cat([form.values, copies.reshape(len(copies), *form.values.shape[1:])])
            yield Seen(form, everything, torch.cat(self.fed[path]) if path in self.fed else None)


def _read(site: Site, values: list[Tensor], part: str) -> Form:
    if len({value.shape[1:] for value in values}) > 1 or values[0].ndim == 1:
        return Other(site, part, torch.cat([value.flatten() for value in values]), "is not one value for each image")
    return read(site, torch.cat(values), part)


def _numbers(value: Any) -> Tensor:
    """All numbers of a value that has not the form it should have, in one row."""
    parts = value if isinstance(value, tuple | list) else [value]
    found = [part.detach().float().cpu().flatten() for part in parts if isinstance(part, Tensor)]
    return torch.cat(found) if found else torch.empty(0)


def _parts(model: nn.Module, sites: Mapping[str, Site]) -> dict[tuple[str, str], tuple[nn.Module, ModuleEntry]]:
    """Mechanisms directly inside one of the sites, such as CBAM's halves, by path and kind."""
    known = {entry.factory: entry for entry in registry.mechanisms() if entry.has_attention}
    found = {}
    for path in sites:
        for child in model.get_submodule(path).children():
            if (entry := known.get(type(child))) is not None:
                found[path, entry.kind] = child, entry
    return found


@contextlib.contextmanager
def _pooled_inputs(model: nn.Module, sites: Mapping[str, Site], into: dict[str, list[Tensor]]) -> Iterator[None]:
    """Note what arrives at each site, pooled over positions to a number for each channel."""

    def noter(path: str) -> Any:
        channels_last = sites[path].kind == "token"

        def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            x = inputs[0].float()
            pooled = x.mean(1) if x.ndim == 3 and channels_last else x.flatten(2).mean(2) if x.ndim > 2 else x
            into.setdefault(path, []).append(pooled.cpu())

        return note

    handles = [model.get_submodule(path).register_forward_pre_hook(noter(path)) for path in sites]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
