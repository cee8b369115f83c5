"""The outputs that a file names: of its network, those that only training has, and whether it returns a dict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from composer.errors import Mistakes, SpecError
from composer.spec.evaluate import show
from composer.spec.model import OUTPUT, OutputSpec, SpecFile
from composer.spec.origin import Origin, evaluate


@dataclass(frozen=True)
class Outputs:
    """Output name -> path; the names of those that only training has; and whether a dict is returned even of one."""

    paths: Mapping[str, str]
    training: frozenset[str] = frozenset()
    named: bool = False


def settle_outputs(content: SpecFile, vars: Mapping[str, Any], origin: Origin) -> Outputs | None:
    """The outputs of a file, without those whose `when` is false; None if it names none. Raises SpecError."""
    written = content.outputs
    if written is None or isinstance(written, str):
        return None if written is None else Outputs({OUTPUT: written})
    paths: dict[str, str] = {}
    training: set[str] = set()
    for name, one in written.items():
        if isinstance(one, str):
            paths[name] = one
        elif _is_there(one, vars, origin / "outputs" / name / "when"):
            paths[name] = one.path
            training |= {name} if one.only else set()
    plain = [name for name in paths if name not in training]
    # Beside outputs that only training has, a single one is a tensor in eval.
    single = len(plain) == 1 and any(isinstance(one, OutputSpec) and one.only for one in written.values())
    if single and not training:
        return Outputs({OUTPUT: paths[plain[0]]})
    return Outputs(paths, frozenset(training), named=not single)


def _is_there(output: OutputSpec, vars: Mapping[str, Any], origin: Origin) -> bool:
    try:
        value = evaluate(output.when, vars, origin)
    except Mistakes as error:
        raise SpecError(error.diagnostics) from error
    if not isinstance(value, bool):
        raise SpecError(origin.problem("when", f"`when` is {show(value)}", "true or false"))
    return value
