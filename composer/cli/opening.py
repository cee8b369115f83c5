"""A network with its weights: the options that `build`, `run` and `look` share, and how they are applied."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer.cli.options import Budget, Reading, Saying, Seed, SpecName, say
from composer.cli.progress import stage

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule
    from composer.network import Graph
    from composer.spec.model import WeightsSpec
    from composer.spec.spec import Spec
    from composer.weights import LoadReport


class Match(enum.StrEnum):
    """How tensors of a file are matched to those of the network."""

    NAME = "name"
    ORDER = "order"


class Require(enum.StrEnum):
    """The part of the network that the weights must fill."""

    ALL = "all"
    BACKBONE = "backbone"
    ANY = "any"


_SOURCE = "A file, timm:NAME, torchvision:NAME, hf:REPO/FILE, or none; in place of the spec's."
_MATCH = "By name (default), or the n-th of the file to the n-th here."
_KEYS = "A key map by name, or a .yaml file: their names to ours."


@dataclass(frozen=True, kw_only=True)
class Opening:
    """The options for a network and its weights."""

    spec: SpecName
    weights: Annotated[str | None, typer.Option("--weights", metavar="SOURCE", help=_SOURCE)] = None
    match: Annotated[Match | None, typer.Option("--match", help=_MATCH)] = None
    require: Annotated[Require | None, typer.Option("--require", help="What the weights must fill (backbone).")] = None
    keys: Annotated[str | None, typer.Option("--keys", metavar="MAP", help=_KEYS)] = None
    ema: Annotated[bool, typer.Option("--ema", help="The averaged weights of a file that holds both.")] = False
    entry: Annotated[
        str | None,
        typer.Option("--entry", metavar="NAME", help="The entry of a file that holds several sets of weights."),
    ] = None
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", metavar="TEXT", help="What the names of the weights begin with in the file."),
    ] = None
    download: Annotated[
        bool, typer.Option("--download", help="Let a reference that the spec itself writes connect.")
    ] = False
    reading: Reading
    seed: Seed = 0
    saying: Saying

    def compose(self, context: typer.Context, budget: Budget | None = None) -> tuple[Graph, WeightsSpec | None]:
        """The network, composed, and the weights to load. Raises ComposerError."""
        # The spec's own weights are not looked for if others are requested.
        graph = self.reading.compose(context, self.spec, budget, weights=self.weights is None)
        return graph, self.chosen(graph.spec)

    def load(self, sets: Sequence[str]) -> Spec:
        """The spec, with these settings in place of the given ones. Raises ComposerError."""
        return replace(self.reading, sets=list(sets)).load(self.spec, weights=self.weights is None)

    def chosen(self, spec: Spec) -> WeightsSpec | None:
        """The requested weights, or else the spec's weights. Raises ComposerError."""
        given = {name: getattr(self, name) for name in ("match", "require", "keys", "ema", "entry", "prefix")}
        given = {name: str(value) if isinstance(value, enum.Enum) else value for name, value in given.items() if value}
        from composer.spec.references import NO_WEIGHTS

        if self.weights == NO_WEIGHTS or (self.weights is None and spec.weights is None):
            if given:
                names = ", ".join(f"--{name}" for name in given)
                raise typer.BadParameter(f"there are no weights that {names} could be about; give --weights")
            return None
        from composer.weights.choose import choose

        if self.weights is not None:
            return choose(spec, {"source": self.weights, **given})
        found = choose(spec, None, download=self.download)
        return found.model_copy(update=given) if found else None

    def build(
        self, context: typer.Context, graph: Graph, weights: WeightsSpec | None
    ) -> tuple[ComposedModule, Filled | None]:
        """The module, and the result of loading weights; None without weights. Raises ComposerError."""
        from composer.compile.graph import compile_graph

        with stage(context, f"building {graph.spec.name}"):
            model = compile_graph(graph, self.seed)
        if weights is None:
            return model, self._parts(context, model)
        with stage(context, f"loading {weights.source}"):
            return model, _fill(model, weights)

    def _parts(self, context: typer.Context, model: ComposedModule) -> Filled | None:
        """The result of loading weights of networks inside; None without any. Raises ComposerError."""
        from composer.weights.parts import choose_parts, fill_parts

        chosen = choose_parts(model.graph, download=self.download) if self.weights is None else {}
        if not chosen:
            return None
        with stage(context, f"loading the weights of {', '.join(chosen)}"):
            return Filled(fill_parts(model, chosen), None, None, "")

    def opened(
        self, context: typer.Context, graph: Graph, weights: WeightsSpec | None, *, images: bool
    ) -> tuple[ComposedModule, tuple[str, ...] | None]:
        """The module, and the names of its classes if known. Raises ComposerError.

        Reports on stderr where its weights come from and, if `images`, how images are prepared.
        """
        model, filled = self.build(context, graph, weights)
        classes = graph.spec.classes
        if filled is None:
            say(context, f"no weights: the network is random (seed {self.seed})")
            return model, classes
        say(context, filled.lines())
        if images:
            say(context, filled.images())
        return model, classes or filled.classes


@dataclass(frozen=True)
class Filled:
    """The result of loading weights: report, names of the classes from their source, largest change of an output."""

    report: LoadReport
    classes: tuple[str, ...] | None
    change: float | None
    of: str

    def lines(self) -> str:
        """The report, and the largest change, as text."""
        if self.change is None:
            return str(self.report)
        return f"{self.report}\nlargest change of {self.of} against the plain network: {self.change:.3g}"

    def images(self) -> str:
        """How images are prepared for these weights."""
        return f"images are prepared with {self.report.preparation}"

    def to_json(self) -> dict[str, Any]:
        """The report, and the largest change, as plain JSON values."""
        return {**self.report.to_json(), "largest_change": self.change}


def _fill(model: ComposedModule, weights: WeightsSpec) -> Filled:
    """Load weights, and compare outputs with those of the plain network."""
    from composer.weights.change import largest_change
    from composer.weights.choose import fill

    report, checkpoint = fill(model, weights)
    logits = all(tensor.layout == "b c" for tensor in model.graph.outputs.values())
    change = largest_change(model, checkpoint, weights)
    return Filled(report, checkpoint.classes, change, "a logit" if logits else "an output")
