"""Weights from hubs, through the libraries that know the hubs: timm, torchvision, huggingface_hub."""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from composer.errors import ComposerError, Diagnostic, UnavailableError, WeightsError, did_you_mean
from composer.spec.hub import example, hub_of, parse_reference
from composer.spec.peers import image_of_timm
from composer.weights.checkpoint import Checkpoint
from composer.weights.facts import Facts
from composer.weights.peers import facts_of_timm, facts_of_torchvision
from composer.weights.read import read_checkpoint
from composer.weights.unwrap import unwrap

# Usual file names in a repository, the safe format first.
_HF_FILES = ("model.safetensors", "pytorch_model.bin")
# Library -> composer's extra that installs it.
_EXTRAS = {"timm": "timm", "torchvision": "torchvision", "huggingface_hub": "hf"}


def fetch(reference: str, *, ema: bool = False) -> Checkpoint:
    """The weights that a reference names, from the library's cache or the network.

    Raises UnavailableError if the library is not installed or the hub cannot be reached, WeightsError if the hub has no
    such weights.
    """
    hub = hub_of(reference)
    assert hub is not None, reference
    parts = parse_reference(reference)
    if parts is None:
        text = f"cannot read the reference `{reference}`"
        raise WeightsError(Diagnostic("weights-hub", text, label=f"such as `{example(hub)}`"))
    with _explained(reference), _cache_alone_if_unreachable(hub):
        if hub == "timm":
            return _timm(reference, parts[0], ema)
        if hub == "torchvision":
            return _torchvision(reference, parts[0], ema)
        return _hugging_face(parts["repo"], parts["file"], parts["revision"], ema)


@contextmanager
def _cache_alone_if_unreachable(hub: str) -> Iterator[None]:
    """Lets Hugging Face's library look only into its cache if its hub does not answer.

    Else it tries each file six times, for half a minute and with a line each.
    """
    try:
        constants: Any = None if hub == "torchvision" else importlib.import_module("huggingface_hub.constants")
    except ImportError:
        constants = None
    if constants is None or constants.HF_HUB_OFFLINE:
        yield
        return
    constants.HF_HUB_OFFLINE = not _answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = False


def _answers(address: str) -> bool:
    """Whether the hub answers at all, by the library's own way to it, in five seconds."""
    try:
        importlib.import_module("huggingface_hub.utils").get_session().head(address, timeout=5)
    except Exception:
        # Of many kinds, by the version of the library and of what it asks with.
        return False
    return True


def _timm(reference: str, name: str, ema: bool) -> Checkpoint:
    timm = _library("timm", reference)
    if ema:
        text, help = f"`{reference}` names one set of weights, averaged or not", ("load it without ema",)
        raise WeightsError(Diagnostic("weights-ema", text, help=help))
    if not timm.models.is_model_pretrained(name):
        # timm has over a thousand names; the suggestion searches only those with the same beginning.
        alike = timm.list_pretrained(f"{name[:3]}*")
        known = [*dict.fromkeys(one.partition(".")[0] for one in alike), *alike]
        hint = did_you_mean(name, known, "`timm.list_pretrained()` names them all")
        raise WeightsError(Diagnostic("weights-hub", f"timm has no weights `{name}`", help=hint))
    # timm's own loading translates other projects' files into timm's names.
    model = timm.create_model(name, pretrained=True)
    facts = facts_of_timm(lambda: timm.create_model(name))
    return Checkpoint(f"`{reference}`", dict(model.state_dict()), facts=facts)


def _torchvision(reference: str, name: str, ema: bool) -> Checkpoint:
    models = _library("torchvision", reference).models
    try:
        weights = models.get_weight(name) if "." in name else models.get_model_weights(name).DEFAULT
    except (ValueError, KeyError, AttributeError) as error:
        known = [str(one) for model in models.list_models() for one in models.get_model_weights(model)]
        hint = did_you_mean(name, [*models.list_models(), *known], "`torchvision.models.list_models()` names them all")
        raise WeightsError(Diagnostic("weights-hub", f"torchvision has no weights `{name}`", help=hint)) from error
    found = weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    classes = weights.meta.get("categories")
    checkpoint = unwrap(found, f"`{reference}`", ema=ema)
    facts = facts_of_torchvision(lambda: _unfilled(models, weights), weights.transforms())
    return replace(checkpoint, classes=tuple(classes) if classes else None, facts=facts)


def _unfilled(models: Any, weights: Any) -> Any:
    """The torchvision network that these weights belong to, with random weights."""
    name = next(one for one in models.list_models() if weights in models.get_model_weights(one))
    return models.get_model(name, weights=None, num_classes=len(weights.meta["categories"]))


def _hugging_face(repo: str, file: str | None, revision: str | None, ema: bool) -> Checkpoint:
    hub = _library("huggingface_hub", f"hf:{repo}")
    errors = hub.errors
    offline = False
    for name in (file,) if file else _HF_FILES:
        try:
            path = hub.hf_hub_download(repo, name, revision=revision, local_files_only=offline)
        except errors.EntryNotFoundError as error:
            # Offline, the other file name may still be in the cache.
            offline = offline or isinstance(error, errors.LocalEntryNotFoundError)
            failure = error
        else:
            checkpoint = read_checkpoint(Path(path), ema=ema)
            return (
                replace(checkpoint, facts=_facts_of_repository(repo, revision)) if _silent(checkpoint) else checkpoint
            )
    raise failure


def _silent(checkpoint: Checkpoint) -> bool:
    return checkpoint.facts.input is None and not checkpoint.facts.uses


def _facts_of_repository(repo: str, revision: str | None) -> Facts:
    """What timm wrote beside weights that it pushed to the hub; empty for other repositories."""
    hub = _library("huggingface_hub", f"hf:{repo}")
    try:
        path = hub.hf_hub_download(repo, "config.json", revision=revision)
        written = json.loads(Path(path).read_text(encoding="utf-8"))
        image = image_of_timm(written["pretrained_cfg"])
        timm = importlib.import_module("timm")
        network = facts_of_timm(lambda: timm.create_model(written["architecture"], **written.get("model_args", {})))
    except ImportError:
        return Facts(image)
    except Exception:
        # Facts are optional: the weights work without them, and the report says what is not known.
        return Facts()
    return Facts(image, network.uses)


def _library(name: str, reference: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        extra = f"pip install 'attention-composer[{_EXTRAS[name]}]'"
        text = f"`{reference}` needs the package `{name}`"
        raise UnavailableError(Diagnostic("extra", text, label="an extra of composer", help=(extra,))) from error


@contextmanager
def _explained(reference: str) -> Iterator[None]:
    """Turns errors from inside the libraries into ours."""
    try:
        with warnings.catch_warnings():
            # Their warnings are about caches, tokens and deprecations.
            warnings.simplefilter("ignore")
            yield
    except ComposerError:
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        if type(error).__name__ == "LocalEntryNotFoundError":
            reason = "it is not in the cache, and the hub was not reached"
        if _is_network(error):
            text = f"cannot fetch `{reference}`: {reason}"
            help = ("check the connection, or fetch it elsewhere and give the file to --weights",)
            raise UnavailableError(Diagnostic("weights-network", text, help=help)) from error
        raise WeightsError(Diagnostic("weights-hub", f"cannot load `{reference}`: {reason}")) from error


def _is_network(error: Exception) -> bool:
    """Whether the hub could not be reached; an answer that refuses is not such an error."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, HTTPError) or "HfHubHTTPError" in names:
        return False
    return isinstance(error, URLError | ConnectionError | TimeoutError) or "LocalEntryNotFoundError" in names
