"""Models that libraries name, as specs: `timm:resnet50`, `torchvision:resnet50` …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from composer.errors import ComposerError
from composer.foreign import is_error
from composer.hosts.recording.record import record
from composer.importing.imported import Imported
from composer.importing.recorded.model import Import, Variant
from composer.spec.load import load_spec
from composer.spec.model import InputSpec
from composer.spec.model_source import CLASSES

# A number of classes that no model has by itself.
OTHER_CLASSES = 7
# By how many pixels the image of another size is higher, and less wide.
STEP = 32


def import_named(source: str, *, allow_code: bool = False) -> Imported:
    """The spec of a model that a library names.

    source  `timm:NAME`, `torchvision:NAME` …, or `package.module:factory`, which is code and must be allowed
    Raises SpecError and GraphError as for a spec that begins with the model; GraphError with every node that no layer
    is; UnavailableError if the library is not installed.
    """
    from composer.sources import example, make
    from composer.sources.ask import num_classes
    from composer.sources.recorded import recorded

    spec = load_spec(source, allow_code=allow_code)
    found = spec.source
    assert found is not None, "the source names a model"
    args, kwargs = example(found)
    variants = _of_another_size(source, allow_code)
    model = make(found, seed=0)
    classes = num_classes(found)
    if classes is not None and (other := _with_classes(source, allow_code)) is not None:
        variants.append(Variant(other, {CLASSES: (classes, OTHER_CLASSES)}))
    about = [
        f"{found.name} of {found.library}, written by `composer import {source}`. Its weights have the names and",
        f"shapes that they have in {found.library}, and with equal weights it gives equal numbers, bit by bit.",
    ]
    name = spec.name
    sites = {node.path: node.sites for node in recorded(spec).walk() if node.sites}
    inputs = _inputs(list(found.own_inputs.values()))
    text = Import(model, args, name, kwargs, inputs, variants, about, sites).text()
    return Imported(name, text, (), lambda problem: problem)


def _with_classes(source: str, allow_code: bool) -> nn.Module | None:
    """The model with another number of classes, on meta; None if it cannot be made so."""
    from composer.sources import make

    try:
        other = load_spec(source, vars={CLASSES: OTHER_CLASSES}, allow_code=allow_code).source
        return None if other is None else make(other)
    except ComposerError:
        return None


def _of_another_size(source: str, allow_code: bool) -> list[Variant]:
    """The model for an image that is higher and less wide; nothing if it has no single image, or takes no such one."""
    from composer.sources import example, make

    own = load_spec(source, allow_code=allow_code).source
    shapes = [] if own is None else [list(map(int, one.shape)) for one in own.own_inputs.values()]
    if len(shapes) != 1 or len(shapes[0]) != 3:
        return []
    channels, height, width = shapes[0]
    shape = [channels, height + STEP, width - STEP]
    try:
        found = load_spec({"name": "sized", "backbone": source, "input": shape}, allow_code=allow_code).source
        assert found is not None
        model = make(found, seed=0)
        args, kwargs = example(found)
        record(model, args, kwargs)
    except BaseException as error:
        if not is_error(error):
            raise
        return []
    return [Variant(model, args=args, input=shape)]


def _inputs(own: Sequence[InputSpec]) -> list[Any]:
    """Inputs as a spec writes them: the shape alone, if nothing else is known."""
    found: list[Any] = []
    for one in own:
        written = one.model_dump(exclude_none=True)
        if written.get("layout") == "b c h w":
            del written["layout"]
        found.append(written["shape"] if list(written) == ["shape"] else written)
    return found
