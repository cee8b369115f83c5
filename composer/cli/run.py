"""`composer run`: a network on images or a tensor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer.cli.options import (
    Device,
    DType,
    Force,
    Format,
    FormatOption,
    Plugins,
    Quiet,
    Root,
    Seed,
    Sets,
    SpecName,
    Verbose,
    compose_graph,
    find_device,
    find_dtype,
    print_json,
    say,
)
from composer.cli.tables import print_table
from composer.cli.weights import (
    Download,
    Ema,
    Keys,
    MatchOption,
    RequireOption,
    Weights,
    choose_weights,
    fill_model,
    other_weights,
)

if TYPE_CHECKING:
    from torch import Tensor

    from composer.classify import Guess


def command(
    context: typer.Context,
    spec: SpecName,
    image: Annotated[
        list[Path] | None, typer.Option("--image", metavar="PATH", help="A photograph or a folder. Repeatable.")
    ] = None,
    tensor: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A batch as .npy, .pt or .safetensors, instead of images.")
    ] = None,
    weights: Weights = None,
    match: MatchOption = None,
    require: RequireOption = None,
    keys: Keys = None,
    ema: Ema = False,
    download: Download = False,
    top: Annotated[int, typer.Option(min=1, help="How many classes to print.")] = 5,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write outputs there: .npy, .safetensors."),
    ] = None,
    force: Force = False,
    sets: Sets = None,
    root: Root = None,
    plugin: Plugins = None,
    seed: Seed = 0,
    device: Device = "auto",
    dtype: DType = "float32",
    format: FormatOption = Format.TEXT,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a network on photographs, prepared as its `input` declares, or on a tensor; print the top classes."""
    if (not image) == (tensor is None):
        raise typer.BadParameter("give either --image PATH or --tensor FILE")
    graph = compose_graph(spec, other_weights(sets, weights), root)
    chosen = choose_weights(graph.spec, weights, match=match, require=require, keys=keys, ema=ema, download=download)
    target, precision = find_device(device), find_dtype(dtype)
    from composer import classify
    from composer.compile.module import compile_graph

    model = compile_graph(graph, seed).eval()
    classes = graph.spec.classes
    if chosen is not None:
        filled = fill_model(model, chosen)
        say(context, filled.lines())
        classes = classes or filled.classes
    else:
        say(context, f"no weights: the network is random (seed {seed})")
    names, batches = classify.inputs(model, image or [], tensor)
    outputs = classify.run(model.to(target, precision), batches)
    if output is not None:
        classify.save(outputs, output, force=force)
        say(context, f"wrote {output}")
    guesses = classify.guesses(outputs, classes, top)
    if format is Format.JSON:
        print_json(_as_json(names, outputs, guesses))
    elif guesses is None:
        for name, value in outputs.items():
            print(f"{name}: {'×'.join(map(str, value.shape))}, {classify.describe(value)}")
    else:
        for name, found in zip(names, guesses, strict=True):
            print(name)
            rows = [(f"{100 * guess.probability:.2f} %", str(guess.index), guess.name or "") for guess in found]
            print_table(("probability", "class", "name"), rows, ("probability", "class"))


def _as_json(names: list[str], outputs: dict[str, Tensor], guesses: list[list[Guess]] | None) -> Any:
    if guesses is None:
        return {name: {"shape": list(value.shape)} for name, value in outputs.items()}
    return [
        {"input": name, "top": [vars(guess) for guess in found]} for name, found in zip(names, guesses, strict=True)
    ]
