"""What the graph knows about the places where attention was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from composer.dag.operation import Operation
from composer.dag.rules.identity import gamma_of
from composer.dag.rules.places import Place
from composer.dag.scope import Scope
from composer.dag.tensor import TensorSpec
from composer.looking.nodes import Grid
from composer.registry import APPLIED_BY_KIND, ModuleEntry
from composer.spec.sites import MIXER

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule
    from composer.dag.composition import Composition


@dataclass(frozen=True)
class Site:
    """A mechanism of a network, or a layer of its backbone that has attention.

    kind      as in the registry: channel, spatial, channel+spatial, branch, kernel or token
    applied   how its values are applied, as in the registry: `gate`, `1 + gate`, `branches`, `experts`, `positions`;
              None if not declared
    replaces  whether it can replace a convolution
    rule      number of the attention rule that inserted it, from 1; None for a layer of the backbone
    options   those that differ from the mechanism's defaults
    grid      rows and columns of the map on which it works; None if its tokens are not positions of a map
    gamma     the γ of `start: identity`; None without it
    attended  row and column of the position that each weight refers to, h w n 2, nan for none; None if not known
    """

    path: str
    mechanism: str
    kind: str
    applied: str | None
    replaces: bool
    stage: int | None
    block: int | None
    rule: int | None
    options: Mapping[str, Any]
    grid: Grid | None
    gamma: float | None
    attended: Tensor | None = field(default=None, compare=False, repr=False)


def sites_of(model: ComposedModule) -> dict[str, Site]:
    """Path -> every mechanism and every layer with attention, in running order; without those removed by hand."""
    parameters, modules = dict(model.named_parameters()), dict(model.named_modules())
    found = {}
    for place in model.graph.places:
        content = place.node.content
        if _attends(content) and place.node.path in modules:
            gamma = gamma_of(place.scope, place.node)
            value = float(parameters[gamma.path].detach()) if gamma and gamma.path in parameters else None
            site = _site(place, content, value) if isinstance(content, Operation) else _site_of_block(place, value)
            attended = getattr(modules[site.path], "attended", None)
            found[site.path] = replace(site, attended=attended) if isinstance(attended, Tensor) else site
    return found


def _attends(content: Operation | Scope | None) -> bool:
    if isinstance(content, Operation):
        return content.entry.category == "mechanism" or content.entry.has_attention
    return content is not None and content.attention is not None


def _site(place: Place, operation: Operation, gamma: float | None) -> Site:
    node = place.node
    positions = place.input.whole_grid if place.input is not None else None
    grid = None if positions is None else (positions.height, positions.width)
    return Site(
        node.path,
        operation.entry.name,
        operation.entry.kind,
        operation.entry.applied if isinstance(operation.entry, ModuleEntry) else None,
        isinstance(operation.entry, ModuleEntry) and operation.entry.replaces is not None,
        place.stage,
        place.block,
        None if node.rule is None else node.rule + 1,
        operation.options,
        grid,
        gamma,
    )


def _site_of_block(place: Place, gamma: float | None) -> Site:
    """The site of a block with an output `attention`. The axes of the values say what they are: nothing is declared."""
    node, scope = place.node, place.node.content
    assert isinstance(scope, Scope)
    kind = _kind(scope.tensor(scope.attention or ""), next(iter(scope.inputs.values())))
    positions = place.input.whole_grid if place.input is not None else None
    return Site(
        path=node.path,
        mechanism=scope.block,
        kind=kind,
        applied=APPLIED_BY_KIND[kind],
        replaces=False,
        stage=place.stage,
        block=place.block,
        rule=None if node.rule is None else node.rule + 1,
        options={},
        grid=None if positions is None else (positions.height, positions.width),
        gamma=gamma,
    )


def _kind(values: TensorSpec, arriving: TensorSpec) -> str:
    """The kind of an attention with these values: gates of channels or positions, or weights between positions."""
    if arriving.layout == "b n c" or values.layout != arriving.layout:
        return "channel" if values.layout == "b c" else "token"
    if set(values.shape[2:]) == {1}:
        return "channel"
    return "spatial" if values.channels == 1 else "channel+spatial"


def last_map(graph: Composition) -> str | None:
    """Path of the last features: the coarsest level, or else the last feature map; None without one."""
    maps = [
        place.node.path
        for place in graph.places.computing
        if isinstance(place.node.output, TensorSpec) and place.node.output.layout == "b c h w"
    ]
    levels = [level.path for level in graph.levels]
    return next(reversed(levels or maps), None)


def class_node(graph: Composition) -> str | None:
    """Path of the node whose features speak for a class: the last map, or the tokens that the last token mixer mixes.

    After that mixer, a network that reads only its class token does not use the other tokens, so they have no gradient.
    """
    path = last_map(graph)
    mixers = [place for place in graph.places.computing if MIXER in place.node.sites and place.node.inputs]
    output = next((place.node.output for place in graph.places if place.node.path == path), None)
    if not mixers or not isinstance(output, TensorSpec) or output.layout != "b n c":
        return path
    scope, inputs = mixers[-1].scope, mixers[-1].node.inputs
    # Of a class attention's, the tokens that are looked at, and not the class token that looks.
    found = [scope.nodes[name] for name in inputs if name in scope.nodes and scope.nodes[name].output == output]
    return found[0].path if found else path
