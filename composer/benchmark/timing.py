"""Times of several networks that run in turn."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence

from composer.benchmark.contestant import Contestant, modes, waiting
from composer.benchmark.settings import WARM_UP, Pass, Settings


def times(
    contestants: Sequence[Contestant], kind: Pass, settings: Settings, tell: Callable[[str], None]
) -> list[list[float]]:
    """Seconds of each run of each network. In each round all run once, and the next round begins with the next one.

    Other programs and a processor that gets warm slow down neighbouring runs alike, so their ratios stay true.
    tell  told how far it is
    """
    modes(contestants, kind)
    wait = waiting(settings)
    found: list[list[float]] = [[] for _ in contestants]
    numbers = list(range(len(contestants)))
    for number in range(-WARM_UP, settings.runs):
        tell(f"{kind} {number + 1} of {settings.runs}" if number >= 0 else f"{kind}, warming up")
        first = number % len(contestants)
        for index in numbers[first:] + numbers[:first]:
            seconds = _timed(contestants[index], kind, wait)
            if number >= 0:
                found[index].append(seconds)
    return found


def _timed(contestant: Contestant, kind: Pass, wait: Callable[[], None]) -> float:
    collects = gc.isenabled()
    gc.disable()
    try:
        wait()
        start = time.perf_counter()
        contestant.run(kind)
        wait()
        return time.perf_counter() - start
    finally:
        if collects:
            gc.enable()
