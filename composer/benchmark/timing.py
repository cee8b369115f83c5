"""Times of several networks that run in turn."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence

from composer.amounts import duration, plural
from composer.benchmark.contestant import Contestant, modes, waiting
from composer.benchmark.settings import WARM_UP, Pass, Settings


def times(
    contestants: Sequence[Contestant],
    kind: Pass,
    settings: Settings,
    tell: Callable[[str], None],
    say: Callable[[str], None] = lambda text: None,
) -> list[list[float]]:
    """Seconds of each run of each network. In each round all run once, and the next round begins with the next one.

    Other programs and a processor that gets warm slow down neighbouring runs alike, so their ratios stay true.
    tell  told how far it is
    say   told once, when all are warm, how long it will take
    """
    modes(contestants, kind)
    wait = waiting(settings)
    found: list[list[float]] = [[] for _ in contestants]
    numbers, lasted = list(range(len(contestants))), 0.0
    for number in range(-WARM_UP, settings.runs):
        tell(f"{kind} {number + 1} of {settings.runs}" if number >= 0 else f"{kind}, warming up")
        if number == 0:
            say(f"{kind}: {plural(settings.runs, 'run')} of each, about {duration(lasted * settings.runs)}")
        first, began = number % len(contestants), time.perf_counter()
        for index in numbers[first:] + numbers[:first]:
            seconds = _timed(contestants[index], kind, wait)
            if number >= 0:
                found[index].append(seconds)
        # That of the last round: in the first ones caches are cold.
        lasted = time.perf_counter() - began
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
