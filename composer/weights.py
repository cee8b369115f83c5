"""Weights from files into a composed network: checked whole before the first tensor is copied."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from composer.errors import Diagnostic, WeightsError, one_of

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule
    from composer.dag.graph import Graph

Require = Literal["all", "backbone", "any"]
Match = Literal["name", "order"]

# Batch norm counts its batches in an integer that decides nothing in eval; old checkpoints lack it.
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Checkpoint:
    """Tensors of a file by name, and the class names it carries. `ordered` when they stand as they were saved."""

    name: str
    tensors: Mapping[str, Tensor]
    ordered: bool = True
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class LoadReport:
    """What happened to each tensor.

    loaded      copied into the network
    inserted    the network's own, put in by attention rules, and not in the file
    missing     the network's own, of the backbone, and not in the file
    unexpected  in the file, and not of the network
    misshapen   in both with unequal shapes: name -> (the file's, the network's)
    """

    loaded: tuple[str, ...]
    inserted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] | None = None

    def __str__(self) -> str:
        parts = [f"loaded {len(self.loaded)} tensors"]
        for label, names in (
            ("missing, inserted by attention", self.inserted),
            ("missing", self.missing),
            ("unexpected", self.unexpected),
            ("misshapen", [_unequal(name, *shapes) for name, shapes in (self.misshapen or {}).items()]),
        ):
            if names:
                parts.append(f"{len(names)} {label}: {one_of(names, 6)}")
        return "\n".join(parts)


def load_weights(
    model: ComposedModule,
    source: str | Path | Mapping[str, Tensor] | Checkpoint,
    *,
    require: Require = "backbone",
    match: Match = "name",
) -> LoadReport:
    """Copy weights into a composed network.

    source   a .safetensors or .pt/.pth file, a mapping name -> tensor, or what `read_checkpoint` gave
    require  `backbone`: the file must fit, but for what attention rules put in or took out;
             `all`: it must fit exactly; `any`: what fits is copied, the rest reported
    match    `name`, or `order`: the n-th tensor of the file is the n-th of the network, inserted ones left out
    Raises WeightsError, with every name that does not fit, and leaves the network as it was.
    """
    if isinstance(source, Mapping):
        source = Checkpoint("the mapping", source)
    checkpoint = source if isinstance(source, Checkpoint) else read_checkpoint(Path(source))
    name = checkpoint.name
    own = model.state_dict()
    inserted = {key for key in own if _within(key, model.graph.inserted)}
    found = checkpoint.tensors
    if match == "order":
        found = _by_order(checkpoint, {key: own[key] for key in own if key not in inserted}, name)
    report = _compare(found, own, inserted)
    _require(report, require, model, name, match)
    bad = [key for key in report.loaded if not torch.isfinite(found[key]).all()]
    if bad:
        text = f"{name} holds numbers that are not finite in {one_of(bad, 6)}"
        raise WeightsError(Diagnostic("weights-finite", text, label="finite weights"))
    with torch.no_grad():
        for key in report.loaded:
            own[key].copy_(found[key])
    return report


def save_weights(model: ComposedModule, path: Path) -> None:
    """Write a network's weights as safetensors, with its class names where they fit its output."""
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in model.state_dict().items()}
    metadata = {"format": "pt", "spec": model.spec.name}
    if model.spec.classes is not None:
        metadata["classes"] = json.dumps(model.spec.classes)
    save_file(tensors, path, metadata=metadata)


