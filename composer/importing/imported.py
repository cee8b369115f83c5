"""What an import gives: the text of a spec, and what to say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from composer.errors import ComposerError, Diagnostic, Source
from composer.spec.yaml import read


@dataclass(frozen=True)
class Imported:
    """A spec that was made of another tool's description.

    name    the name of the network
    text    the spec, as YAML
    notes   one line per thing that the import leaves out or changes
    blame   a problem of the composed network -> the same problem, at the line of the description that causes it
    """

    name: str
    text: str
    notes: tuple[str, ...]
    blame: Callable[[Diagnostic], Diagnostic]

    @cached_property
    def mapping(self) -> dict[str, Any]:
        """The spec as plain values, as `composer.compose` takes them."""
        found: dict[str, Any] = read(Source(self.name, self.text)).plain()
        return found

    def blamed(self, error: ComposerError) -> ComposerError:
        """An error of the composed network, with each problem at the line of the description that causes it."""
        return error.changed(self.blame)
