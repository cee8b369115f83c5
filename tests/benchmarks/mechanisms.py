"""Time and memory of mechanisms beside the fastest module of another library, or else their own plain formulas.

python -m tests.benchmarks.mechanisms [NAME …] [--table FILE]
"""

from __future__ import annotations

import argparse
import copy
import functools
import itertools
import math
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from composer import registry
from composer.amounts import plural
from composer.kernels import set_kernels
from composer.kernels.choice import has_kernel
from tests.benchmarks.peers import PEERS, Peers

# Channels and side of the map in the four stages of a ResNet-50.
SIZES = ((256, 56), (512, 28), (1024, 14), (2048, 7))
FORMATS = {"first": torch.contiguous_format, "last": torch.channels_last}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
OWN = "own formula"
# For how long at least pairs of runs are measured.
SECONDS = 0.3


@dataclass(frozen=True)
class Ratios:
    """What ours takes, divided by what the fastest peer takes: time and memory of a forward pass, and of a step."""

    name: str
    peer: str
    channels: int
    side: int
    format: str
    dtype: str
    forward: float
    step: float
    kept: float
    held: float

    def __str__(self) -> str:
        label = f"{self.name} {self.channels}×{self.side}² {self.format} {self.dtype}"
        numbers = f"{self.forward:>10.2f}{self.kept:>10.2f}{self.step:>15.2f}{self.held:>10.2f}"
        return f"{label:<40}{self.peer:<14}{numbers}"


def ours(name: str, options: dict[str, Any], channels: int, height: int, width: int) -> nn.Module:
    entry = registry.get(name)
    assert entry is not None
    place = {"channels": channels, "in_channels": channels, "out_channels": channels, "height": height, "width": width}
    place["prefix_tokens"] = int(name == "class_attention")
    return entry.factory(**{fact: place[fact] for fact in entry.facts if fact in place}, **options)


def transplant(mine: nn.Module, theirs: nn.Module) -> None:
    """The peer's weights, in order; shapes agree up to how a vector is written."""
    for own, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        own.data.copy_(other.data.reshape(own.shape) if own.numel() == other.numel() else own.data)


def run(module: nn.Module, x: torch.Tensor, g: torch.Tensor | None) -> None:
    """A forward pass, and with the output's gradient g a backward pass too."""
    if g is not None:
        module(x).backward(g)
        module.zero_grad()
        x.grad = None
    else:
        with torch.no_grad():
            module(x)
    if x.is_cuda:
        torch.cuda.synchronize()


def seconds(module: nn.Module, x: torch.Tensor, g: torch.Tensor | None) -> float:
    # On the CPU what this process used, so that others at work on the machine do not count.
    clock = time.perf_counter if x.is_cuda else time.process_time
    start = clock()
    run(module, x, g)
    return clock() - start


def peak(module: nn.Module, x: torch.Tensor, g: torch.Tensor | None) -> int:
    """Bytes that a run holds at most, over what was there before it."""
    if x.is_cuda:
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run(module, x, g)
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run(module, x, g)
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(itertools.accumulate(event.nbytes() for event in events))


def ratio(mine: nn.Module, theirs: nn.Module, x: torch.Tensor, g: torch.Tensor | None, runs: int) -> float:
    """Median of the ratios of neighbouring runs, which take turns in going first."""
    found: list[float] = []
    first = time.perf_counter()
    # Short runs are repeated: their clock is coarse.
    for index in itertools.count():
        if len(found) >= runs + 2 and time.perf_counter() - first > SECONDS:
            break
        order = (mine, theirs) if index % 2 else (theirs, mine)
        taken = {module: seconds(module, x, g) for module in order}
        found.append(taken[mine] / taken[theirs])
    return statistics.median(found[2:])


def opponents(mine: nn.Module, peers: Peers, channels: int, side: int) -> dict[str, nn.Module]:
    """Modules that compute the same, by library, with the same weights where their shapes agree."""
    found = {library: make(channels, side, side) for library, make in peers.by.items()}
    if not found:
        found = {OWN: copy.deepcopy(mine)}
        set_kernels(found[OWN], "reference")
    for theirs in found.values():
        if [p.numel() for p in mine.parameters()] == [p.numel() for p in theirs.parameters()]:
            transplant(mine, theirs)
    return found


def measured(name: str, given: argparse.Namespace) -> Iterator[Ratios]:
    peers = PEERS.get(name, Peers())
    for (channels, side), format, dtype in itertools.product(SIZES, FORMATS, given.dtypes):
        shortest, longest = peers.sides
        if not shortest <= side <= longest or (format == "last" and (peers.tokens or name == "lambda")):
            # lambda has a kernel with five axes.
            continue
        if name == "lambda" and dtype == "bfloat16":
            # timm's ends the process, by a fault of PyTorch's convolution with five axes.
            continue
        mine = ours(name, dict(peers.options), channels, side, side)
        placed = {"device": given.device, "dtype": DTYPES[dtype], "memory_format": FORMATS[format]}
        shape = (given.batch, side**2, channels) if peers.tokens else (given.batch, channels, side, side)
        x = torch.randn(shape).to(**placed).requires_grad_()
        mine = mine.to(**placed)
        found = []
        for library, theirs in opponents(mine, peers, channels, side).items():
            theirs = theirs.to(**placed)
            # A gradient as a network has it: a whole map.
            g = torch.randn(mine(x).shape).to(**placed)
            forward, step = (ratio(mine, theirs, x, one, given.runs) for one in (None, g))
            kept, held = (peak(mine, x, one) / peak(theirs, x, one) for one in (None, g))
            found.append(Ratios(name, library, channels, side, format, dtype, forward, step, kept, held))
        yield max(found, key=lambda one: one.step)


