"""Runs networks side by side, and says how they compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from composer.benchmark.contestant import Contestant
from composer.benchmark.free_memory import check_room
from composer.benchmark.interval import paired_ratio
from composer.benchmark.memory import peak
from composer.benchmark.report import Benchmark, Row
from composer.benchmark.settings import PASSES, Pass, Settings
from composer.benchmark.timing import times
from composer.compile.module import ComposedModule
from composer.dag.composition import Composition
from composer.errors import Diagnostic, InputError
from composer.foreign import is_error, named
from composer.timing import measure

Network = Composition | nn.Module


def benchmark(
    networks: Mapping[str, Network],
    versus: str,
    settings: Settings,
    *,
    passes: Sequence[Pass] = PASSES,
    example: Any = None,
    memory: bool = True,
    nodes: bool = False,
    tell: Callable[[str], None] = lambda text: None,
    say: Callable[[str], None] = lambda text: None,
) -> Benchmark:
    """Times, and memory at the peak, of networks that run in turn.

    networks  name -> a graph, whose module is built with random weights, or a module, of which a copy runs
    versus    the name of the one that the others are compared with
    settings  how they run
    passes    what is measured: `forward`, `step`
    example   what modules that are not composed are called with: a tensor, or a tuple of arguments
    memory    whether memory is measured, on the CPU by a process for each network and pass
    nodes     whether each operation of composed networks is measured by itself too
    tell      told what is being done
    say       told, once a pass, how long its runs will take
    Raises InputError if a network needs more memory than is free, gives nothing to learn from, or cannot be compiled.
    """
    graphs = {name: one for name, one in networks.items() if isinstance(one, Composition)}
    check_room([*graphs.values()], passes, settings)
    if settings.batch == 1 and "step" in passes:
        _check_batches(graphs)
    with settings.applied():
        found = [_contestant(name, one, example, settings, tell) for name, one in networks.items()]
        rows: list[Row] = []
        for kind in passes:
            rows += _rows(_ready(found, kind, settings, tell), versus, kind, settings, memory, tell, say)
        single = {one.name: _nodes(one, settings, tell) for one in found if nodes and one.graph is not None}
    return Benchmark(settings, versus, rows, {one.name: one.words for one in found}, single)


def _contestant(
    name: str, network: Network, example: Any, settings: Settings, tell: Callable[[str], None]
) -> Contestant:
    tell(f"building {name}")
    if isinstance(network, Composition):
        return replace(Contestant.of_graph(network, settings), name=name)
    return replace(Contestant.of_module(network, example, settings), name=name)


def _check_batches(graphs: Mapping[str, Composition]) -> None:
    problems = [
        Diagnostic("batch", f"`{name}` does not train on one example: {reason}", path=path, help=("`--batch 2`",))
        for name, graph in graphs.items()
        for path, reason in [*graph.refusing_one.items()][:1]
    ]
    if problems:
        raise InputError(problems)


def _ready(
    contestants: Sequence[Contestant], kind: Pass, settings: Settings, tell: Callable[[str], None]
) -> list[Contestant]:
    """The networks as they are measured, compiled if that is wanted; each has run once."""
    if not settings.compile:
        return [*contestants]
    made = []
    for one in contestants:
        tell(f"compiling {one.name}")
        one.model.train(kind == "step")
        # What fails without the compiler is not its fault.
        one.run(kind)
        made.append(one.compiled())
        try:
            made[-1].run(kind)
        except Exception as error:
            if not is_error(error):
                raise
            text = f"`torch.compile` fails for `{one.name}`: {named(error)}"
            raise InputError(Diagnostic("network", text, help=("measure it without `--compile`",))) from error
    return made


def _rows(
    contestants: Sequence[Contestant],
    versus: str,
    kind: Pass,
    settings: Settings,
    memory: bool,
    tell: Callable[[str], None],
    say: Callable[[str], None],
) -> list[Row]:
    measured = times(contestants, kind, settings, tell, say)
    seconds = dict(zip((one.name for one in contestants), measured, strict=True))
    rows = []
    for one in contestants:
        if memory:
            tell(f"memory of {one.name}, {kind}")
        taken = peak(one, kind, settings) if memory else None
        ratio = None if one.name == versus else paired_ratio(seconds[one.name], seconds[versus])
        rows.append(Row(one.name, kind, one.batch, seconds[one.name], taken, ratio))
    return rows


def _nodes(one: Contestant, settings: Settings, tell: Callable[[str], None]) -> Mapping[str, float]:
    tell(f"operations of {one.name}")
    assert isinstance(one.model, ComposedModule)
    return measure(one.model, batch=settings.batch, runs=min(settings.runs, 5))
