"""What looking at a network costs: summary and diff of 10,000 nodes. Run it: python -m tests.benchmarks.see"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from typing import Any

import composer
from composer.dag.limits import Limits
from composer.network import Graph
from tests.benchmarks.engine import chain

LIMITS = Limits(nodes=10**6)


def fresh(graph: Graph) -> Graph:
    """The graph without what it has already worked out."""
    return Graph(graph.spec, graph.root, graph.limits)


def least(function: Callable[[], Any], runs: int) -> float:
    """The fewest seconds of the processor: others may be at work on the machine."""
    seconds = []
    for _ in range(runs):
        gc.collect()
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds)


def measure(blocks: int, *, flat: bool, runs: int) -> None:
    """One line: seconds for each step, on a chain of residual blocks with and without ECA at each."""
    plain, composed = (Graph.of(composer.load(chain(blocks, flat=flat, rule=rule)), LIMITS) for rule in (False, True))
    summary, difference = plain.summary(), composer.diff(plain, composed)
    steps = {
        "summary": lambda: fresh(plain).summary(),
        "as text": lambda: str(summary.view(depth=9)),
        "as CSV": lambda: summary.view(depth=9).csv(),
        "diff": lambda: composer.diff(fresh(plain), fresh(composed)),
        "as text ": lambda: str(difference),
    }
    nodes = sum(1 for _ in plain.root.walk())
    cells = "".join(f"{least(step, runs):>10.2f}" for step in steps.values())
    print(f"{'flat list' if flat else 'repeat':<10}{nodes:>8,}{cells}   {len(difference.changes):,} changes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--blocks", type=int, nargs="+", default=[1250, 2500])
    options = parser.parse_args()
    heads = ("summary", "as text", "as CSV", "diff", "as text")
    print(f"{'seconds':<10}{'nodes':>8}" + "".join(f"{head:>10}" for head in heads))
    for flat in (False, True):
        for blocks in options.blocks:
            measure(blocks, flat=flat, runs=options.runs)


if __name__ == "__main__":
    main()
