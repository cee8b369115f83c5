"""Stands in for `composer.sources` where no library is to be asked: it knows no model and objects to none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from composer.errors import Diagnostic
from composer.spec.model import InputSpec
from composer.spec.model_source import ModelSource
from composer.spec.origin import Origin


def check_name(source: ModelSource, *, allow_code: bool) -> None:
    """Any name may be that of a model."""


def num_classes(source: ModelSource) -> int:
    """A number of classes, so that expressions may read it."""
    return 1000


def var_problem(name: str, place: Origin, source: ModelSource) -> Diagnostic | None:
    """None: any var may be an argument of the model's factory."""
    return None


def problems(source: ModelSource, origins: Mapping[str, Origin]) -> Sequence[Diagnostic]:
    """None at all."""
    return ()


def own_inputs(source: ModelSource) -> Mapping[str, InputSpec]:
    """An input, so that the text is whole."""
    return {"input": InputSpec(shape=[3, 224, 224])}


def shape_problems(
    source: ModelSource, inputs: Mapping[str, InputSpec], origins: Mapping[str, Any]
) -> Sequence[Diagnostic]:
    """None at all."""
    return ()
