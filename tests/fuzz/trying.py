"""Trying inputs one after the other for some time, and counting what became of them."""

from __future__ import annotations

import contextlib
import random
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from composer.errors import ComposerError
from composer.foreign import Interrupt

from .inputs import KINDS

LONGEST = 20.0


class TooLong(Interrupt):
    """An input took longer than it may."""


@dataclass
class Tally:
    """How many inputs were tried, and those that took too long or ended in an error that is not composer's own."""

    tried: int = 0
    unhandled: list[str] = field(default_factory=list)
    timeouts: list[str] = field(default_factory=list)


def try_inputs(kind: str, seconds: float, seed: int = 0, most: int | None = None) -> Tally:
    """Inputs of one kind for so many seconds, at most so many of them; the n-th of a seed is always the same."""
    tally, end = Tally(), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while time.monotonic() < end and tally.tried != most:
            name = f"{kind} {seed}:{tally.tried}"
            attempt = KINDS[kind](random.Random(name), Path(folder))
            tally.tried += 1
            try:
                with _at_most(LONGEST):
                    attempt()
            except ComposerError:
                pass
            except TooLong:
                tally.timeouts.append(name)
            except Exception as error:
                tally.unhandled.append(f"{name}: {type(error).__name__}: {error}")
    return tally


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
