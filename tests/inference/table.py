"""Measures what each step of `composer.for_inference` gains, and prints the table examples/tables/inference.md:

python -m tests.inference.table [--runs N] [--size PIXELS] [--only NETWORK]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

import torch

import composer
from composer.inference import Optimised
from composer.lines import markdown_table

NETWORKS = ("resnet50", "papers/cbam/resnet50", "mobilenetv3_large_100", "convnext_tiny", "vit_tiny_patch16_224")
THREADS = (1, 2)
HEAD = """\
# What each step of `for_inference` gains

Made by `python -m tests.inference.table`. A cell is the median ratio of the times of a step to those of the step
before it, run in turn in one process, with its 95 % interval: 0.5 is twice as fast. *All* compares all steps together
with the network as it was, and *difference* is how far its outputs are from those, as a part of the largest. Weights
are random, the batch is one image.
"""


def measured(name: str, threads: int, runs: int, size: int) -> Optimised:
    """What all steps do for a network with random weights, on one image."""
    model = composer.build(name, img_size=size).eval()
    example = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    torch.compiler.reset()
    # The compiler asks for the number of threads before anything is measured.
    torch.set_num_threads(threads)
    return composer.for_inference(
        model, example, channels_last=True, dtype=torch.bfloat16, compile=True, runs=runs, threads=threads
    )


def lines(found: Mapping[tuple[str, int], Optimised], runs: int, size: int, minutes: float) -> Iterator[str]:
    """The table in Markdown."""
    first = next(iter(found.values()))
    steps = [one.name for one in first.steps]
    heads = ["network", "threads", *steps, "all", "difference"]
    rows: list[Sequence[str]] = []
    for (name, threads), one in found.items():
        ratios = [step.ratio for step in (*one.steps, one.whole)]
        words = ["nothing to fold" if ratio is None else str(ratio) for ratio in ratios]
        rows.append([name, str(threads), *words, f"{one.whole.difference.relative:.1g}"])
    yield HEAD
    yield markdown_table(heads, rows, [False] * len(heads))
    capability = torch.backends.cpu.get_cpu_capability()
    yield f"\n{runs} runs of each, {size}×{size} pixels; {os.cpu_count()} cores of a CPU with {capability} that other"
    yield f"programs used too, torch {torch.__version__}; {minutes:.0f} minutes in all."


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.inference.table")
    parser.add_argument("--runs", type=int, default=20, help="measured runs of each step")
    parser.add_argument("--size", type=int, default=224, help="height and width of the image")
    parser.add_argument("--only", choices=NETWORKS, help="one network")
    options = parser.parse_args()
    start = time.monotonic()
    found = {}
    for name in (options.only,) if options.only else NETWORKS:
        for threads in THREADS:
            found[name, threads] = measured(name, threads, options.runs, options.size)
            print(f"{name}, {threads}: {found[name, threads].whole.ratio}", file=sys.stderr)
    print("\n".join(lines(found, options.runs, options.size, (time.monotonic() - start) / 60)))


if __name__ == "__main__":
    main()
