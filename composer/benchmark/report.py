"""What a benchmark found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from composer.amounts import duration, size
from composer.benchmark.interval import FEWEST, Ratio
from composer.benchmark.settings import Pass, Settings
from composer.lines import Part, plain, table

HEADS = ("network", "latency", "ratio", "per second", "memory", "spread")
RIGHT = ("latency", "per second", "memory", "spread")


@dataclass(frozen=True)
class Row:
    """A network in a pass.

    network  its name
    kind     the pass
    batch    number of examples in a run
    times    seconds of each run
    memory   bytes at the peak of a run, less those before it; None where not measured
    ratio    of its times to those of the network that it is compared with; None for that network
    """

    network: str
    kind: Pass
    batch: int
    times: Sequence[float]
    memory: int | None
    ratio: Ratio | None

    @property
    def latency(self) -> float:
        """The median of the seconds of a run."""
        return median(self.times)

    @property
    def spread(self) -> float:
        """The range that holds the middle half of the times, as a part of the latency; 0 for one run."""
        if len(self.times) < 2:
            return 0.0
        low, _, high = quantiles(self.times, n=4)
        return (high - low) / self.latency

    def cells(self) -> list[str]:
        """The row as text."""
        speed = [duration(self.latency), str(self.ratio or "1"), f"{self.batch / self.latency:.3g}"]
        memory = "–" if self.memory is None else size(self.memory)
        return [self.network, *speed, memory, f"{100 * self.spread:.0f} %" if len(self.times) > 1 else "–"]

    def to_json(self) -> dict[str, Any]:
        """The row as plain JSON values: seconds, examples per second, bytes."""
        ratio = self.ratio and {**vars(self.ratio), "difference_shown": self.ratio.shown}
        return {
            "network": self.network,
            "pass": self.kind,
            "latency": self.latency,
            "spread": self.spread,
            "batch": self.batch,
            "per_second": self.batch / self.latency,
            "memory": self.memory,
            "ratio": ratio,
            "times": list(self.times),
        }


@dataclass(frozen=True)
class Benchmark:
    """Times and memory of networks that ran in turn in one process.

    settings  how they ran
    versus    the network that the others are compared with
    rows      each network in each pass
    inputs    network -> dtype, batch and what went in, as text
    nodes     network -> path of an operation -> seconds that it takes by itself; only if asked for
    """

    settings: Settings
    versus: str
    rows: Sequence[Row]
    inputs: Mapping[str, str]
    nodes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def head(self) -> str:
        """How the networks ran, in a line."""
        inputs = [text.split(", ") for text in dict.fromkeys(self.inputs.values())]
        shared = [part for part in inputs[0] if all(part in one for one in inputs)] if inputs else []
        own = [", ".join(part for part in one if part not in shared) for one in inputs]
        words = [*self.settings.words(), *shared, " and ".join(filter(None, own)), f"{self.settings.runs} runs in turn"]
        return ", ".join(filter(None, words))

    @property
    def lacking(self) -> str:
        """What to do to see differences, where there were too few runs to show any; empty otherwise."""
        few = len(self.inputs) > 1 and self.settings.runs < FEWEST
        return f"fewer than {FEWEST} runs can show no difference: `runs` of {FEWEST} at least, better 20" if few else ""

    def tables(self) -> dict[Pass, list[list[str]]]:
        """Pass -> its rows as text, in the columns of HEADS."""
        found: dict[Pass, list[list[str]]] = {}
        for row in self.rows:
            found.setdefault(row.kind, []).append(row.cells())
        return found

    def __str__(self) -> str:
        parts = [self.head]
        for kind, rows in self.tables().items():
            cells = [[(Part(cell),) for cell in row] for row in rows]
            parts += ["", TITLES[kind], plain(table(HEADS, cells, [head in RIGHT for head in HEADS]))]
        return "\n".join([*parts, *(["", self.lacking] if self.lacking else [])])

    def to_json(self) -> dict[str, Any]:
        """All that was found, as plain JSON values."""
        return {
            "settings": self.settings.to_json(),
            "machine": self.settings.machine(),
            "inputs": dict(self.inputs),
            "versus": self.versus,
            "rows": [row.to_json() for row in self.rows],
            "nodes": {name: dict(seconds) for name, seconds in self.nodes.items()},
        }


TITLES: dict[Pass, str] = {
    "forward": "forward pass, eval mode, no gradients",
    "step": "training step: forward and backward pass",
}
