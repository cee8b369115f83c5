"""The names that the expressions of a file read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from composer.spec.expression import is_dynamic, parse_condition, parse_template
from composer.spec.origin import Origin, walk_strings
from composer.spec.tokens import ExpressionError


def names_read(file: Origin) -> set[str]:
    """Every name that an expression anywhere in a file reads, without the facts behind its dots."""
    return {name.partition(".")[0] for name in _reads(file)}


def _reads(file: Origin) -> Iterator[str]:
    for text, here in walk_strings(file.document.plain(), file):
        with contextlib.suppress(ExpressionError):
            bare = here.path[-1] == "where"
            found = parse_condition(text)[1].reads if bare else parse_template(text).reads if is_dynamic(text) else ()
            yield from (name for name, _ in found)
