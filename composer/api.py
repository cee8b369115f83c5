"""What Python users call. Torch is imported only by what needs it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from composer import registry
from composer.errors import Diagnostic, UnavailableError
from composer.spec import zoo
from composer.spec.catalogue import experiments
from composer.spec.load import check_source, load_spec
from composer.spec.sized import ImageSize, sized
from composer.spec.spec import Spec

if TYPE_CHECKING:
    import torch

    from composer.compile.module import ComposedModule
    from composer.dag.composition import Composition
    from composer.difference import Difference
    from composer.looking import Look
    from composer.looking.prepared import Images
    from composer.looking.queries import Patch
    from composer.network import Graph

Source = str | Path | Mapping[str, Any] | Spec


def compose(
    source: Source,
    *,
    vars: Mapping[str, Any] | None = None,
    num_classes: int | None = None,
    in_chans: int | None = None,
    img_size: ImageSize | None = None,
    max_nodes: int | None = None,
    max_parameters: int | None = None,
) -> Graph:
    """Compose a network and check it without allocating anything.

    source       a path, a zoo name (`resnet50`), a mapping or a Spec
    vars         values for the spec's vars
    num_classes  the var of that name
    in_chans     channels of the one input
    img_size     its height and width, or one number for both
    Raises SpecError or GraphError with every problem of the stage that failed, and InputError for a keyword that the
    spec has nothing for or that `vars` sets too.
    """
    from composer.dag.limits import MAX_NODES, MAX_PARAMETERS, Limits
    from composer.network import Graph

    limits = Limits(max_nodes or MAX_NODES, max_parameters or MAX_PARAMETERS)
    spec = load_spec(source, vars=vars)
    spec = sized(spec, num_classes=num_classes, in_chans=in_chans, img_size=img_size, besides=vars or ())
    return Graph.of(spec, limits)


# Names that earlier versions had.
graph = compose
load = load_spec


def build(
    source: Source,
    *,
    vars: Mapping[str, Any] | None = None,
    num_classes: int | None = None,
    in_chans: int | None = None,
    img_size: ImageSize | None = None,
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

    vars, num_classes, in_chans, img_size  as `compose` takes them
    weights   in place of the spec's `weights`: a path, a hub reference (`timm:resnet50`), a mapping as in a spec, or
              `none`
    download  let a reference that the spec itself writes connect
    Raises SpecError, GraphError, InputError, WeightsError, or UnavailableError for a device, an extra or a hub that is
    not there; warns of a classifier that the weights leave as it was, and of a network that they were not made for.
    """
    from composer.compile.module import compile_graph
    from composer.weights.choose import choose, fill

    target = check_device(device)
    spec = load_spec(source, vars=vars, weights=weights is None)
    spec = sized(spec, num_classes=num_classes, in_chans=in_chans, img_size=img_size, besides=vars or ())
    chosen = choose(spec, weights, download=download)
    composed = compose(spec, max_nodes=max_nodes, max_parameters=max_parameters)
    with target if _is_meta(target) and chosen is None else contextlib.nullcontext():
        model = compile_graph(composed, seed)
    if chosen is not None:
        report, _ = fill(model, chosen)
        for note in (*report.adapted, *report.heads, *report.notes):
            warnings.warn(f"{spec.name}: {note}", stacklevel=2)
    return model if target is None and dtype is None else model.to(device=target, dtype=dtype)


