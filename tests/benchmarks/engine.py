"""What the engine costs, beside timm and beside its own size. Run it: python -m tests.benchmarks.engine"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import timm
import torch

import composer


def paired(ours: Callable[[], Any], theirs: Callable[[], Any], runs: int) -> tuple[float, float, float]:
    """Median seconds of each, run in turn, and the median of the ratios of neighbouring runs."""
    ours(), theirs()
    pairs = []
    for index in range(runs):
        # Whoever goes second finds warmer caches.
        order = (ours, theirs) if index % 2 else (theirs, ours)
        seconds = {function: timed(function) for function in order}
        pairs.append((seconds[ours], seconds[theirs]))
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    return mine, other, statistics.median(a / b for a, b in pairs)


def timed(function: Callable[[], Any]) -> float:
    gc.collect()
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def row(name: str, ours: float, theirs: float, ratio: float, goal: float) -> None:
    met = "ok" if ratio <= goal else "MISSED"
    print(f"{name:<34} {ours * 1e3:9.1f} ms {theirs * 1e3:9.1f} ms   {ratio:5.2f} <= {goal:.2f}  {met}")


def network(runs: int) -> None:
    """Forward and backward of the composed ResNet-50 beside timm's, with the same weights."""
    ours, theirs = composer.build("resnet50"), timm.create_model("resnet50")
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(ours.eval()(x), theirs.eval()(x)), "the outputs differ"
    with torch.inference_mode():
        row("forward", *paired(lambda: ours(x), lambda: theirs(x), runs), 1.02)
    ours.train(), theirs.train()
    row("forward + backward", *paired(lambda: ours(x).sum().backward(), lambda: theirs(x).sum().backward(), runs), 1.02)


def construction(runs: int) -> None:
    """A zoo name to a module beside timm's registry to a module."""
    for ours, theirs in [("resnet50", "resnet50"), ("vit_base_patch16_224",) * 2, ("papers/se/resnet50", "seresnet50")]:
        times = paired(lambda ours=ours: composer.build(ours), lambda theirs=theirs: timm.create_model(theirs), runs)
        row(f"build {ours}", *times, 1.2)


def residual(source: str, suffix: str = "") -> dict[str, Any]:
    """The nodes of one residual block that takes `source`."""
    return {
        f"conv{suffix}": {"op": "conv2d", "from": source, "out_channels": 8, "kernel_size": 3},
        f"bn{suffix}": {"op": "batch_norm", "site": "branch"},
        f"add{suffix}": {"op": "add", "from": [f"bn{suffix}", source]},
        f"act{suffix}": {"op": "relu"},
    }


def chain(blocks: int, *, flat: bool, rule: bool) -> dict[str, Any]:
    """A chain of residual blocks: instances of one block, or all their nodes in one list."""
    nodes: dict[str, Any] = {"act_0": {"op": "conv2d", "out_channels": 8, "kernel_size": 3}}
    if flat:
        for index in range(blocks):
            nodes |= residual(f"act_{index}", f"_{index + 1}")
    else:
        nodes["blocks"] = {"block": "residual", "repeat": blocks}
    rules = [{"use": "eca", "after": "branch", "expect": blocks}] if rule else []
    return {
        "input": [3, 16, 16],
        "nodes": nodes,
        "blocks": {} if flat else {"residual": {"nodes": residual("input")}},
        "attention": rules,
    }


def growth(runs: int, sizes: tuple[int, ...]) -> None:
    """Time per block of ever longer chains: it must not grow."""
    from composer.compile.graph import compile_graph

    print(f"\n{'µs per block':<34}" + "".join(f"{size:>11,}" for size in sizes) + "    last / first")
    for flat in (False, True):
        for rule in (False, True):
            specs = [composer.load(chain(size, flat=flat, rule=rule)) for size in sizes]
            stages: dict[str, list[float]] = {"graph": [], "module": []}
            for size, spec in zip(sizes, specs, strict=True):
                graph = composer.graph(spec, max_nodes=10**6)
                stages["graph"].append(least(lambda spec=spec: composer.graph(spec, max_nodes=10**6), runs) / size)
                stages["module"].append(least(lambda graph=graph: compile_graph(graph), runs) / size)
            for stage, times in stages.items():
                name = f"{stage}, {'flat list' if flat else 'repeat'}{' + eca at each' * rule}"
                cells = "".join(f"{value * 1e6:>11.0f}" for value in times)
                print(f"{name:<34}{cells}    {times[-1] / times[0]:5.2f}")


def least(function: Callable[[], Any], runs: int) -> float:
    return min(timed(function) for _ in range(runs))


def imports() -> None:
    """What a command that needs no network costs, in a process of its own."""
    code = """
import sys, time
start = time.perf_counter()
import composer
try:
    composer.load({"backbone": "resnet50", "atention": []})
except composer.SpecError:
    print(time.perf_counter() - start, *(sorted({"torch", "networkx", "numpy"} & set(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, *heavy = done.stdout.split()
    print(f"\nimport composer and refuse a spec: {float(seconds) * 1e3:.0f} ms, heavy imports: {heavy or 'none'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000, 4000])
    options = parser.parse_args()
    print(f"{'':<34} {'composer':>12} {'timm':>12}   ratio    goal")
    network(options.runs)
    construction(options.runs)
    growth(min(options.runs, 3), tuple(options.sizes))
    imports()


if __name__ == "__main__":
    main()
