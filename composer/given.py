"""Checks of what Python users give by keyword: a wrong type is told by its name, with what is expected."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from composer.errors import Diagnostic, InputError, did_you_mean, one_of
from composer.visible import visible


def wrong(keyword: str, given: object, label: str, help: tuple[str, ...] = ()) -> InputError:
    """The error of a value that a keyword cannot have; `label` is what is expected."""
    return InputError(Diagnostic("keyword", visible(f"`{keyword}` is {given!r:.200}"), label=label, help=help))


def whole(keyword: str, given: Any, least: int | None = 1) -> int:
    """A whole number, also one of numpy's or torch's, of at least so much. Raises InputError for anything else."""
    label = "a whole number" if least is None else f"a whole number from {least} on"
    try:
        number = operator.index(given)
    except TypeError as error:
        raise wrong(keyword, given, label) from error
    if isinstance(given, bool) or (least is not None and number < least):
        raise wrong(keyword, given, label)
    return number


def text(keyword: str, given: Any, label: str = "a text") -> str:
    """A text. Raises InputError for anything else."""
    if not isinstance(given, str):
        raise wrong(keyword, given, label)
    return given


def path(keyword: str, given: Any) -> Path:
    """A path. Raises InputError for what is neither a text nor a Path."""
    if not isinstance(given, str | Path):
        raise wrong(keyword, given, "a path")
    return Path(given)


def several(keyword: str, given: Any, label: str) -> list[str]:
    """Texts, of one or of several. Raises InputError for anything else."""
    found: list[Any] = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    if not all(isinstance(one, str) for one in found):
        raise wrong(keyword, given, label)
    return found


def choice(keyword: str, given: Any, known: Iterable[str]) -> str:
    """One of these words. Raises InputError for anything else."""
    words = list(known)
    if given not in words:
        raise wrong(keyword, given, one_of(words), did_you_mean(given, words))
    return str(given)
