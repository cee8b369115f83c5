"""What a preview shows: the last good picture, what is wrong with the text now, what changed since another text."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from composer.amounts import plural, three_figures
from composer.errors import ComposerError, Location
from composer.foreign import is_error, named
from composer.html import STYLE, document, words
from composer.live import telling
from composer.live.reading import Reading

if TYPE_CHECKING:
    from composer.network import Graph


@dataclass
class State:
    """What is shown of one text. Each change grows `version`, each change of the picture `picture` too.

    name     of the text
    status   a sentence
    reading  the newest reading
    good     the network of the last reading that had one
    before   the network that it is compared with
    """

    name: str
    status: str = ""
    reading: Reading | None = None
    good: Graph | None = None
    before: Graph | None = None
    version: int = 0
    picture: int = 0
    _drawn: tuple[int, bytes] = (-1, b"")
    _change: threading.Condition = field(default_factory=threading.Condition)
    _drawing: threading.Lock = field(default_factory=threading.Lock)
    _is_closed: bool = False

    def show(self, reading: Reading) -> None:
        """A new reading of the text."""
        with self._change:
            self.reading = reading
            if reading.graph is not None:
                self.good = reading.graph
                self.status = f"{three_figures(reading.graph.num_parameters)} parameters"
            else:
                kept = "; the picture is the last good one" if self.good is not None else ""
                self.status = f"{plural(len(reading.problems), 'mistake')}{kept}"
            if reading.graph is not None or self.good is None:
                self.picture += 1
            self._changed()

    def keep(self) -> None:
        """From now on, what is shown is compared with the network that is good now."""
        with self._change:
            self.before = self.good
            self._changed()

    def say(self, status: str) -> None:
        """A sentence in place of the status."""
        with self._change:
            self.status = status
            self._changed()

    def close(self) -> None:
        """Nothing more will be shown."""
        with self._change:
            self._is_closed = True
            self._change.notify_all()

    def _changed(self) -> None:
        self.version += 1
        self._change.notify_all()

    def wait(self, version: int, seconds: float) -> int | None:
        """The version, once it is another than this one or the time is over; None when nothing more will be shown."""
        with self._change:
            self._change.wait_for(lambda: self._is_closed or self.version != version, seconds)
            return None if self._is_closed else self.version

    def to_json(self) -> dict[str, Any]:
        """What a browser is told."""
        with self._change:
            reading, good, before = self.reading, self.good, self.before
            found = {"name": self.name, "status": self.status, "picture": self.picture}
        problems = [str(one) for one in reading.problems] if reading is not None else []
        return {**found, "problems": problems, "changes": _changes(before, good)}

    def page(self) -> bytes:
        """The page of the last good picture; before there is one, of what can be drawn."""
        with self._drawing:
            with self._change:
                picture, reading, good = self.picture, self.reading, self.good
            if self._drawn[0] != picture:
                self._drawn = (picture, _page(self.name, reading, good).encode("utf-8", "replace"))
            return self._drawn[1]

    def line_of(self, asked: object) -> Location | None:
        """Where a node of the picture, `{"path": …}`, or a problem, `{"problem": number}`, is written."""
        if not isinstance(asked, dict) or self.reading is None:
            return None
        number, path = asked.get("problem"), asked.get("path")
        if isinstance(number, int) and 0 <= number < len(self.reading.problems):
            return telling.place(self.reading, self.reading.problems[number])
        if isinstance(path, str) and self.good is not None:
            found = next((node for node in self.good.root.walk() if node.path == path), None)
            return found.origin.location(key=True) if found is not None else None
        return None


def _changes(before: Graph | None, after: Graph | None) -> str:
    """The differences in words; empty for none."""
    if before is None or after is None or before is after:
        return ""
    from composer.difference import compare

    difference = compare(before, after)
    return str(difference) if difference else ""


def _page(name: str, reading: Reading | None, good: Graph | None) -> str:
    try:
        return _drawn(name, reading, good)
    except ComposerError as error:
        text = str(error)
    except BaseException as error:
        if not is_error(error):
            raise
        text = f"the picture could not be drawn: {named(error)}"
    return document(name, f"<h1>{words(name)}</h1><pre>{words(text)}</pre>", styles=[STYLE])


def _drawn(name: str, reading: Reading | None, good: Graph | None) -> str:
    from composer.dag.sketch import Sketch, sketch
    from composer.draw.picture import draw_problems
    from composer.page.render import render_failure, render_page

    if good is not None:
        return render_page(Sketch.of(good), good)
    if reading is None or reading.spec is None:
        return render_failure(draw_problems(name, reading.problems if reading is not None else ()))
    drawn = sketch(reading.spec, reading.problems)
    return render_failure(draw_problems(name, reading.problems)) if drawn.is_empty else render_page(drawn)
