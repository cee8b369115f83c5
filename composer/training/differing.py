"""What a run that exists was begun with, and what somebody wants to train in its folder."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from composer.errors import Diagnostic, InputError
from composer.spec.dump import dump, flow
from composer.spec.spec import Spec
from composer.spec.training import Training
from composer.training.network import fitted
from composer.training.run import Run

if TYPE_CHECKING:
    from composer.spec.model import WeightsSpec
    from composer.training.data import Data

# So many differing lines of a network are shown.
_SHOWN = 12


def run_exists(
    run: Run,
    spec: Spec,
    data: Data,
    training: Training,
    *,
    weights: WeightsSpec | None = None,
    size: int | tuple[int, int] | None = None,
) -> InputError:
    """The refusal to begin a run in a folder that has one, with what differs between the two.

    Arguments are those of `begin`. Raises SpecError, GraphError and InputError for a network that cannot be trained.
    """
    record = run.record
    image = next(iter(spec.inputs.values())) if weights is not None and len(spec.inputs) == 1 else None
    network = dump(fitted(spec, data, image=image, size=size).mapping)
    differing = [
        *_values("recipe", run.training.recipe.to_mapping(), training.recipe.to_mapping()),
        *_values("", {"weights": record["weights"]}, {"weights": None if weights is None else weights.source}),
        *_values("", {"data": record["data"]["fingerprint"]}, {"data": data.fingerprint}, shown=False),
        *_lines(run.network.read_text(encoding="utf-8"), network),
    ]
    last = f"go on with what is there: composer resume {run}; or choose another folder: -o FOLDER"
    if not differing:
        last = f"it is the same network, recipe and data; go on with it: composer resume {run}"
    return InputError(Diagnostic("run-exists", f"there is a run in `{run}`", help=(*differing, last)))


def _values(where: str, before: Mapping[str, Any], now: Mapping[str, Any], *, shown: bool = True) -> Iterator[str]:
    for name in dict.fromkeys((*before, *now)):
        if before.get(name) != now.get(name):
            key = f"{where}.{name}" if where else name
            was, new = (flow(one.get(name)) if name in one else "as usual" for one in (before, now))
            yield f"`{key}` was {was}, and is {new}" if shown else f"`{key}` is another"


def _lines(before: str, now: str) -> Iterator[str]:
    """The lines of a network that differ."""
    found = [
        line
        for line in difflib.unified_diff(before.splitlines(), now.splitlines(), n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    yield from (f"network.yaml: {line}" for line in found[:_SHOWN])
    if len(found) > _SHOWN:
        yield f"network.yaml: {len(found) - _SHOWN} more lines"
