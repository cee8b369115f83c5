"""Chooses the weights of a build: those of the spec, or those given in their place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.errors import Diagnostic, WeightsError
from composer.load_report import LoadReport
from composer.paths import obstacle, sha256
from composer.spec.hub import hub_of
from composer.spec.model import WeightsSpec
from composer.spec.origin import Origin
from composer.spec.references import NO_WEIGHTS
from composer.spec.spec import Spec
from composer.spec.structure import validate_weights
from composer.weights.checkpoint import Checkpoint
from composer.weights.load import load_weights, open_source

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule


def choose(spec: Spec, given: str | Path | Mapping[str, Any] | None, *, download: bool = False) -> WeightsSpec | None:
    """The weights to load; None to load nothing.

    given     a path, a reference, or a mapping as in a spec, in place of the spec's weights; `none` to load nothing
    download  allow a download that the spec file asks for; a reference you pass yourself may always download
    Raises SpecError for a mapping that is not valid, WeightsError if the spec's reference needs a download and
    `download` is False.
    """
    if given is None:
        return _of_spec(spec, download)
    if isinstance(given, Path):
        # A Path is always a file, also if its name looks like a reference.
        return WeightsSpec(source=str(given.absolute()))
    weights = validate_weights(given)
    return None if weights.source == NO_WEIGHTS else weights


def fill(model: ComposedModule, weights: WeightsSpec) -> tuple[LoadReport, Checkpoint]:
    """Load the chosen weights. Raises WeightsError or UnavailableError, and then leaves the network as it was."""
    if weights.sha256 is not None:
        _check_hash(weights.source, weights.sha256)
    checkpoint = open_source(weights.source, ema=weights.ema, entry=weights.entry)
    report = load_weights(
        model,
        checkpoint,
        require=weights.require,
        match=weights.match,
        keys=weights.keys,
        prefix=weights.prefix,
    )
    return report, checkpoint


def _check_hash(source: str, expected: str) -> None:
    """Raises WeightsError if a file does not have the SHA-256 that the spec states."""
    if hub_of(source) is not None or obstacle(source):
        # The reader reports a file that cannot be read; a hub's file has no path to hash.
        return
    if sha256(source) != expected:
        help = (
            "build both again, or take the file as it is: --weights FILE",
            "where it was trained further, take `sha256` out of `weights`",
        )
        text = f"`{source}` is not the file that this spec was written with: its hash is another"
        raise WeightsError(Diagnostic("weights-hash", text, label=f"SHA-256 {expected}", help=help))


def _of_spec(spec: Spec, download: bool) -> WeightsSpec | None:
    if spec.weights is None:
        return None
    return may_download(*spec.weights, download)


def may_download(weights: WeightsSpec, origin: Origin, download: bool) -> WeightsSpec:
    """Weights that a spec names at `origin`. Raises WeightsError for a hub's, unless a download is allowed."""
    if hub_of(weights.source) and not download:
        help = (
            "a spec never connects by itself: allow it with --download (in Python, download=True)",
            f"or ask for it yourself: --weights {weights.source}",
            "or build with --weights none",
        )
        here = (origin / "source").written
        raise WeightsError(here.problem("weights-download", f"`{weights.source}` is not on this machine", help=help))
    return weights
