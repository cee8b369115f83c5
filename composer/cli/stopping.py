"""Signals that end a command: it removes unfinished files, prints a message, and exits as shells expect."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from composer.foreign import Interrupt

_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "terminated: the terminal is gone"}


class Stopped(Interrupt):
    """A signal asked the process to end. `except Exception` does not catch it.

    `last` is the Stopped raised last: C code, and some imports, turn a Stopped into an error of their own.
    """

    last: Stopped | None = None

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.words = _WORDS[signal.Signals(number).name]
        self.exit_code = 128 + number
        Stopped.last = self


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """In this context, signals that end a process raise Stopped, so that cleanup code runs."""
    Stopped.last = None
    before = {}
    for name in _WORDS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        # An ignored signal (`nohup`) stays ignored. Outside the main thread, `signal` raises ValueError.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            with contextlib.suppress(ValueError):
                before[number] = signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    # A second signal must not interrupt the cleanup.
    signal.signal(number, signal.SIG_IGN)
    raise Stopped(number)
