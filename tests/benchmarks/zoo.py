"""Composing and building every backbone that timm has too, beside timm, in CPU time. Run it:
python -m tests.benchmarks.zoo"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import timm
import torch

import composer

GOALS = (1.0, 1.5)


def seconds(function: Callable[[], Any]) -> float:
    """CPU time of a call, which other processes do not change as they change the time on a clock."""
    gc.collect()
    start = time.process_time()
    function()
    return time.process_time() - start


def ratios(name: str, runs: int) -> tuple[float, float]:
    """Time from a name to the graph, and from the name to the module, each divided by timm's: the medians of runs in
    turn, after one that fills the caches of both."""
    calls = [partial(composer.graph, name), partial(composer.build, name), partial(timm.create_model, name)]
    for call in calls:
        call()
    times = [[seconds(call) for call in (calls if index % 2 else reversed(calls))] for index in range(runs)]
    ordered = [row if index % 2 else row[::-1] for index, row in enumerate(times)]
    graph, build, theirs = (statistics.median(column) for column in zip(*ordered, strict=True))
    return graph / theirs, build / theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("pattern", nargs="?", default="*")
    given = parser.parse_args()
    torch.set_num_threads(1)
    names = [name for name in composer.list_backbones(given.pattern) if timm.is_model(name)]
    found = {}
    print(f"{'ours / timm.create_model':<40}{'composed':>10}{'built':>10}")
    for name in names:
        found[name] = ratios(name, given.runs)
        print(f"{name:<40}{found[name][0]:>10.2f}{found[name][1]:>10.2f}", flush=True)
    composed, built = zip(*found.values(), strict=True)
    for word, of in (("geometric mean", statistics.geometric_mean), ("median", statistics.median), ("largest", max)):
        print(f"{f'{word} of {len(names)}':<40}{of(composed):>10.2f}{of(built):>10.2f}")
    mean, most = GOALS
    slow = sorted((ratio for ratio in built if ratio > most), reverse=True)
    print(f"goals: a geometric mean up to {mean}; none above {most}, found {len(slow)}")


if __name__ == "__main__":
    main()
