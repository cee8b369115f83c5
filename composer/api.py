"""What Python users call. Torch is imported only by what needs it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from composer import registry
from composer.errors import Diagnostic, UnavailableError
from composer.spec import zoo
from composer.spec.catalogue import experiments
from composer.spec.load import Spec, load
from composer.spec.references import NO_WEIGHTS

if TYPE_CHECKING:
    import torch

    from composer.compile.module import ComposedModule
    from composer.dag.graph import Graph

Source = str | Path | Mapping[str, Any] | Spec


def graph(
    source: Source,
    *,
    vars: Mapping[str, Any] | None = None,
    max_nodes: int | None = None,
    max_parameters: int | None = None,
) -> Graph:
    """Compose a network and check it without allocating anything.

    source  a path, a zoo name (`resnet50`), a mapping or a Spec
    vars    values for the spec's vars
    Raises SpecError or GraphError with every problem of the stage that failed.
    """
    from composer.dag.graph import compose
    from composer.dag.limits import MAX_NODES, MAX_PARAMETERS, Limits

    limits = Limits(max_nodes or MAX_NODES, max_parameters or MAX_PARAMETERS)
    return compose(load(source, vars=vars), limits)


def build(
    source: Source,
    *,
    vars: Mapping[str, Any] | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    seed: int = 0,
    weights: str | Path | Mapping[str, Any] | None = None,
    download: bool = False,
    max_nodes: int | None = None,
    max_parameters: int | None = None,
) -> ComposedModule:
    """Compose a network and build it: a plain nn.Module in training mode.

    Weights depend on the seed and each node's path alone, on any device: they are drawn on the CPU, then moved; or
    they are those that the spec or `weights` names. `model.weights_report` says what became of each tensor. On the
    meta device nothing is drawn or allocated.

    weights   in place of the spec's `weights`: a path, a hub reference (`timm:resnet50`), a mapping as in a spec, or
              `none`
    download  let a reference that the spec itself writes connect
    Raises SpecError, GraphError, WeightsError, or UnavailableError for a device, an extra or a hub that is not there;
    warns of a classifier that the weights leave as it was, and of a network that they were not made for.
    """
    from composer.compile.module import compile_graph
    from composer.weights.choose import choose, fill

    target = check_device(device)
    spec = load(source, vars=vars, sets=without_weights(source) if weights is not None else ())
    chosen = choose(spec, weights, download=download)
    composed = graph(spec, max_nodes=max_nodes, max_parameters=max_parameters)
    with target if _is_meta(target) and chosen is None else contextlib.nullcontext():
        model = compile_graph(composed, seed)
    if chosen is not None:
        report, _ = fill(model, chosen)
        for note in (*report.heads, *report.notes):
            warnings.warn(f"{spec.name}: {note}", stacklevel=2)
    return model if target is None and dtype is None else model.to(device=target, dtype=dtype)


def _is_meta(device: torch.device | None) -> TypeGuard[torch.device]:
    return device is not None and device.type == "meta"


def without_weights(source: Source) -> tuple[str, ...]:
    """Settings that keep a source from looking for weights of its own, where others are given."""
    return () if isinstance(source, Spec) else (f"weights={NO_WEIGHTS}",)


def check_device(device: str | torch.device | None) -> torch.device | None:
    """The device of a name; `auto` is CUDA where there is one. Raises UnavailableError."""
    import torch

    if device is None:
        return None
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        problem = Diagnostic("device", f"unknown device `{device}`", label="`auto`, `cpu` or `cuda`")
        raise UnavailableError(problem) from error
    if found.type == "cuda" and not torch.cuda.is_available():
        problem = Diagnostic("device", "this machine has no CUDA device", help=("use `--device cpu`",))
        raise UnavailableError(problem)
    return found


def list_mechanisms(pattern: str = "*") -> list[str]:
    """Names of the registered mechanisms that are like the pattern, sorted."""
    return [entry.name for entry in registry.entries("mechanism", pattern)]


def list_backbones(pattern: str = "*") -> list[str]:
    """Names of the zoo's backbones that are like the pattern, sorted."""
    return zoo.backbones(pattern)


def list_papers(
    pattern: str = "*", *, table: str | None = None, architecture: str | None = None, mechanism: str | None = None
) -> list[str]:
    """Zoo names of the papers' networks that are like the pattern, in the order of the article's tables.

    table, architecture, mechanism  only the rows of a results table that say so, such as `3.3`, `ResNet-50`, `GE-*`;
    `composer.load(name).published` is the row. Raises InputError for one that no row has.
    """
    found = experiments(pattern, table=table, architecture=architecture, mechanism=mechanism)
    return [experiment.name for experiment in found]


__all__ = ["build", "check_device", "graph", "list_backbones", "list_mechanisms", "list_papers", "load"]
