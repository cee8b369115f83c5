"""Runs a network once on images and collects what its attention shows."""

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

# Values of more numbers per image are kept only for the images that are drawn.
LARGE = 1 << 14
# Altered copies of the first image, to see whether a gate reacts.
COPIES = ("its negative", "its pixels in random order", "noise", "a uniform image")


@dataclass(frozen=True)
class Seen:
    """An attention value: its form, and its values over all images and the altered copies.

    everything  values of all images, then of their altered copies; None for maps, which are too large to keep
    fed         the site's input for the same images, averaged over positions: a number per channel
    """

    form: Form
    everything: Tensor | None
    fed: Tensor | None


@dataclass(frozen=True)
class Gathered:
    """All that a look at a network saw.

    model    a copy of the network in eval mode and float32
    names    names of all images
    photos   the first images, which are drawn
    inputs   the first images as the network takes them, b c h w
    logits   images x classes; None if the network does not give logits
    """

    model: ComposedModule
    names: tuple[str, ...]
    photos: tuple[Photo, ...]
    inputs: Tensor
    logits: Tensor | None
    seen: tuple[Seen, ...]

    @property
    def unfed(self) -> frozenset[str]:
        """The paths of the sites to which nothing but zeros came, whatever the input."""
        return frozenset(one.form.site.path for one in self.seen if one.fed is not None and not one.fed.any())

    def of(self, kind: type[Any]) -> list[Any]:
        """The forms of a kind, in running order."""
        return [one.form for one in self.seen if isinstance(one.form, kind)]


def gather(model: ComposedModule, images: Images) -> Gathered:
    """Run a network on images in eval mode and float32, and collect what its attention shows.

    model   the network, which stays as it is
    images  a path, several paths, or a folder; or a batch b c h w, prepared as the network's input asks

    Raises InputError.
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
    """The COPIES of an image c h w."""
    generator = torch.Generator().manual_seed(0)
    pixels = image.flatten(1)
    order = torch.randperm(pixels.shape[1], generator=generator)
    mean, deviation = pixels.mean(1, keepdim=True), pixels.std(1, correction=0, keepdim=True)
    negative = 2 * mean - pixels
    noise = mean + deviation * torch.randn(pixels.shape, generator=generator)
    return torch.stack([negative, pixels[:, order], noise, mean.expand_as(pixels)]).unflatten(2, image.shape[1:])


class _Collection:
    """Collects values by path and part, batch by batch."""

    def __init__(self, model: ComposedModule) -> None:
        self.model = model
        self.sites = sites_of(model)
        self.parts = _parts(model, self.sites)
        self.values: dict[tuple[str, str], list[Tensor]] = {}
        self.copies: dict[tuple[str, str], Tensor] = {}
        self.fed: dict[str, list[Tensor]] = {}
        self.device = next(model.parameters(), torch.empty(0)).device

    def run(self, batch: Tensor, *, altered: bool = False) -> Tensor | None:
        """Run a batch and return its logits."""
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
            # Without a value per image, it is only listed.
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
        """The collected values, in running order."""
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
    """All numbers of a value without the expected form, in a row."""
    parts = value if isinstance(value, tuple | list) else [value]
    found = [part.detach().float().cpu().flatten() for part in parts if isinstance(part, Tensor)]
    return torch.cat(found) if found else torch.empty(0)


def _parts(model: nn.Module, sites: Mapping[str, Site]) -> dict[tuple[str, str], tuple[nn.Module, ModuleEntry]]:
    """Mechanisms directly inside a site, such as CBAM's halves, by path and kind."""
    known = {entry.factory: entry for entry in registry.mechanisms() if entry.has_attention}
    found = {}
    for path in sites:
        for child in model.get_submodule(path).children():
            if (entry := known.get(type(child))) is not None:
                found[path, entry.kind] = child, entry
    return found


@contextlib.contextmanager
def _pooled_inputs(model: nn.Module, sites: Mapping[str, Site], into: dict[str, list[Tensor]]) -> Iterator[None]:
    """Collect the input of each site, averaged over positions to a number per channel."""

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