def geometric_mean(numbers: Sequence[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, numbers)))


HEAD = """\
# Kernels

What mechanisms take beside the fastest of timm, torchvision and smp with the same options, or, where there is none,
beside their own plain formula (`kernels: reference`): 0.8 is a fifth less. Each number is a geometric mean over
channels_first and channels_last, float32 and bfloat16; of each of them it is the median of {runs} or more pairs of runs
that took turns, at batch {batch}. A training step is a forward and a backward pass; its time is that of the processor.
What is above 1 is a miss; identical code is measured within {noise:.0%} of 1.

Made by `{command}`, on {threads} of
{machine}, {versions}. Other machines have
other caches, and other ratios.
"""
# What the numbers do not tell of themselves, by mechanism; of those in the table.
REMARKS = {
    "sk": "`sk` has the paper's 32 groups.",
    "splat": "`splat` spends nine tenths of its time in a dense convolution, which is the same in both.",
    "condconv": "`condconv` spends its time in the same convolutions as its peer; on vectors and on maps of a few "
    "positions, in batches of 16 or more, it mixes outputs, which is faster.",
    "nl": "`nl` stores no weights of pairs of positions, which costs time in bfloat16.",
    "coord": "`coord` runs its plain formula on maps below 512 positions.",
}


def table(found: Mapping[str, Sequence[Ratios]], given: argparse.Namespace) -> str:
    """The ratios as Markdown, a line per mechanism."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "timm", "torchvision"))
    machine = f"{platform.machine()} ({torch.backends.cpu.get_cpu_capability()})"
    sizes = [f"{channels}×{side}²" for channels, side in SIZES]
    command = " ".join(["python -m tests.benchmarks.mechanisms", *sys.argv[1:]])
    given_words = {"command": command, "runs": given.runs, "batch": given.batch, "noise": noise(given.runs)}
    head = HEAD.format(
        **given_words, threads=plural(torch.get_num_threads(), "thread"), machine=machine, versions=versions
    )
    names = ["mechanism", "beside", *(f"step {size}" for size in sizes), "step", "worst step", "forward", "memory"]
    remarks = " ".join(remark for name, remark in REMARKS.items() if name in found)
    lines = [head, *([remarks, ""] if remarks else []), f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for name, ratios in found.items():
        by_size = [[one.step for one in ratios if (one.channels, one.side) == size] for size in SIZES]
        cells = [f"{geometric_mean(steps):.2f}" if steps else "" for steps in by_size]
        cells += [f"{geometric_mean([one.step for one in ratios]):.2f}", f"{max(one.step for one in ratios):.2f}"]
        cells += [f"{geometric_mean([one.forward for one in ratios]):.2f}", f"{max(one.held for one in ratios):.2f}"]
        beside = ", ".join(dict.fromkeys(one.peer for one in ratios))
        lines.append(f"| {name} | {beside} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


@functools.cache
def noise(runs: int) -> float:
    """How far from 1 a module is beside its own copy, at most, on a small map."""
    mine, x = nn.Sequential(nn.BatchNorm2d(1024), nn.ReLU()), torch.randn(4, 1024, 14, 14, requires_grad=True)
    return max(abs(1 - ratio(mine, copy.deepcopy(mine), x, torch.ones_like(x), runs)) for _ in range(5))


def names() -> list[str]:
    """Mechanisms with a kernel or a peer."""
    return [one.name for one in registry.mechanisms() if one.name in PEERS or has_kernel(one.factory)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=[*DTYPES])
    parser.add_argument("--table", type=Path, help="write the means there, as Markdown")
    parser.add_argument("names", nargs="*", help="by default those with a kernel or a peer")
    given = parser.parse_args()
    print(
        f"{'ours / fastest peer, ' + given.device:<54}{'forward':>10}{'memory':>10}{'training step':>15}{'memory':>10}"
    )
    found: dict[str, list[Ratios]] = {}
    for name in given.names or names():
        for one in measured(name, given):
            found.setdefault(name, []).append(one)
            print(one, flush=True)
        steps = [one.step for one in found[name]]
        print(f"{name}: {geometric_mean(steps):.2f} of a training step", flush=True)
        if given.table is not None:
            # After each, for whoever stops it.
            given.table.write_text(table(found, given), encoding="utf-8")


if __name__ == "__main__":
    main()
