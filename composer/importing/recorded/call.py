"""A recorded call of a function, as rules read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from composer.hosts.recording.replay import Replay
from composer.importing.recorded.scope import Scribe, Unknown
from composer.importing.recorded.views import View

Rule = Callable[["Call"], View]


class Call:
    """A call of a function, with what a rule needs.

    given   its arguments; a View where a tensor stands
    named   its keyword arguments
    shape   the shape of its result
    item    which of several results it is
    """

    def __init__(self, scribe: Scribe, replay: Replay, views: Sequence[View], shape: tuple[int, ...]) -> None:
        self.scribe, self.shape = scribe, shape
        self.views = list(views)
        given, self.named = replay.filled(views)
        self.given = list(given)
        self.item = replay.item

    @property
    def first(self) -> View:
        """Its first argument. Raises Unknown if that is no tensor."""
        found = self.given[0] if self.given else next(iter(self.named.values()))
        if not isinstance(found, View):
            raise Unknown("its first argument is no tensor")
        return found

    def argument(self, number: int, name: str, default: Any = None) -> Any:
        """An argument by its place or name."""
        return self.given[number] if number < len(self.given) else self.named.get(name, default)

    def dims(self, number: int, name: str) -> list[int] | None:
        """An argument that is one axis or several, counted from 0; all that follow if they are given one by one."""
        found = self.given[number:] if number < len(self.given) else [self.named.get(name)]
        if len(found) == 1 and isinstance(found[0], list | tuple):
            found = list(found[0])
        numbers = [one for one in found if isinstance(one, int)]
        return [one % len(self.first.shape) for one in numbers] if numbers and numbers == found else None

    def only(self, *names: str) -> None:
        """Refuse keyword arguments that a rule does not know. Raises Unknown."""
        for name, value in self.named.items():
            if name not in names and value is not None and not isinstance(value, View):
                raise Unknown(f"with {name}={value!r}")
