"""Texts that change faster than they are read: of each, only the newest is read, one after another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from composer.live.reading import Reader, Reading


@dataclass
class Text:
    """A text that is being written.

    version   grows with each change
    reading   of the newest version that was read, and `good` the last that has a network; `spec` the last with a spec
    """

    path: Path | None
    name: str
    text: str
    version: int
    reading: Reading | None = None
    good: Reading | None = None
    spec: Reading | None = None
    read: int = -1

    @property
    def best(self) -> Reading | None:
        """What is known best: the last reading with a network, else with a spec, else the last."""
        return self.good or self.spec or self.reading


# Called with the key of a text, its version and its reading; from the thread that reads.
Told = Callable[[str, int, Reading], None]


@dataclass
class Latest:
    """Reads texts in a thread of its own, and tells what it finds; it ends with the process, or with `close`.

    Until the first network is composed, which imports torch, the problems of a text are told before those of its
    network.
    """

    reader: Reader
    told: Told
    texts: dict[str, Text] = field(default_factory=dict)
    _waiting: dict[str, None] = field(default_factory=dict)
    _change: threading.Condition = field(default_factory=threading.Condition)
    _is_closed: bool = False
    _is_warm: bool = False

    def start(self) -> None:
        """Start to read. What composes networks is imported meanwhile, since that takes seconds."""
        threading.Thread(target=self._warm, name="composer.live.warm", daemon=True).start()
        threading.Thread(target=self._run, name="composer.live", daemon=True).start()

    def put(self, key: str, text: str, version: int, path: Path | None = None, name: str = "") -> None:
        """A text, or a new version of it."""
        with self._change:
            known = self.texts.get(key)
            if known is None:
                self.texts[key] = Text(path, name, text, version)
            else:
                known.text, known.version = text, version
            self._waiting[key] = None
            self._change.notify_all()

    def drop(self, key: str) -> None:
        """Forget a text."""
        with self._change:
            self.texts.pop(key, None)
            self._waiting.pop(key, None)
            self._change.notify_all()

    def close(self) -> None:
        """Read no more."""
        with self._change:
            self._is_closed = True
            self._change.notify_all()

    def wait(self, key: str, seconds: float) -> Text | None:
        """The text once its newest version was read, or the time is over; None if it was dropped."""
        with self._change:
            self._change.wait_for(lambda: self._is_closed or self._is_read(key), seconds)
            return self.texts.get(key)

    def _is_read(self, key: str) -> bool:
        known = self.texts.get(key)
        return known is None or known.read >= known.version

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._is_closed or bool(self._waiting))
                if self._is_closed:
                    return
                key = next(iter(self._waiting))
                del self._waiting[key]
                known = self.texts[key]
                text, version = known.text, known.version
            self._read(key, known, text, version)

    def _read(self, key: str, known: Text, text: str, version: int) -> None:
        found = self.reader.read(text, known.path, known.name)
        if not self._is_warm and found.spec is not None:
            self.told(key, version, self.reader.names(found))
        found = self.reader.compose(found)
        if self._is_kept(key, known):
            self.told(key, version, found)
        if found.graph is not None:
            self._is_warm = True
            # What rules add is asked for next, by inlays: it is counted here, not in the thread that answers.
            _ = found.added, found.instances
        with self._change:
            known.reading, known.read = found, version
            known.good = found if found.graph is not None else known.good
            known.spec = found if found.spec is not None else known.spec
            self._change.notify_all()

    def _is_kept(self, key: str, known: Text) -> bool:
        return self.texts.get(key) is known and not self._is_closed

    def _warm(self) -> None:
        # Not after the first text: its own problems take hundredths of a second, and torch seconds, of which an editor
        # that has just started leaves one or more.
        import composer.dag.checked
        import composer.network  # noqa: F401
