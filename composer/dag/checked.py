"""A spec whose text was examined -> its network, and the problems of every stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from composer.dag.composition import Composition
from composer.dag.frozen import check_frozen
from composer.dag.infer import Inference
from composer.errors import Diagnostic, GraphError, meant
from composer.spec.sites import MEANINGS
from composer.spec.spec import Spec

# Codes of problems that do not depend on the values of vars.
WHATEVER_THE_VARS = {"unknown-mechanism", "unknown-op", "unknown-option", "option-type", "plugin"}

AnyComposition = TypeVar("AnyComposition", bound=Composition)


def checked(
    spec: Spec, problems: Sequence[Diagnostic], kind: type[AnyComposition], inference: Inference | None = None
) -> tuple[AnyComposition | None, list[Diagnostic]]:
    """The network of a spec, None if it cannot be composed; and the problems of its text and of the network.

    spec      the sound part of a text, as `examine` returns it, with the `problems` that it found
    kind      the class of the network
    inference as for `Composition.of`

    The sound parts of a text are composed too, so that a mistake in a name does not hide a mistake in a shape.
    """
    try:
        found = kind.of(spec, inference=inference)
        check_frozen(found)
    except GraphError as error:
        # Vars with wrong values have their defaults: problems of shapes and places may come from that.
        more = [one for one in error.diagnostics if not spec.misses or _is_certain(one)]
        return None, [*problems, *more] if problems else [*error.diagnostics]
    return found, list(problems)


def _is_certain(problem: Diagnostic) -> bool:
    """Whether a problem stays whatever the values of vars: also of a misspelt site, which no network has.

    A name with a number may be that of a node that there is with other values.
    """
    is_misspelt_site = problem.code == "no-match" and meant(problem) in MEANINGS
    return problem.code in WHATEVER_THE_VARS or (is_misspelt_site and not any(map(str.isdigit, problem.message)))
