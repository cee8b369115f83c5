"""`composer export`: writes a network in the format of another engine, runs the file, and compares."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from composer.cli.opening import Opening
from composer.cli.options import Budget, Force, Format, FormatOption, say
from composer.cli.progress import stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.exporting.format import FORMATS, check_request
from composer.paths import stem_of

To = enum.StrEnum("To", {name.upper(): name for name in FORMATS})  # type: ignore[misc]


@spread
def command(
    context: typer.Context,
    *,
    to: Annotated[To, typer.Option("--to", metavar="FORMAT", help=f"The format: {', '.join(FORMATS)}.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file (NAME with the format's ending).")
    ] = None,
    fold_bn: Annotated[bool, typer.Option("--fold-bn", help="Fold norms into the weights before them.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to 8 bits, calibrated on --image.")] = False,
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", metavar="PATH", help="For --int8: a photograph or a folder. Repeatable."),
    ] = None,
    static: Annotated[bool, typer.Option("--static", help="Let no axis of the inputs vary.")] = False,
    batch: Annotated[int, typer.Option(min=1, help="Examples, where the batch does not vary.")] = 1,
    force: Force = False,
    budget: Budget,
    format: FormatOption = Format.TEXT,
    opening: Opening,
) -> None:
    """Export a network to ONNX, PyTorch, OpenVINO, ExecuTorch, LiteRT and others; run the file, and compare outputs.

    Batch, height and width vary in the file where every node allows it; where one does not, it is named before work
    starts. A file that computes something else is not written. Core ML packages are converted and checked, not run.
    """
    if int8 != bool(image):
        raise typer.BadParameter("--int8 and --image PATH go together")
    kind = check_request(to.value, output, int8=int8, fold_bn=fold_bn, force=force)
    graph, weights = opening.compose(context, budget)
    path = output if output is not None else Path(f"{stem_of(graph.spec.name)}{kind.ending}")
    kind.check_output(path, force=force)
    from composer.exporting import export

    varying = export.planned(graph)
    if not static:
        for reason in varying.reasons:
            say(context, str(reason))
    model, _ = opening.opened(context, graph, weights, images=int8)
    subject = export.of_built(model)
    images = export.calibration(subject, image) if image else None
    with stage(context, f"exporting {graph.spec.name}") as tell:
        found = export.exported(
            subject,
            kind,
            path,
            varying,
            images=images,
            fold_bn=fold_bn,
            static=static,
            batch=batch,
            force=force,
            tell=tell,
        )
    for line in found.fixed[len(varying.reasons) :]:
        say(context, line)
    if format is Format.JSON:
        print_json(found.to_json())
    else:
        out(str(found))
    for file in found.files:
        say(context, f"wrote {file}")
