"""A module of another library as a spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from composer.importing.recorded.draft import Draft
from composer.importing.recorded.merge import Merger, in_order
from composer.importing.recorded.read import read
from composer.importing.recorded.text import Writer, text_of_spec
from composer.importing.recorded.translate import Missing


def spec_of(
    model: nn.Module,
    args: Sequence[Any],
    *,
    name: str,
    head: Mapping[str, Any],
    others: Sequence[tuple[nn.Module, Mapping[str, tuple[Any, Any]]]] = (),
) -> tuple[str, list[Missing]]:
    draft, missing = read(model, args, name)
    if missing:
        return "", missing
    merger = Merger()
    template = merger.template(draft, name)
    names = {}
    for other, values in others:
        more, lacking = read(other, args, name)
        merger.template(more, name)
        names.update({repr(list(pair)): var for var, pair in values.items()})
    writer = Writer(in_order(template), names)
    return text_of_spec(writer.mapping({"name": name, **head})), []
