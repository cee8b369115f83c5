"""The experiments of papers: the networks in specs/papers, and the results that the papers measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from composer.errors import Diagnostic, InputError, did_you_mean, one_of
from composer.spec import zoo
from composer.spec.model import Published
from composer.spec.references import read_file
from composer.spec.structure import validate
from composer.visible import one_line

_FIELDS = tuple(Published.model_fields)
# Above every number of the article's tables.
_AFTER_THE_ARTICLE = 999


@dataclass(frozen=True)
class Experiment:
    """A paper's network by its name in the zoo, and its row in a results table; None if it is in no table."""

    name: str
    published: Published | None

    def to_row(self) -> dict[str, Any]:
        """The experiment as plain values, None where not known; `printed_…` is the paper's own figure."""
        names = {field: f"printed_{field}" if field in ("parameters", "macs") else field for field in _FIELDS}
        return {"name": self.name, **{name: getattr(self.published, field, None) for field, name in names.items()}}


def experiments(
    pattern: str = "*", *, table: str | None = None, architecture: str | None = None, mechanism: str | None = None
) -> list[Experiment]:
    """The papers' networks whose name matches the pattern, in the order of the article's tables.

    pattern                         a glob over names
    table, architecture, mechanism  keep only rows with this value; a name or a glob, upper and lower case alike

    Raises InputError if no row has that value.
    """
    found = sorted(map(_read, zoo.papers()), key=_place)
    wanted = {"table": table, "architecture": architecture, "mechanism": mechanism}
    filters = {field: value for field, value in wanted.items() if value is not None}
    InputError.check(_unknown(found, filters))
    return [
        one
        for one in found
        if fnmatchcase(one.name, pattern) and all(_is(one, field, value) for field, value in filters.items())
    ]


def description(name: str) -> str | None:
    """What the file of a network of the zoo says of it, in one line; None if it says nothing."""
    path = zoo.find(name)
    assert path is not None, "it is in the zoo"
    # Most say nothing, and reading them all as YAML takes a second.
    if "description:" not in path.read_text(encoding="utf-8"):
        return None
    return one_line(read_file(path).plain().get("description")) or None


def _read(name: str) -> Experiment:
    return Experiment(name, validate(read_file(zoo.folder() / f"{name}.yaml")).published)


def _place(experiment: Experiment) -> tuple[bool, list[int], str, str]:
    """Sort key: the article's tables by number, 10.1 after 9.1, other tables by name, and networks in no table last."""
    table = experiment.published.table if experiment.published else ""
    numbers = table.split(".")
    if all(number.isdecimal() for number in numbers):
        return False, [int(number) for number in numbers], "", experiment.name
    return not table, [_AFTER_THE_ARTICLE], table, experiment.name


def _is(experiment: Experiment, field: str, value: str) -> bool:
    found = getattr(experiment.published, field, None)
    return found is not None and fnmatchcase(found.lower(), value.lower())


def _unknown(found: list[Experiment], filters: dict[str, str]) -> Iterator[Diagnostic]:
    for field, value in filters.items():
        if not any(_is(one, field, value) for one in found):
            known = list(dict.fromkeys(getattr(one.published, field) for one in found if one.published))
            hint = did_you_mean(value, known, f"there are {one_of(known, len(known))}")
            yield Diagnostic("no-row", f"no row has the {field} `{value}`", path=field, help=hint)
