"""timm's keywords: the number of classes, and the channels, height and width of the input."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from composer.errors import Diagnostic, InputError, one_of
from composer.given import whole
from composer.spec.document import Document
from composer.spec.evaluate import show
from composer.spec.load import assemble, load_spec
from composer.spec.origin import Origin
from composer.spec.references import LoadedFile
from composer.spec.spec import Spec
from composer.spec.structure import validate

ImageSize = int | Sequence[int]


def sized(
    spec: Spec,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    img_size: ImageSize | None = None,
    besides: Collection[str] = (),
) -> Spec:
    """The spec with another number of classes, number of channels or image size; None changes nothing.

    num_classes  value for the var `num_classes`
    in_chans     channels of the only input: sets the var in its shape, or replaces the number there
    img_size     height and width of the input in pixels, or a number for both; set in the same way
    besides      names of vars that are already set and may not be set again
    Raises InputError if the spec has no such var or input, or it is already set; SpecError for a wrong value.
    """
    if in_chans is not None:
        in_chans = whole("in_chans", in_chans)
    sides = [] if img_size is None else _sides(img_size)
    vars: dict[str, Any] = {}
    if num_classes is not None:
        if "num_classes" not in spec.vars:
            raise _missing(spec, "num_classes", "no var `num_classes`", "declare it: `vars: {num_classes: 1000}`")
        vars["num_classes"] = num_classes
    wanted: dict[str, tuple[str, int]] = {}
    if in_chans is not None:
        wanted["c"] = ("in_chans", in_chans)
    if sides:
        height, width = sides
        wanted |= {"h": ("img_size", height), "w": ("img_size", width)}
    shape = _shape(spec, wanted, vars) if wanted else None
    if twice := [name for name in vars if name in besides]:
        text = f"`{twice[0]}` is given through `vars` and by keyword"
        raise InputError(Diagnostic("keyword", text, label="one of the two"))
    if shape is not None:
        spec = _with_shape(spec, shape)
    return load_spec(spec, vars=vars) if vars else spec


def _sides(given: Any) -> list[int]:
    """The height and the width, in pixels. Raises InputError."""
    several = list(given) if isinstance(given, list | tuple) else [given, given]
    if len(several) != 2:
        text = f"`img_size` is {show(given)}"
        raise InputError(Diagnostic("keyword", text, label="one number, or a height and a width"))
    return [whole("img_size", one) for one in several]


def _shape(spec: Spec, wanted: dict[str, tuple[str, int]], vars: dict[str, Any]) -> list[int | str] | None:
    """The input's shape with the wanted numbers, None if unchanged; adds the values of vars in the shape to `vars`."""
    keyword = next(iter(wanted.values()))[0]
    if len(spec.inputs) != 1:
        raise _missing(spec, keyword, f"several inputs, {one_of(spec.inputs)}")
    (given,) = spec.inputs.values()
    axes, shape = given.layout.split()[1:], list(given.shape)
    for axis, (keyword, number) in wanted.items():
        if axis not in axes:
            raise _missing(spec, keyword, f"an input `{given.layout}`")
        place = axes.index(axis)
        written = shape[place]
        if isinstance(written, int):
            shape[place] = number
        elif (name := re.fullmatch(r"\$\{?\s*(\w+)\s*\}?", written)) and name[1] in spec.vars:
            if vars.setdefault(name[1], number) != number:
                raise _missing(spec, keyword, f"one var `{name[1]}` for several sides")
        else:
            raise _missing(spec, keyword, f"an input of `{written}`, which is computed")
    return shape if shape != given.shape else None


def _with_shape(spec: Spec, shape: list[int | str]) -> Spec:
    """The spec with another shape of its only input, changed as by a spec file that has it as backbone."""
    ((name, given),) = spec.inputs.items()
    whole = {**given.model_dump(exclude_unset=True), "shape": shape}
    changed = {"input": {"shape": shape}} if name == "input" else {"inputs": {name: whole}}
    document = Document.from_mapping({"name": spec.name, "backbone": spec.name, **changed}, "<input>")
    file = LoadedFile(validate(document), Origin(document), None, spec.files[0].root)
    return assemble((file, *spec.files), spec.overrides, allow_code=spec.allow_code)


def _missing(spec: Spec, keyword: str, has: str, otherwise: str = "write its `input` in a spec") -> InputError:
    text = f"`{keyword}` cannot be set: `{spec.name}` has {has}"
    vars = f"its vars, which `vars={{…}}` sets, are {one_of(spec.vars)}" if spec.vars else "it has no vars"
    return InputError(Diagnostic("keyword", text, help=(vars, f"or {otherwise}")))
