"""Models that libraries name, as specs: `timm:resnet50`, `torchvision:resnet50` …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from composer.errors import ComposerError
from composer.importing.imported import Imported
from composer.importing.recorded.model import Import, Variant
from composer.spec.load import load_spec
from composer.spec.model import InputSpec
from composer.spec.model_source import CLASSES

# A number of classes that no model has by itself.
OTHER_CLASSES = 7


def import_named(source: str, *, allow_code: bool = False) -> Imported:
    """The spec of a model that a library names.

    source  `timm:NAME`, `torchvision:NAME` …, or `package.module:factory`, which is code and must be allowed
    Raises SpecError and GraphError as for a spec that begins with the model; GraphError with every node that no layer
    is; UnavailableError if the library is not installed.
    """
    from composer.sources import example, make
    from composer.sources.ask import num_classes

    spec = load_spec(source, allow_code=allow_code)
    found = spec.source
    assert found is not None, "the source names a model"
    args, kwargs = example(found)
    variants = []
    classes = num_classes(found)
    if classes is not None and (other := _with_classes(source, allow_code)) is not None:
        variants.append(Variant(other, {CLASSES: (classes, OTHER_CLASSES)}))
    model = make(found, seed=0)
    about = [
        f"{found.name} of {found.library}, written by `composer import {source}`. Its weights have the names and",
        f"shapes that they have in {found.library}, and with equal weights it gives equal numbers, bit by bit.",
    ]
    name = spec.name
    text = Import(model, args, name, kwargs, _inputs(list(found.own_inputs.values())), variants, about).text()
    return Imported(name, text, (), lambda problem: problem)


def _with_classes(source: str, allow_code: bool) -> nn.Module | None:
    """The model with another number of classes, on meta; None if it cannot be made so."""
    from composer.sources import make

    try:
        other = load_spec(source, vars={CLASSES: OTHER_CLASSES}, allow_code=allow_code).source
        return None if other is None else make(other)
    except ComposerError:
        return None


def _inputs(own: Sequence[InputSpec]) -> list[Any]:
    """Inputs as a spec writes them: the shape alone, if nothing else is known."""
    found: list[Any] = []
    for one in own:
        written = one.model_dump(exclude_none=True)
        if written.get("layout") == "b c h w":
            del written["layout"]
        found.append(written["shape"] if list(written) == ["shape"] else written)
    return found
