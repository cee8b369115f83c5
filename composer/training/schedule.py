"""The learning rate at a step, as a function of the step alone: what was trained before does not matter."""

from __future__ import annotations

import math

from composer.spec.recipe import ScheduleSpec


def share(schedule: ScheduleSpec, step: int, *, total: int, epoch: int) -> float:
    """The share of the optimizer's learning rate with which a step is taken.

    schedule  its name and numbers
    step      counted from 0
    total     steps of the whole training
    epoch     steps of an epoch

    >>> [round(share(ScheduleSpec(name="cosine"), step, total=4, epoch=2), 2) for step in range(4)]
    [1.0, 0.85, 0.5, 0.15]
    """
    warm = round(schedule.warmup * epoch)
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, total - warm)
    match schedule.name:
        case "cosine":
            return schedule.floor + (1 - schedule.floor) * (1 + math.cos(math.pi * done)) / 2
        case "linear":
            return 1 - (1 - schedule.floor) * done
        case "step":
            return schedule.factor ** sum(step >= round(at * epoch) for at in schedule.at)
    return 1.0
