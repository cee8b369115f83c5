"""Memory, traffic and efficiency of data-parallel training, by strategy: arithmetic on what is known of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from composer.amounts import duration, plural, size
from composer.planning.machine import Cluster
from composer.planning.network import Sizes
from composer.spec.recipe import Recipe

# A forward pass, and the gradients of its inputs and of its weights; two operations for each multiply-accumulate.
PASSES = 3
# The shares of the time of computing behind which traffic can hide: gradients are sent during the backward pass, and
# shares of weights are gathered during both.
HIDDEN = {"auto": 1.0, "ddp": 2 / 3, "fsdp": 1.0}
# The share of a GPU's memory that may be planned: its driver, libraries and the allocator's gaps need the rest.
ROOM = 0.9


@dataclass(frozen=True)
class Row:
    """A strategy, in bytes and seconds for each rank and step.

    strategy     `ddp` or `fsdp`; `auto` for a single GPU
    checkpoint   whether blocks are run again for their gradients
    weights      the parameters that it holds
    gradients    of these
    optimizer    the optimizer's state, and averaged weights
    buffers      what communication needs: buckets of gradients, or gathered blocks
    kept         what autograd keeps of the rank's images; None if not known
    traffic      what it sends
    communication  seconds for that
    computation  seconds for its images; None if the multiply-accumulates are not known
    """

    strategy: str
    checkpoint: bool
    weights: int
    gradients: int
    optimizer: int
    buffers: int
    kept: int | None
    traffic: int
    communication: float
    computation: float | None

    @property
    def name(self) -> str:
        """As a table has it."""
        return f"{self.strategy}, checkpoint" if self.checkpoint else self.strategy

    @property
    def memory(self) -> int:
        """All that is counted."""
        return self.weights + self.gradients + self.optimizer + self.buffers + (self.kept or 0)

    @property
    def efficiency(self) -> tuple[float, float] | None:
        """Shares of the time in which a rank computes: if no traffic hides behind it, and if all does that can."""
        if self.computation is None:
            return None
        seen = max(0.0, self.communication - HIDDEN[self.strategy] * self.computation)
        return self.computation / (self.computation + self.communication), self.computation / (self.computation + seen)

    def to_json(self) -> dict[str, Any]:
        """The numbers by name."""
        return {**vars(self), "memory": self.memory, "efficiency": self.efficiency}


@dataclass(frozen=True)
class Forecast:
    """What training a network on a cluster takes.

    name         the network's
    sizes        of the network
    recipe       its batch, optimizer, and types of numbers
    cluster      the machines
    utilisation  the share of a GPU's peak that computing reaches: an assumption
    states       numbers that the optimizer keeps for each parameter
    rows         the strategies, the simplest first
    """

    name: str
    sizes: Sizes
    recipe: Recipe
    cluster: Cluster
    utilisation: float
    states: float
    rows: tuple[Row, ...]

    @property
    def images(self) -> int:
        """Images of a rank that are in memory at once."""
        return images_of(self.recipe, self.cluster)

    @property
    def chosen(self) -> Row | None:
        """The first strategy that fits; None if none does."""
        return next((row for row in self.rows if self.fits(row)), None)

    def fits(self, row: Row) -> bool:
        """Whether a strategy fits into a GPU's memory, with room for what is not counted."""
        return row.memory <= ROOM * self.cluster.device.memory

    def command(self, source: str) -> str:
        """The command of each machine for the chosen strategy."""
        row = self.chosen or self.rows[-1]
        cluster, recipe = self.cluster, self.recipe
        devices = min(cluster.gpus, cluster.per_machine)
        started = f"torchrun --nproc-per-node {devices}"
        if cluster.machines > 1:
            started += f" --nnodes {cluster.machines} --rdzv-backend c10d --rdzv-endpoint HOST:29500"
        where = f"--devices {devices} --nodes {cluster.machines} --strategy {row.strategy}"
        more = f" --batch {recipe.batch}" + (" --set train.checkpoint=true" if row.checkpoint else "")
        more += f" --set train.amp={recipe.amp}" if recipe.amp else ""
        return f"{started} -m composer train {source} --data DATA {where}{more}"

    def sentences(self) -> list[str]:
        """What was counted, assumed and found."""
        cluster, recipe, chosen = self.cluster, self.recipe, self.chosen
        parts = f"{self.sizes.parameters:,} parameters, {plural(self.images, 'image')} at once on each rank"
        said = [f"{parts}; {recipe.optimizer.name} keeps {self.states:g} for each parameter"]
        if self.sizes.kept is None:
            said.append("what autograd keeps is not known for this network, and not counted")
        elif recipe.amp:
            said.append("what autograd keeps is exact in float32; with amp, half of it is taken, and copies of weights")
        reached = cluster.bandwidth / 1e9
        between = "between machines" if cluster.machines > 1 else "within the machine"
        said.append(
            f"assumed: {self.utilisation:.0%} of the peak in computing, {reached:g} GB/s {between}; efficiency from no "
            "traffic hidden behind computing to all that can be"
        )
        if chosen is not None and chosen.computation is not None:
            rate = recipe.batch / recipe.accumulate / chosen.computation
            low, high = chosen.efficiency or (0.0, 0.0)
            said.append(
                f"{chosen.name}: {duration(chosen.computation)} of computing for each pass, "
                f"{low * rate:,.0f} to {high * rate:,.0f} images a second in all"
            )
        if chosen is None:
            least = min(self.rows, key=lambda row: row.memory)
            said.append(
                f"nothing fits: {least.name} needs {size(least.memory)} of {size(cluster.device.memory)}; "
                f"a smaller batch, `accumulate`, or more GPUs"
            )
        return said

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            "network": self.name,
            "parameters": self.sizes.parameters,
            "macs": self.sizes.macs,
            "gpus": self.cluster.gpus,
            "images": self.images,
            "batch": self.recipe.batch,
            "optimizer": self.recipe.optimizer.name,
            "states": self.states,
            "bandwidth": self.cluster.bandwidth,
            "utilisation": self.utilisation,
            "rows": [row.to_json() for row in self.rows],
        }


