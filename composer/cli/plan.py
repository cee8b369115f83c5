"""`composer plan`: what training on many GPUs takes of each, by strategy."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from composer.cli.options import Reading, Saying, SpecName, TableFormat, TableFormatOption, say
from composer.cli.progress import stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.cli.tables import print_csv, print_markdown, print_table


@spread
def command(
    context: typer.Context,
    *,
    spec: SpecName,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs in all.")] = 8,
    gpu: Annotated[str, typer.Option(metavar="NAME", help="v100-32, a100-40, a100-80, h100-80, h200-141, l40s-48.")] = (
        "a100-80"
    ),
    per_machine: Annotated[int, typer.Option(min=1, metavar="N", help="GPUs in a machine.")] = 8,
    network: Annotated[
        float, typer.Option(min=0.001, metavar="GBIT", help="Gigabits a second between machines.")
    ] = 200.0,
    utilisation: Annotated[
        float, typer.Option(min=0.001, max=1.0, help="The share of a GPU's peak that computing reaches.")
    ] = 0.3,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="RECIPE", help="By name, or a .yaml file; in place of the spec's.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images in a step, over all GPUs.")] = None,
    reading: Reading,
    format: TableFormatOption = TableFormat.TEXT,
    saying: Saying,
) -> None:
    """What training on many GPUs takes: memory of each by strategy, traffic, and the time that is left for computing.

    Nothing is built or run: it is arithmetic on the network's parameters, multiply-accumulates and what autograd keeps.
    The recipe says batch, optimizer, amp and accumulate; --set train.amp=bfloat16 changes it. The formulas are in
    examples/guides/scale.md.
    """
    from composer.spec.settings import read_settings
    from composer.spec.training import settle_training

    sets = [one for one in reading.sets or () if one.startswith("train.")]
    own = [] if batch is None else [f"train.batch={batch}"]
    loaded = replace(reading, sets=[one for one in reading.sets or () if one not in sets]).load(spec)
    training = settle_training(loaded.files, recipe, read_settings({}, [*sets, *own]))
    with stage(context, f"composing {loaded.name}"):
        from composer.api import compose
        from composer.planning.api import forecast
        from composer.planning.forecast import flat, table

        found = forecast(
            compose(loaded), training, gpus, gpu=gpu, per_machine=per_machine, network=network, utilisation=utilisation
        )
    if format is TableFormat.JSON:
        print_json(found.to_json())
    elif format is TableFormat.CSV:
        print_csv(flat(found))
    else:
        (print_markdown if format is TableFormat.MD else print_table)(*table(found))
        if format is TableFormat.TEXT:
            say(context, "\n" + "\n".join(found.sentences()))
            out(f"\n{found.command(spec)}")
