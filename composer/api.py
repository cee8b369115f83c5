"""The functions for Python users. Only functions that need torch import it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

from composer import given, registry
from composer.devices import check_device, check_dtype
from composer.errors import Diagnostic, InputError
from composer.spec import zoo
from composer.spec.catalogue import experiments
from composer.spec.load import check_source, load_spec, with_kernels
from composer.spec.sized import ImageSize, sized
from composer.spec.spec import Spec

if TYPE_CHECKING:
    import torch
    from torch import nn

    from composer.benchmark import Benchmark
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
    allow_code: bool = False,
    max_nodes: int | None = None,
    max_parameters: int | None = None,
) -> Graph:
    """Compose a network, check it and return its graph, without allocating anything.

    source       a path, a zoo name (`resnet50`), a model of another library (`timm:resnet50`), a mapping or a Spec
    vars         values for the spec's vars
    num_classes  value for the var `num_classes`
    in_chans     channels of the network's only input
    img_size     height and width of that input in pixels, or a number for both
    allow_code   let a backbone `package.module:factory` run its code
    max_nodes, max_parameters  size limits; default 10,000 nodes and 5 billion parameters
    Raises SpecError or GraphError with every problem of the stage that failed; InputError for a keyword that does not
    fit the spec or that `vars` sets too; UnavailableError if the library of a model is not installed.
    """
    from composer.dag.frozen import check_frozen
    from composer.dag.limits import MAX_NODES, MAX_PARAMETERS, Limits
    from composer.network import Graph

    nodes = MAX_NODES if max_nodes is None else given.whole("max_nodes", max_nodes)
    parameters = MAX_PARAMETERS if max_parameters is None else given.whole("max_parameters", max_parameters)
    limits = Limits(nodes, parameters)
    spec = load_spec(source, vars=vars, allow_code=allow_code)
    spec = sized(spec, num_classes=num_classes, in_chans=in_chans, img_size=img_size, besides=vars or ())
    graph = Graph.of(spec, limits)
    check_frozen(graph)
    return graph


# Names from earlier versions.
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
    dtype: str | torch.dtype | None = None,
    seed: int = 0,
    weights: str | Path | Mapping[str, Any] | None = None,
    download: bool = False,
    kernels: Literal["fused", "reference"] | None = None,
    allow_code: bool = False,
    max_nodes: int | None = None,
    max_parameters: int | None = None,
) -> ComposedModule:
    """Compose a network and return it as a plain nn.Module in training mode.

    Weights are loaded if the spec or `weights` names some; `model.weights_report` then tells what happened to each
    tensor. Else they are drawn on the CPU, and depend only on the seed and each node's path. On the meta device nothing
    is drawn or allocated unless weights are loaded.

    source, vars, num_classes, in_chans, img_size, allow_code, max_nodes, max_parameters  as for `compose`
    device, dtype  device (`auto`: CUDA if available) and dtype of the network, such as `float16` or torch.float16
    seed           the seed of drawn weights
    weights        in place of the spec's `weights`: a path, a hub reference (`timm:resnet50`), a mapping, or `none`
    download       allow a download that the spec file asks for; a reference in `weights` may always download
    kernels        `reference`: mechanisms run their plain formulas in place of kernels; by default what the spec says
    Raises SpecError, GraphError, InputError, WeightsError; UnavailableError if a device, extra or hub is missing. Warns
    if weights were changed to fit, if a classifier keeps its own, or if the weights' own network differs.
    """
    from composer.compile.graph import compile_graph
    from composer.weights.choose import choose, fill
    from composer.weights.parts import choose_parts, fill_parts

    target, precision, seed = check_device(device), check_dtype(dtype), given.whole("seed", seed, None)
    spec = load_spec(source, vars=vars, weights=weights is None, allow_code=allow_code)
    spec = sized(spec, num_classes=num_classes, in_chans=in_chans, img_size=img_size, besides=vars or ())
    spec = spec if kernels is None else with_kernels(spec, kernels)
    chosen = choose(spec, weights, download=download)
    composed = compose(spec, max_nodes=max_nodes, max_parameters=max_parameters)
    inside = choose_parts(composed, download=download) if weights is None else {}
    with target if _is_meta(target) and chosen is None and not inside else contextlib.nullcontext():
        model = compile_graph(composed, seed)
    report = fill(model, chosen)[0] if chosen is not None else fill_parts(model, inside) if inside else None
    if report is not None:
        for note in (*report.adapted, *report.heads, *report.notes):
            warnings.warn(f"{spec.name}: {note}", stacklevel=2)
    return model if target is None and precision is None else model.to(device=target, dtype=precision)


def bench(
    *networks: Source | nn.Module,
    vs: Source | nn.Module | None = None,
    passes: str | Sequence[str] = ("forward", "step"),
    example: Any = None,
    img_size: ImageSize | None = None,
    batch: int = 8,
    runs: int = 20,
    device: str | torch.device | None = "auto",
    dtype: str | torch.dtype | None = None,
    amp: bool = False,
    channels_last: bool = False,
    compile: bool = False,
    threads: int | None = None,
    memory: bool = True,
    nodes: bool = False,
    allow_code: bool = False,
) -> Benchmark:
    """Measure networks side by side, in turn: latency, throughput, and memory at its peak; `print` shows the result.

    networks       sources, as for `compose`, built with random weights; or modules, of which copies run
    vs             the network that the others are compared with; by default the first of them
    passes         `forward`, in eval mode without gradients; `step`, a forward and a backward pass in training; or both
    example        what modules that are not composed are called with: a tensor, a tuple of arguments, or a mapping
    img_size       height and width of the inputs of sources in pixels, or a number for both
    batch          number of examples in a run of a composed network
    runs           number of measured runs of each network, after 3 that are not
    device, dtype  device (`auto`: CUDA if available) and dtype; by default a module's own, and float32 of what is built
    amp            operations in bfloat16, where PyTorch's autocast says so
    channels_last  maps with the channels innermost
    compile        with code that `torch.compile` makes
    threads        number of threads on the CPU
    memory         measure the memory that a run takes beyond the network too: on CUDA in this process; on the CPU in
                   one of its own, for sources only
    nodes          measure each operation of composed networks by itself too
    allow_code     let a backbone `package.module:factory` run its code
    Raises what `compose` raises; InputError if a network needs more memory than is free, gives nothing to learn from or
    cannot be compiled; UnavailableError if there is no such device; ValueError for a number below 1.
    """
    import torch
    from torch import nn

    from composer.benchmark import Settings, benchmark
    from composer.benchmark.settings import PASSES

    target = check_device(device) or torch.device("cpu")
    batch, runs = given.whole("batch", batch, None), given.whole("runs", runs, None)
    threads = None if threads is None else given.whole("threads", threads, None)
    settings = Settings(batch, runs, target, check_dtype(dtype), amp, channels_last, compile, threads)
    wanted = given.several("passes", passes, "`forward`, `step` or both")
    kinds = [one for one in PASSES if one in wanted]
    if other := next((one for one in wanted if one not in PASSES), None):
        raise InputError(Diagnostic("keyword", f"`{other}` is no pass", label="`forward`, `step` or both"))
    found: dict[str, Composition | nn.Module] = {}
    for one in (*networks, *([] if vs is None else [vs])):
        if isinstance(one, nn.Module):
            found[_free(found, type(one).__name__)] = one
        else:
            network = compose(one, img_size=img_size, allow_code=allow_code)
            found[_free(found, one if isinstance(one, str) else network.spec.name)] = network
    if not networks:
        raise InputError(Diagnostic("source", "there is no network to measure", label="a source or a module"))
    versus = [*found][0 if vs is None else -1]
    return benchmark(found, versus, settings, passes=kinds, example=example, memory=memory, nodes=nodes)


def _free(taken: Collection[str], name: str) -> str:
    """The name, or one with a number if it is taken."""
    return next(one for one in chain([name], (f"{name} ({number})" for number in count(2))) if one not in taken)


def features(
    model: ComposedModule | Source,
    outputs: Mapping[str, str] | Iterable[str] | None = None,
    *,
    maps: bool | None = None,
) -> ComposedModule:
    """A network whose output is a dict name -> output of a node, without the nodes that no output needs.

    model    a composed network: the result is a view that shares its module objects, so that training, hooks and later
             edits act on both; or a source to build
    outputs  names -> paths of nodes, such as {"c3": "layer2"}, or only paths; by default an output per scale, `c3` for
             the map after three halvings (an output per block in a network of tokens)
    maps     whether outputs are maps b c h w, as necks and heads need: channels first, tokens as a map of their
             positions, without a class token; by default only if `outputs` is not given
    Raises SpecError or GraphError for an unknown path, InputError for a path inside a module that was replaced.

    >>> import torch
    >>> pyramid = features("resnet18")
    >>> {name: tuple(value.shape) for name, value in pyramid(torch.zeros(2, 3, 64, 64)).items()}["c5"]
    (2, 512, 2, 2)
    """
    from composer.compile.graph import compile_graph
    from composer.compile.module import ComposedModule
    from composer.compile.view import view
    from composer.extraction import features_of

    if isinstance(model, ComposedModule):
        return view(model, features_of(model.composed.graph, outputs, maps))
    check_source(model, "a composed network")
    return compile_graph(features_of(compose(model), outputs, maps))


def view(model: nn.Module, example: Any, *, sites: Mapping[str, str | Sequence[str]] | None = None) -> Graph:
    """The graph of a live module, recorded in one call on the meta device: the module stays as it is.

    model    any nn.Module; what `composer.insert` put in is shown as rules put it in
    example  what the model is called with: a tensor, a tuple of arguments, a mapping of keywords, or (tuple, mapping);
             only the shapes count
    sites    site -> globs of paths, such as {"block": "stages.*.blocks.*"}, in place of those that were recognised
    Raises InputError if the model cannot be called with the example.

    >>> from torch import nn, zeros
    >>> print(view(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), zeros(1, 3, 9, 9)).places)
    0
    1
    """
    from composer.dag.infer import Inference
    from composer.dag.limits import Limits
    from composer.hosts.view import viewed
    from composer.network import Graph

    spec, placed = viewed(model, example, sites)
    return Graph.finished(spec, Limits(), Inference(), placed)


def look(
    model: ComposedModule | Source,
    images: Images,
    *,
    nodes: str | Sequence[str] = (),
    patch: Patch | None = None,
    target: int | str | None = None,
    classes: Sequence[str] | None = None,
) -> Look:
    """The Look of a network's attention on images: findings, tables and figures.

    model    a composed network, which is not changed; or a source to build
    images   a path, several paths or a folder; or a batch b c h w, prepared for the network's input
    nodes    paths of nodes whose effective receptive fields are shown; default: the last level of features
    patch    row and column of the patch whose attention is shown, from 0, in the finest grid of token attention;
             default: the centre
    target   number or name of the class for Grad-CAM; default: the likeliest class of each image
    classes  names of the classes, in place of the spec's
    Raises InputError for a network without attention (unless `nodes` are given), an unknown node, patch or class;
    UnavailableError without the extra `look`.
    """
    import torch
    from torch import Tensor

    from composer.compile.module import ComposedModule
    from composer.looking.report import look_at

    if not isinstance(images, Tensor):
        several = images if isinstance(images, Sequence | set) and not isinstance(images, str | bytes) else [images]
        images = [given.path("images", one) for one in several]
    nodes = given.several("nodes", nodes, "paths of nodes")
    # Grad-CAM needs gradients, which inference mode forbids.
    with torch.inference_mode(False):
        if not isinstance(model, ComposedModule):
            check_source(model, "a composed network")
            model = build(model)
        return look_at(model, images, nodes=nodes, patch=patch, target=target, classes=classes)


def eject(source: Source | Composition, *, timm: bool = False) -> str:
    """A network as the text of one PyTorch file that needs no composer.

    source  a path, a zoo name, a mapping, a Spec, or a composed graph such as `model.graph`
    timm    whether the file also registers the network with timm

    Its class has the keys of the composed network's state_dict, in their order; outputs and gradients are those with
    `kernels="reference"`, bit for bit. First weights are drawn by the same laws, though not the same numbers.
    Raises SpecError or GraphError, also for a model of another library; InputError for a plugin whose source cannot be
    copied, and for a network that timm could not call.

    >>> print(eject("resnet18").splitlines()[-1].strip())
    print(tuple(output.shape), f"{sum(p.numel() for p in model.parameters()):,} parameters")
    """
    from composer.dag.composition import Composition
    from composer.ejecting import eject as write

    if not isinstance(source, Composition):
        check_source(source, "a graph")
    return write(source if isinstance(source, Composition) else compose(source), _told(source), timm=timm)


def _told(source: Source | Composition) -> str | None:
    """A source as its user wrote it; None if it was no text."""
    return str(source) if isinstance(source, str | Path) else None


def diff(before: Source | Composition, after: Source | Composition) -> Difference:
    """The Difference between two networks' nodes, options, shapes and wiring; names, sites and lines do not count.

    before, after  paths, zoo names, mappings, Specs, or composed graphs

    Nodes with the same path match; then nodes with the same content, if possible with the same inputs. A node inserted
    or removed between two nodes does not count as a change of the second node's inputs.
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


def list_mechanisms(pattern: str = "*") -> list[str]:
    """Names of the registered mechanisms that match the pattern (`*`, `?`), sorted."""
    return [entry.name for entry in registry.mechanisms(given.text("pattern", pattern))]


def list_backbones(pattern: str = "*") -> list[str]:
    """Names of the zoo's backbones that match the pattern (`*`, `?`), sorted."""
    return zoo.backbones(given.text("pattern", pattern))


def list_papers(
    pattern: str = "*", *, table: str | None = None, architecture: str | None = None, mechanism: str | None = None
) -> list[str]:
    """Zoo names of the papers' networks that match the pattern (`*`, `?`), in the order of the article's tables.

    table, architecture, mechanism  patterns for the network's row in a results table: `3.3`, `ResNet-50`, `GE-*`;
    `composer.load_spec(name).published` is the row. Raises InputError if no row matches.
    """
    filters = {"table": table, "architecture": architecture, "mechanism": mechanism}
    for name, one in {"pattern": pattern, **filters}.items():
        if one is not None:
            given.text(name, one, "a text, in which `*` and `?` stand for any letters")
    found = experiments(pattern, **filters)
    return [experiment.name for experiment in found]


__all__ = [
    "build",
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
