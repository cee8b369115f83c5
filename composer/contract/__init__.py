"""Checks for every registered mechanism: the tests run them on ours, `composer check` on any other."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from composer.contract import behaviour, carrying, engines, precision, reference
from composer.contract.subject import Failure, Refusal, Subject
from composer.foreign import is_error, named
from composer.registry import ModuleEntry


@dataclass(frozen=True)
class Verdict:
    """The result of a check: `ok`; `refused` or `failed`, with the reason in `detail`."""

    check: str
    status: Literal["ok", "refused", "failed"]
    detail: str = ""


Check = Callable[[Subject], None]
REFERENCE = "reference"


def run(subject: Subject, only: str = "*") -> Iterator[Verdict]:
    """A verdict for each check of a mechanism, in turn; `only` names a single check, `*` means all."""
    for name, check in checks_of(subject.entry).items():
        if only in ("*", name):
            yield verdict(subject, name, check)


def checks_of(entry: ModuleEntry) -> Mapping[str, Check]:
    """The checks of a mechanism by name; `reference` only if the mechanism declares a reference."""
    return {name: check for name, check in CHECKS.items() if name != REFERENCE or entry.reference is not None}


def verdict(subject: Subject, name: str, check: Check) -> Verdict:
    """The verdict of a check on a mechanism."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(subject)
    except Refusal as refusal:
        return Verdict(name, "refused", str(refusal))
    except Failure as error:
        return Verdict(name, "failed", str(error))
    except BaseException as error:
        if not is_error(error):
            raise
        return Verdict(name, "failed", next(iter(named(_first_cause(error)).splitlines())))
    return Verdict(name, "ok")


def _first_cause(error: BaseException) -> BaseException:
    """The first error in a chain of causes: exporters wrap it in others."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


CHECKS: Mapping[str, Check] = {
    "documented": behaviour.documented,
    "keeps the shape": behaviour.keeps_the_shape,
    "every parameter learns": behaviour.every_parameter_learns,
    "gradients are right": behaviour.gradients_are_right,
    "trains": behaviour.trains,
    "trains on one image": behaviour.trains_on_one,
    "empty batch": behaviour.empty_batch,
    "deterministic": behaviour.deterministic,
    "leaves its input": behaviour.leaves_its_input,
    "samples do not mix": behaviour.samples_do_not_mix,
    "memory formats": precision.memory_formats,
    "half precision": precision.half_precision,
    "scales 1e-4 to 1e4": precision.scales,
    "copies": carrying.copies,
    "attention values": behaviour.attention,
    "meta device": carrying.meta,
    "derived buffers": carrying.derived_buffers,
    "checkpointing": engines.checkpoints,
    "vmap": engines.ensembles,
    "symbolic_trace": carrying.traces,
    "jit.trace": engines.is_recorded,
    "torch.compile": carrying.compiles,
    "torch.export": carrying.exports,
    "torch.export of any size": carrying.exports_any_size,
    "ONNX": carrying.exports_to_onnx,
    "quantize_dynamic": engines.is_quantised_dynamically,
    "PT2E": engines.is_quantised,
    REFERENCE: reference.agrees,
}

__all__ = ["CHECKS", "Check", "Failure", "Refusal", "Subject", "Verdict", "checks_of", "run", "verdict"]
