"""`composer look`: what attention does on photographs, as findings, figures and a page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from composer.cli.options import (
    Device,
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
    from composer.looking import Look


def _patch(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,6},[0-9]{1,6}", text):
        raise typer.BadParameter(f"{text!r} is not ROW,COLUMN, such as 3,4")
    row, column = text.split(",")
    return int(row), int(column)


def command(
    context: typer.Context,
    spec: SpecName,
    image: Annotated[list[Path], typer.Option("--image", metavar="PATH", help="A photograph or a folder. Repeatable.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Write index.html and a PNG for each figure there."),
    ] = None,
    weights: Weights = None,
    match: MatchOption = None,
    require: RequireOption = None,
    keys: Keys = None,
    ema: Ema = False,
    download: Download = False,
    node: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Show this node's effective receptive field. Repeatable."),
    ] = None,
    patch: Annotated[
        str | None,
        typer.Option(metavar="ROW,COLUMN", help="Show where this patch looks (the centre), from 0,0 on."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--class", metavar="CLASS", help="Grad-CAM of it, by number or name (the likeliest).")
    ] = None,
    force: Force = False,
    sets: Sets = None,
    root: Root = None,
    plugin: Plugins = None,
    seed: Seed = 0,
    device: Device = "auto",
    format: FormatOption = Format.TEXT,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Look at what a network's attention does on photographs; print the most notable findings.

    With -o FOLDER, write one page that needs no network, and a PNG for each of its figures. Needs the extra `look`.
    """
    place = _patch(patch)
    graph = compose_graph(spec, other_weights(sets, weights), root)
    chosen = choose_weights(graph.spec, weights, match=match, require=require, keys=keys, ema=ema, download=download)
    device_found = find_device(device)
    from composer.compile.module import compile_graph
    from composer.files import check_target
    from composer.looking.canvas import require_matplotlib
    from composer.looking.report import INDEX, look

    require_matplotlib()
    if output is not None:
        check_target(output / INDEX, force=force)
    model = compile_graph(graph, seed)
    classes = graph.spec.classes
    if chosen is not None:
        filled = fill_model(model, chosen)
        say(context, filled.lines())
        classes = classes or filled.classes
    else:
        say(context, f"no weights: the network is random (seed {seed})")
    found = look(model.to(device_found), image, nodes=node or (), patch=place, target=target, classes=classes)
    written = [] if output is None else found.write(output, force=force)
    if format is Format.JSON:
        findings = [finding.to_json() for finding in found.findings]
        print_json({"name": found.network, "findings": findings, "files": list(map(str, written))})
    else:
        _print(found)
    if written:
        say(context, f"wrote {written[0]} and {len(written) - 1} figures beside it")
    else:
        say(context, "\nfigures and a page: -o FOLDER")


def _print(found: Look) -> None:
    from composer.looking.plates import grouped

    groups = grouped(finding for finding in found.findings if finding.notable)
    if not groups:
        print("nothing notable")
        return
    rows = [(group.what, str(len(group.findings)), group.findings[0].detail, group.places()) for group in groups]
    print_table(("finding", "sites", "first", "where"), rows, ("sites",))