def features(
    model: ComposedModule | Source,
    outputs: Mapping[str, str] | Iterable[str] | None = None,
    *,
    maps: bool | None = None,
) -> ComposedModule:
    """A network that gives what nodes of another give, without what they do not need.

    model    a composed network: the result is a view of it, made of the same module objects, so that training, hooks
             and later edits show in both; or a source to build
    outputs  names -> paths of nodes, such as {"c3": "layer2"}, or the paths alone; unless given, one for each scale,
             `c3` for what halves the input three times (a network of tokens: one for each block)
    maps     whether they are given as maps b c h w, as necks and heads take them: channels first, tokens as the
             positions they are of, without a class token; unless given, only where no outputs are named
    Returns a module that gives a dict of tensors by name, however many there are.
    Raises SpecError or GraphError for a path that leads nowhere, InputError for one inside a module that was replaced.

    >>> import torch
    >>> pyramid = features("resnet18")
    >>> {name: tuple(value.shape) for name, value in pyramid(torch.zeros(2, 3, 64, 64)).items()}["c5"]
    (2, 512, 2, 2)
    """
    from composer.compile.module import ComposedModule, compile_graph
    from composer.compile.view import view
    from composer.extraction import features_of

    if isinstance(model, ComposedModule):
        return view(model, features_of(model.composed.graph, outputs, maps))
    check_source(model, "a composed network")
    return compile_graph(features_of(compose(model), outputs, maps))


def look(
    model: ComposedModule | Source,
    images: Images,
    *,
    nodes: str | Sequence[str] = (),
    patch: Patch | None = None,
    target: int | str | None = None,
    classes: Sequence[str] | None = None,
) -> Look:
    """Look at the attention of a network on images.

    model    a composed network, which stays as it is; or a source to build
    images   a path, several, a folder; or a batch b c h w, prepared as the network's input asks
    nodes    paths of nodes whose effective receptive field is wanted; the last level of features unless given
    patch    row and column, in the finest grid that token attention has, of the patch whose view is wanted; the centre
    target   number or name of the class for Grad-CAM; the likeliest for each image unless given
    classes  names of the classes, in place of the spec's
    Raises InputError for a network without attention (unless there are `nodes`) and for what it does not have;
    UnavailableError without the extra `look`.
    """
    from composer.compile.module import ComposedModule
    from composer.looking.report import look_at

    if not isinstance(model, ComposedModule):
        check_source(model, "a composed network")
        model = build(model)
    return look_at(model, images, nodes=nodes, patch=patch, target=target, classes=classes)


def diff(before: Source | Composition, after: Source | Composition) -> Difference:
    """Compare what two networks compute: their nodes, options, shapes and wiring; not their names, sites or lines.

    before, after  paths, zoo names, mappings, Specs, or graphs that are already composed

    Nodes at one path are one; of the others, those with the same content, best where the same nodes feed them. What
    was put in between two nodes, or taken out, does not count as a change of what feeds the second.
    Raises SpecError or GraphError.

    >>> rules = [{"use": "se", "after": "branch", "where": "stage == 4"}]
    >>> [change.after for change in diff("resnet18", {"backbone": "resnet18", "attention": rules}).changes]
    ['layer4.0.se', 'layer4.1.se']
    """
    from composer.dag.composition import Composition
    from composer.difference import compare

    for one in (before, after):
        if not isinstance(one, Composition):
            check_source(one, "a graph")
    return compare(*(one if isinstance(one, Composition) else compose(one) for one in (before, after)))


def _is_meta(device: torch.device | None) -> TypeGuard[torch.device]:
    return device is not None and device.type == "meta"


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
    return [entry.name for entry in registry.mechanisms(pattern)]


def list_backbones(pattern: str = "*") -> list[str]:
    """Names of the zoo's backbones that are like the pattern, sorted."""
    return zoo.backbones(pattern)


def list_papers(
    pattern: str = "*", *, table: str | None = None, architecture: str | None = None, mechanism: str | None = None
) -> list[str]:
    """Zoo names of the papers' networks that are like the pattern, in the order of the article's tables.

    table, architecture, mechanism  only the rows of a results table that say so, such as `3.3`, `ResNet-50`, `GE-*`;
    `composer.load_spec(name).published` is the row. Raises InputError for one that no row has.
    """
    found = experiments(pattern, table=table, architecture=architecture, mechanism=mechanism)
    return [experiment.name for experiment in found]


__all__ = [
    "build",
    "check_device",
    "compose",
    "diff",
    "features",
    "graph",
    "list_backbones",
    "list_mechanisms",
    "list_papers",
    "load",
    "load_spec",
    "look",
]
