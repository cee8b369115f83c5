"""Weights of networks inside a network: each is loaded as into that network alone, and has a report of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from composer.dag.composition import Composition
from composer.dag.scope import Scope
from composer.errors import WeightsError, did_you_mean, one_of
from composer.load_report import LoadReport
from composer.spec.model import WeightsSpec
from composer.spec.spec import Spec
from composer.weights.choose import fill, may_download
from composer.weights.preparation import image_of

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule


def networks_inside(root: Scope) -> dict[str, Spec]:
    """Path of a node that is a network of its own -> the spec of that network; without further calls of one."""
    found = {}
    for node in root.walk():
        if isinstance(node.content, Scope) and node.content.network is not None and node.owns:
            found[node.path] = node.content.network
    return found


def choose_parts(graph: Composition, *, download: bool = False) -> dict[str, WeightsSpec]:
    """Path of a network inside -> the weights that the spec names for it, or else its own; none if the spec names
    weights of the whole network.

    Raises WeightsError for a path without a network, or if a reference needs a download and `download` is False.
    """
    spec = graph.spec
    if spec.weights is not None:
        return {}
    inside = networks_inside(graph.root)
    for path, (_, origin) in spec.part_weights.items():
        if path not in inside:
            hint = did_you_mean(path, inside, f"the networks inside are {one_of(inside) or 'none'}")
            text = f"there is no network `{path}` inside this one"
            raise WeightsError(origin.problem("weights", text, "the path of a node with `backbone`", hint, key=True))
    own = {path: network.weights for path, network in inside.items() if network.weights is not None}
    return {path: may_download(*one, download) for path, one in {**own, **spec.part_weights}.items()}


def fill_parts(model: ComposedModule, chosen: Mapping[str, WeightsSpec]) -> LoadReport:
    """Load the weights of networks inside. Raises WeightsError or UnavailableError, and then leaves all as it was."""
    from composer.compile.graph import compile_graph

    graph, inside = model.graph, networks_inside(model.graph.root)
    reports: dict[str, LoadReport] = {}
    ready: dict[str, torch.Tensor] = {}
    for path, weights in chosen.items():
        alone = compile_graph(Composition.of(inside[path], graph.limits, graph.inference), model.seed)
        reports[path], _ = fill(alone, weights)
        state = alone.state_dict()
        ready |= {f"{path}.{name}": state[name] for name in reports[path].loaded}
    own = model.state_dict()
    with torch.no_grad():
        for name, tensor in ready.items():
            # Rules of the network around may have put something else in its place.
            if name in own and own[name].shape == tensor.shape:
                own[name].copy_(tensor)
    model.weights_report = report = together(reports, graph)
    return report


def together(reports: Mapping[str, LoadReport], graph: Composition) -> LoadReport:
    """The reports of networks inside as one, with the names that their tensors have in the whole network."""

    def all_of(what: str) -> tuple[str, ...]:
        return tuple(f"{path}.{name}" for path, report in reports.items() for name in getattr(report, what))

    heads = tuple(replace(head, path=f"{at}.{head.path}") for at, one in reports.items() for head in one.heads)
    adapted = tuple(replace(one, name=f"{at}.{one.name}") for at, report in reports.items() for one in report.adapted)
    return LoadReport(
        all_of("loaded"),
        inserted=all_of("inserted"),
        added=all_of("added"),
        missing=all_of("missing"),
        unexpected=all_of("unexpected"),
        left_out=all_of("left_out"),
        left_over=all_of("left_over"),
        computed=all_of("computed"),
        misshapen={f"{at}.{name}": pair for at, one in reports.items() for name, pair in one.misshapen.items()},
        heads=heads,
        adapted=adapted,
        notes=tuple(f"{path}: {note}" for path, report in reports.items() for note in report.notes),
        source=", ".join(f"{path}: {report.source}" for path, report in reports.items()),
        image=image_of(graph),
        parts=reports,
    )
