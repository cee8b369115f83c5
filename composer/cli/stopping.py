"""Signals that end a command: it undoes what it was writing, says so, and exits as shells expect."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from composer.foreign import Interrupt

_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "terminated: the terminal is gone"}


class Stopped(Interrupt):
    """A signal asked the process to end. No `except Exception` on the way takes it for an error.

    `last` is the one that was raised last: code written in C, and some imports, turn it into an error of their own.
    """

    last: Stopped | None = None

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.words = _WORDS[signal.Signals(number).name]
        self.exit_code = 128 + number
        Stopped.last = self


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """While this lasts, signals that end a process raise Stopped, so that everything opened is closed and undone."""
    Stopped.last = None
    before = {}
    for name in _WORDS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        # What is ignored (`nohup`) stays ignored, and only the main thread may ask.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            with contextlib.suppress(ValueError):
                before[number] = signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    # A second one is not to interrupt the undoing.
    signal.signal(number, signal.SIG_IGN)
    raise Stopped(number)
