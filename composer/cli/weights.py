"""Weights on the command line: the options that `build` and `run` share, and what they say of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer.spec.references import NO_WEIGHTS

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule
    from composer.spec.load import Spec
    from composer.spec.model import WeightsSpec
    from composer.weights import LoadReport


class Match(enum.StrEnum):
    """How tensors of a file find those of the network."""

    NAME = "name"
    ORDER = "order"


class Require(enum.StrEnum):
    """How much of the network weights must fill."""

    ALL = "all"
    BACKBONE = "backbone"
    ANY = "any"


_SOURCE = "A file, timm:NAME, torchvision:NAME, hf:REPO/FILE, or none; in place of the spec's."
Weights = Annotated[str | None, typer.Option("--weights", metavar="SOURCE", help=_SOURCE)]
MatchOption = Annotated[
    Match | None, typer.Option("--match", help="By name (default), or the n-th of the file to the n-th here.")
]
RequireOption = Annotated[Require | None, typer.Option("--require", help="What the weights must fill (backbone).")]
Keys = Annotated[
    str | None, typer.Option("--keys", metavar="MAP", help="A key map by name, or a .yaml file: their names to ours.")
]
Ema = Annotated[bool, typer.Option("--ema", help="The averaged weights of a file that holds both.")]
Download = Annotated[bool, typer.Option("--download", help="Let a reference that the spec itself writes connect.")]


@dataclass(frozen=True)
class Filled:
    """What loading did: the report, the names of the classes that came along, the largest change of an output."""

    report: LoadReport
    classes: tuple[str, ...] | None
    change: float | None
    of: str

    def lines(self) -> str:
        """The same for people."""
        if self.change is None:
            return str(self.report)
        return f"{self.report}\nlargest change of {self.of} against the plain network: {self.change:.3g}"

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {**self.report.to_json(), "largest_change": self.change}


def choose_weights(
    spec: Spec,
    source: str | None,
    *,
    match: Match | None,
    require: Require | None,
    keys: str | None,
    ema: bool,
    download: bool,
) -> WeightsSpec | None:
    """The weights to load: what was asked for, or else the spec's. Raises ComposerError."""
    options: dict[str, Any] = {"match": match, "require": require, "keys": keys, "ema": ema}
    given = {name: value.value if isinstance(value, enum.Enum) else value for name, value in options.items() if value}
    if source == NO_WEIGHTS or (source is None and spec.weights is None):
        if given:
            names = ", ".join(f"--{name}" for name in given)
            raise typer.BadParameter(f"there are no weights that {names} could be about; give --weights")
        return None
    from composer.weights.choose import choose

    if source is not None:
        return choose(spec, {"source": source, **given})
    found = choose(spec, None, download=download)
    return found.model_copy(update=given) if found else None


def fill_model(model: ComposedModule, weights: WeightsSpec) -> Filled:
    """Load weights and see what attention makes of them. Raises ComposerError and leaves the network as it was."""
    from composer.weights.change import largest_change
    from composer.weights.choose import fill

    report, checkpoint = fill(model, weights)
    logits = all(tensor.layout == "b c" for tensor in model.graph.outputs.values())
    change = largest_change(model, checkpoint, weights)
    return Filled(report, checkpoint.classes, change, "a logit" if logits else "an output")


def other_weights(sets: list[str] | None, source: str | None) -> list[str]:
    """The settings of a spec whose own weights are not looked for where others are asked for."""
    return [*(sets or []), *([f"weights={NO_WEIGHTS}"] if source is not None else [])]
