"""`composer train`: trains a network on a data set, and leaves a run."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Annotated

import typer

from composer.cli.opening import Opening
from composer.cli.options import say
from composer.cli.progress import stage
from composer.cli.spread import spread
from composer.cli.training import Resources, leaving, open_data


class Kind(enum.StrEnum):
    """What a network learns of an image."""

    CLASSES = "classes"
    LABELS = "labels"
    VALUES = "values"
    MAP = "map"


@spread
def command(
    context: typer.Context,
    *,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="DATA",
            help="digits, a folder of images, a .csv, .npz or .tar, hf:NAME, or torchvision:NAME.",
        ),
    ] = "digits",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="The run's folder (runs/NAME).")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="RECIPE", help="By name, or a .yaml file; in place of the spec's.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes through the data.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images in a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="The learning rate.")] = None,
    size: Annotated[int | None, typer.Option(min=1, metavar="PIXELS", help="Another size of image.")] = None,
    task: Annotated[Kind | None, typer.Option("--task", help="What is learnt, where the data does not say it.")] = None,
    look: Annotated[
        list[Path] | None,
        typer.Option("--look", metavar="IMAGE", help="Where attention is shown before and after (four images)."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse data with images that cannot be read.")] = False,
    resources: Resources,
    opening: Opening,
) -> None:
    """Train a network: the best epoch is chosen by validation, and the test split is read once, at the end.

    The spec's `train:` says how, or --recipe; --set train.optimizer.name=sgd changes any part of it. The run's folder
    holds the network, the recipe, history.csv, checkpoints and results. Ctrl-C saves; `composer resume` goes on.
    """
    from composer.spec.settings import read_settings
    from composer.spec.training import settle_training
    from composer.training.trainer import is_first, require

    sets = [one for one in opening.reading.sets or () if one.startswith("train.")]
    given = {"epochs": epochs, "batch": batch, "optimizer.lr": lr, "seed": opening.seed or None}
    own = [f"train.{name}={value}" for name, value in given.items() if value is not None]
    if look:
        own.append(f"train.look={json.dumps([str(one.resolve()) for one in look])}")
    spec = opening.load([one for one in opening.reading.sets or () if one not in sets])
    training = settle_training(spec.files, recipe, read_settings({}, [*sets, *own]))
    folder = output if output is not None else Path("runs") / spec.name
    weights = opening.chosen(spec)
    require()
    from composer.training.begin import begin
    from composer.training.go_on import go_on
    from composer.training.run import Run, is_run

    exists = is_first() and is_run(folder)
    if is_first() and not exists:
        Run.check_new(folder)
    options = {"task": task.value if task else None, "strict": strict, "seed": training.recipe.seed}
    found = open_data(context, data, **options)
    if exists:
        from composer.training.differing import run_exists

        raise run_exists(Run(folder), spec, found, training, weights=weights, size=size)
    if is_first():
        with stage(context, f"building {spec.name}"):
            run = begin(
                spec,
                found,
                training,
                folder,
                weights=weights,
                size=size,
                opening=options,
                say=lambda text: say(context, text),
            )
    run = Run(folder)
    with leaving(context, run) as (speak, tell):
        go_on(run, found, where=resources.where, say=speak, tell=tell, allow_code=spec.allow_code)