def read_checkpoint(path: Path) -> Checkpoint:
    """The tensors of a file. Code in it never runs. Raises WeightsError for one that cannot be read."""
    if not path.is_file():
        raise WeightsError(Diagnostic("weights-file", f"there is no weights file `{path}`"))
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix not in (".pt", ".pth", ".bin", ".ckpt"):
        text = f"cannot tell what `{path}` is"
        raise WeightsError(Diagnostic("weights-file", text, label="a name that ends in .safetensors, .pt or .pth"))
    try:
        with warnings.catch_warnings():
            # It warns of pickle protocols it may not know, and then either reads the file or raises.
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        text = f"`{path}` holds more than tensors, and loading it could run code"
        help = ("save the state_dict alone: torch.save(model.state_dict(), …)",)
        raise WeightsError(Diagnostic("weights-pickle", text, help=help)) from error
    except (OSError, RuntimeError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    if not isinstance(found, Mapping) or not found or not all(isinstance(one, Tensor) for one in found.values()):
        text = f"`{path}` is not a state_dict"
        raise WeightsError(Diagnostic("weights-file", text, label="a mapping of names to tensors"))
    return Checkpoint(f"`{path}`", {str(key): tensor for key, tensor in found.items()})


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
            metadata = file.metadata() or {}
        classes: Any = json.loads(metadata.get("classes", "null"))
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    named = tuple(classes) if isinstance(classes, list) and all(isinstance(one, str) for one in classes) else None
    return Checkpoint(f"`{path}`", tensors, ordered=False, classes=named)


def _unreadable(path: Path, error: Exception) -> WeightsError:
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    return WeightsError(Diagnostic("weights-file", f"cannot read the weights `{path}`: {reason}"))


def _within(name: str, paths: Container[str]) -> bool:
    """Whether a tensor's name belongs to one of the nodes."""
    steps = name.split(".")
    return any(".".join(steps[:length]) in paths for length in range(1, len(steps) + 1))


def _by_order(checkpoint: Checkpoint, own: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The file's tensors under the network's names."""
    found = checkpoint.tensors
    if not checkpoint.ordered:
        text = f"{name} does not keep its tensors in the order they were saved; safetensors sorts them"
        raise WeightsError(Diagnostic("weights-order", text, help=("load by name, or from a .pt file",)))
    learned = {key: tensor for key, tensor in own.items() if not key.endswith(_COUNTER)}
    if len(found) not in (len(own), len(learned)):
        text = f"{name} has {len(found)} tensors, the network {len(own)} that no rule put in"
        help = ("load by name, or the weights of the same backbone",)
        raise WeightsError(Diagnostic("weights-order", text, help=help))
    own = own if len(found) == len(own) else learned
    return dict(zip(own, found.values(), strict=True))


def _compare(found: Mapping[str, Tensor], own: Mapping[str, Tensor], inserted: set[str]) -> LoadReport:
    shared = [key for key in own if key in found]
    absent = [key for key in own if key not in found and not key.endswith(_COUNTER)]
    return LoadReport(
        loaded=tuple(key for key in shared if found[key].shape == own[key].shape),
        inserted=tuple(key for key in own if key not in found and key in inserted),
        missing=tuple(key for key in absent if key not in inserted),
        unexpected=tuple(key for key in found if key not in own),
        misshapen={
            key: (tuple(found[key].shape), tuple(own[key].shape))
            for key in shared
            if found[key].shape != own[key].shape
        },
    )


def _require(report: LoadReport, require: Require, model: ComposedModule, name: str, match: Match) -> None:
    if require == "any":
        return
    missing, unexpected = list(report.missing), list(report.unexpected)
    if require == "all":
        missing += report.inserted
    elif unexpected:
        replaced = _replaced(model.graph)
        unexpected = [key for key in unexpected if not _within(key, replaced)]
    problems = [
        (f"the network has {len(missing)} tensors that are not in it: {one_of(missing, 6)}", missing),
        (f"it has {len(unexpected)} tensors that the network has not: {one_of(unexpected, 6)}", unexpected),
        ("shapes differ: " + ", ".join(_unequal(*item) for item in _few(report.misshapen)), report.misshapen),
    ]
    found = [text for text, names in problems if names]
    if found:
        help = ["to copy what fits and leave the rest, load with --require any (in Python, require='any')"]
        if match == "name" and not report.loaded:
            help.insert(0, "if only the names differ, load with --match order (in Python, match='order')")
        text = f"the weights in {name} do not fit `{model.spec.name}`; nothing was loaded"
        raise WeightsError(Diagnostic("weights-fit", text, help=(*found, *help)))


def _replaced(graph: Graph) -> set[str]:
    """Nodes of the plain backbone that rules took out or put something else in place of."""
    ours = {node.path: node.op for node, _ in graph.operations if node.rule is None}
    return {node.path for node, _ in graph.plain.operations if ours.get(node.path) != node.op}


def _few(misshapen: Mapping[str, Any] | None) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    return [(key, *shapes) for key, shapes in list((misshapen or {}).items())[:6]]


def _unequal(name: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    return f"{name} {'×'.join(map(str, found)) or 'scalar'}, not {'×'.join(map(str, wanted)) or 'scalar'}"
