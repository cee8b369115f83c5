"""`composer bench`: times and memory of networks, side by side."""

from __future__ import annotations

import enum
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from composer.cli.options import (
    SPEC_HELP,
    Budget,
    Device,
    DType,
    Force,
    Format,
    FormatOption,
    Reading,
    Saying,
    check_output,
    complete_spec,
    find_device,
    find_dtype,
    say,
    write,
)
from composer.cli.progress import stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.cli.tables import print_table

if TYPE_CHECKING:
    from composer.benchmark import Benchmark
    from composer.network import Graph

# Of the operations that were measured one by one, text has the slowest.
SLOWEST = 10


class Passes(enum.StrEnum):
    """What is measured."""

    BOTH = "both"
    FORWARD = "forward"
    STEP = "step"


def _sides(text: str | None) -> list[int] | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,6}(x[0-9]{1,6})?", text):
        raise typer.BadParameter(
            f"{text!r} is no number of pixels, such as 160, and not HEIGHTxWIDTH", param_hint="--size"
        )
    height, _, width = text.partition("x")
    return [int(height), int(width or height)]


@spread
def command(
    context: typer.Context,
    *,
    specs: Annotated[
        list[str], typer.Argument(metavar="SPEC…", help=SPEC_HELP + " Repeatable.", autocompletion=complete_spec)
    ],
    versus: Annotated[
        str | None,
        typer.Option(
            "--vs", metavar="SPEC", help="What they are compared with, such as timm:resnet50; else the first of them."
        ),
    ] = None,
    kind: Annotated[Passes, typer.Option("--pass", help="What is measured; a step is forward and backward.")] = (
        Passes.BOTH
    ),
    batch: Annotated[int, typer.Option(min=1, help="Examples in a run.")] = 8,
    size: Annotated[str | None, typer.Option(metavar="PIXELS", help="Another size of image: 160, or 160x224.")] = None,
    runs: Annotated[
        int, typer.Option(min=1, help="Measured runs of each, after 3 to warm up; 6 at least to show a difference.")
    ] = 20,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads on the CPU.")] = None,
    device: Device = "auto",
    dtype: DType = "float32",
    amp: Annotated[bool, typer.Option("--amp", help="Operations in bfloat16, where autocast says so.")] = False,
    channels_last: Annotated[bool, typer.Option("--channels-last", help="Maps with the channels innermost.")] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="With code that torch.compile makes.")] = False,
    memory: Annotated[bool, typer.Option("--memory/--no-memory", help="The peak too, which takes a while.")] = True,
    nodes: Annotated[bool, typer.Option("--nodes", help="Each operation by itself too.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write all as JSON, also for graph --color.")
    ] = None,
    force: Force = False,
    reading: Reading,
    budget: Budget,
    format: FormatOption = Format.TEXT,
    saying: Saying,
) -> None:
    """Measure networks with random weights, on random inputs: latency, throughput, and memory at its peak.

    All run in one process in turn, so that what else the machine does slows them alike. `spread` is the range of the
    middle half of the times. `ratio` is the median of the ratios of neighbouring runs, with its 95 % interval; where
    that holds 1, no difference is shown. Memory is what a run takes beyond the network, its gradients with it; on the
    CPU it is measured in another process.
    """
    sides = _sides(size)
    if output is not None:
        check_output(output, force=force)
    names = [*dict.fromkeys([*specs, *([versus] if versus is not None else [])])]
    graphs = {name: _composed(context, reading, budget, name, sides) for name in names}
    target, precision = find_device(device), find_dtype(dtype)
    from composer.benchmark import Settings, benchmark
    from composer.benchmark.settings import PASSES

    settings = Settings(
        batch=batch,
        runs=runs,
        device=target,
        dtype=precision,
        amp=amp,
        channels_last=channels_last,
        compile=compiled,
        threads=threads,
    )
    passes = PASSES if kind is Passes.BOTH else [one for one in PASSES if one == kind.value]
    also = ", then memory" if memory else ""
    say(context, f"measuring {', '.join(names)}: {' and '.join(passes)}, {runs} runs of each and 3 to warm up{also}")
    with stage(context, "measuring") as tell:
        found = benchmark(
            graphs,
            versus if versus is not None else names[0],
            settings,
            passes=passes,
            memory=memory,
            nodes=nodes,
            tell=tell,
            say=lambda text: say(context, text),
        )
    if output is not None:
        write(context, output, f"{json.dumps(found.to_json(), indent=1)}\n".encode(), force=force)
    if format is Format.JSON:
        print_json(found.to_json())
    else:
        _print(found)
        if found.lacking:
            say(context, f"\n{found.lacking}")


def _composed(context: typer.Context, reading: Reading, budget: Budget, name: str, sides: list[int] | None) -> Graph:
    from composer.spec.sized import sized

    spec = sized(reading.load(name, weights=False), img_size=sides)
    with stage(context, f"composing {spec.name}"):
        from composer.api import compose

        return compose(spec, **vars(budget))


def _print(found: Benchmark) -> None:
    from composer.amounts import duration
    from composer.benchmark.report import HEADS, RIGHT, TITLES

    out(found.head)
    for kind, rows in found.tables().items():
        out(f"\n{TITLES[kind]}")
        print_table(HEADS, rows, RIGHT)
    for name, seconds in found.nodes.items():
        slowest = sorted(seconds.items(), key=lambda one: one[1], reverse=True)[:SLOWEST]
        whole = sum(seconds.values())
        out(f"\nthe slowest operations of {name}, each by itself in a forward pass")
        cells = [(path, duration(one), f"{100 * one / whole:.1f} %") for path, one in slowest]
        print_table(("operation", "latency", "share"), cells, ("latency", "share"))
