"""What `composer graph` can colour by, beyond the facts of a graph: the options, and what they measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from composer.cli.opening import Opening
from composer.cli.options import find_device, say
from composer.cli.progress import stage
from composer.errors import InputError, one_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from composer.compile.module import ComposedModule
    from composer.draw.values import Values
    from composer.network import Graph

# What is measured with photographs.
GRADIENT = "gradient"
SEED = "seed"


@dataclass(frozen=True)
class Measuring:
    """Options for numbers of nodes."""

    color_by: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="Colour boxes by parameters, macs, memory, or a number that an option adds: time; mean, std, zeros, "
            "dead, gradient; distance; the name of a file. `kind`: as usual.",
        ),
    ] = None
    image: Annotated[
        list[Path] | None,
        typer.Option(
            "--image",
            metavar="PATH",
            help="Run the network on a photograph or a folder, and show statistics of each node's output. Repeatable.",
        ),
    ] = None
    against: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Show how far the weights of each node are from these: a source as for --weights, or `seed`.",
        ),
    ] = None
    values: Annotated[
        list[Path] | None,
        typer.Option(
            "--values",
            metavar="FILE",
            help='Numbers of nodes, as Model Explorer reads them: {"results": {PATH: {"value": NUMBER}}}. Repeatable.',
        ),
    ] = None

    @property
    def any(self) -> str:
        """The first option that asks for numbers, or empty."""
        given = {"--color-by": self.color_by not in (None, "kind"), "--image": self.image, "--against": self.against}
        return next((name for name, one in {**given, "--values": self.values}.items() if one), "")


@dataclass(frozen=True)
class Measured:
    """Numbers of nodes, and the network with its weights if these are known."""

    values: list[Values] = field(default_factory=list)
    module: nn.Module | None = None


def measure_values(
    context: typer.Context, opening: Opening, network: Graph, measuring: Measuring, device: str
) -> Measured:
    """The numbers that the options ask for. Builds no module unless one asks for weights. Raises ComposerError."""
    found = list(_from_files(network, measuring))
    if not (opening.weights or measuring.image or measuring.against):
        return Measured(found)
    if measuring.image and measuring.color_by == GRADIENT:
        from composer.values.gradients import check_logits

        check_logits(network)
    model, filled = opening.build(context, network, opening.chosen(network.spec))
    say(context, f"no weights: the network is random (seed {opening.seed})" if filled is None else filled.lines())
    if measuring.against is not None:
        found.append(_distance(context, opening, model, measuring.against))
    if measuring.image:
        found += _on_images(context, model.to(find_device(device)), measuring)
    return Measured(found, None if filled is None else model)


def _from_files(network: Graph, measuring: Measuring) -> Iterator[Values]:
    from composer.values.node_data import read_node_data

    paths = {node.path for node in network.root.walk()}
    for file in measuring.values or ():
        yield read_node_data(file, network.spec.name, paths)


def _distance(context: typer.Context, opening: Opening, model: ComposedModule, against: str) -> Values:
    """Distances to the weights of another source, or to those that the seed draws."""
    from composer.compile.graph import compile_graph
    from composer.values.distance import distances
    from composer.weights.choose import choose, fill

    other, known = compile_graph(model.graph, opening.seed), None
    if against != SEED:
        wanted = choose(model.graph.spec, {"source": against, "require": "any"})
        assert wanted is not None
        with stage(context, f"loading {against}"):
            report, _ = fill(other, wanted)
        known = set(report.loaded)
        if lacking := [name for name, _ in model.named_parameters() if name not in known]:
            say(context, f"not compared, because `{against}` does not have them: {one_of(lacking)}")
    return distances(model, other, {node.path for node in model.graph.root.walk()}, known)


def _on_images(context: typer.Context, model: ComposedModule, measuring: Measuring) -> list[Values]:
    """Statistics of activations; and gradients, unless the network gives no logits."""
    from composer import classify
    from composer.values.activations import activations
    from composer.values.gradients import check_logits, gradients

    names, batches = classify.inputs(model, measuring.image or [], None)
    with stage(context, f"running {model.spec.name} on {len(names)} images"):
        images: list[Tensor] = list(batches)
        found = activations(model, images)
        try:
            check_logits(model.graph)
        except InputError as error:
            say(context, f"no gradients: {error.diagnostics[0].message}")
        else:
            found.append(gradients(model, images))
    return found