def images_of(recipe: Recipe, cluster: Cluster) -> int:
    """Images of a rank that are in memory at once."""
    return recipe.batch // recipe.accumulate // cluster.gpus


def rows_of(sizes: Sizes, recipe: Recipe, cluster: Cluster, *, states: float, utilisation: float) -> Iterator[Row]:
    """Each strategy with and without checkpointing, the simplest first.

    sizes        of the network
    recipe       its batch, types of numbers, averaged weights
    cluster      the machines
    states       numbers that the optimizer keeps for each parameter
    utilisation  the share of a GPU's peak that computing reaches
    """
    images, ranks = images_of(recipe, cluster), cluster.gpus
    # Weights, gradients and optimizer states: with `amp` they stay float32.
    number = 8 if recipe.dtype == "float64" else 4
    whole = number * sizes.parameters
    optimizer = round(whole * (states + (recipe.ema is not None)))
    peak = cluster.device.half if recipe.amp else cluster.device.single
    every = [False, True] if sizes.checkpointed is not None else [False]
    for checkpoint in [True] if recipe.checkpoint and len(every) > 1 else every:
        kept = sizes.checkpointed if checkpoint else sizes.kept
        if kept is not None:
            kept = kept * images // 2 + whole // 2 if recipe.amp else kept * images * number // 4
        passes = PASSES + checkpoint
        computation = None if sizes.macs is None else passes * 2 * sizes.macs * images / (peak * utilisation)
        for strategy in ("ddp", "fsdp") if ranks > 1 else ("auto",):
            if strategy != "fsdp":
                # Buckets of gradients stand beside the gradients. A ring sends each number twice, less its own share.
                held, buffers, sent = (whole, whole, optimizer), whole * (ranks > 1), 2 * whole
            else:
                held = (-(-whole // ranks), -(-whole // ranks), -(-optimizer // ranks))
                # The block that runs and the next one, gathered, and the gradients of one; what is in no block stays.
                first, second = (number * one for one in sizes.largest)
                buffers, sent = number * sizes.outside + 2 * first + second, 3 * whole
            traffic = sent * (ranks - 1) // ranks
            yield Row(strategy, checkpoint, *held, buffers, kept, traffic, traffic / cluster.bandwidth, computation)


def table(forecast: Forecast) -> tuple[Sequence[str], list[list[str]], Sequence[str]]:
    """Heads, cells, and the heads of numbers, as terminals show the strategies."""
    heads = ["strategy", "memory", "fits", "efficiency", "sent", "kept", "state", "buffers"]
    rows = []
    for row in forecast.rows:
        state = row.weights + row.gradients + row.optimizer
        efficiency = row.efficiency
        words = "?" if efficiency is None else f"{efficiency[0]:.0%} to {efficiency[1]:.0%}"
        fits = "yes" if forecast.fits(row) else "no"
        numbers = [size(one) for one in (row.traffic, row.kept, state, row.buffers)]
        rows.append([row.name, size(row.memory), fits, words, *numbers])
    return heads, rows, [head for head in heads if head not in ("strategy", "fits")]


def flat(forecast: Forecast) -> Sequence[Mapping[str, Any]]:
    """A mapping for each strategy, with equal keys, as CSV has them."""
    found = []
    for row in forecast.rows:
        low, high = row.efficiency or (None, None)
        found.append({**vars(row), "memory": row.memory, "efficiency_low": low, "efficiency_high": high})
    return found
