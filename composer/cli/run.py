"""`composer run`: runs a network on images or a tensor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer.cli.opening import Opening
from composer.cli.options import Device, DType, Force, Format, FormatOption, find_device, find_dtype, say
from composer.cli.progress import counted, stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.cli.tables import print_table

if TYPE_CHECKING:
    from torch import Tensor

    from composer.classify import Guess


@spread
def command(
    context: typer.Context,
    *,
    image: Annotated[
        list[Path] | None, typer.Option("--image", metavar="PATH", help="A photograph or a folder. Repeatable.")
    ] = None,
    tensor: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A batch as .npy, .pt or .safetensors, instead of images.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes to print.")] = 5,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write outputs there: .npy, .safetensors."),
    ] = None,
    force: Force = False,
    device: Device = "auto",
    dtype: DType = "float32",
    format: FormatOption = Format.TEXT,
    opening: Opening,
) -> None:
    """Run a network on photographs, prepared as its `input` declares, or on a tensor; print the top classes."""
    if (not image) == (tensor is None):
        raise typer.BadParameter("give either --image PATH or --tensor FILE")
    graph, weights = opening.compose(context)
    target, precision = find_device(device), find_dtype(dtype)
    from composer import classify

    model, classes = opening.opened(context, graph, weights, images=bool(image))
    model.eval()
    names, batches = classify.inputs(model, image or [], tensor)
    with stage(context, f"running {graph.spec.name}") as tell:
        several = counted(batches, tell, f"{-(-len(names) // classify.BATCH_SIZE)} batches")
        outputs = classify.run(model.to(target, precision), several)
    if output is not None:
        classify.save(outputs, output, force=force)
        say(context, f"wrote {output}")
    guesses = classify.guesses(outputs, classes, top)
    if format is Format.JSON:
        print_json(_as_json(names, outputs, guesses))
    elif guesses is None:
        for name, value in outputs.items():
            out(f"{name}: {'×'.join(map(str, value.shape))}, {classify.describe(value)}")
    else:
        for name, found in zip(names, guesses, strict=True):
            out(name)
            rows = [(f"{100 * guess.probability:.2f} %", str(guess.index), guess.name or "") for guess in found]
            print_table(("probability", "class", "name"), rows, ("probability", "class"))


def _as_json(names: list[str], outputs: dict[str, Tensor], guesses: list[list[Guess]] | None) -> Any:
    if guesses is None:
        return {name: {"shape": list(value.shape)} for name, value in outputs.items()}
    return [
        {"input": name, "top": [vars(guess) for guess in found]} for name, found in zip(names, guesses, strict=True)
    ]
