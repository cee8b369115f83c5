"""`composer look`: findings, figures and a page about a network's attention on photographs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from composer.amounts import plural
from composer.cli.browser import Open, open_page, page_to_open
from composer.cli.opening import Opening
from composer.cli.options import Device, Force, Format, FormatOption, find_device, say
from composer.cli.progress import stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.cli.tables import print_table

if TYPE_CHECKING:
    from composer.looking import Look


def _patch(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,6},[0-9]{1,6}", text):
        raise typer.BadParameter(f"{text!r} is not ROW,COLUMN, such as 3,4")
    row, column = text.split(",")
    return int(row), int(column)


@spread
def command(
    context: typer.Context,
    *,
    image: Annotated[list[Path], typer.Option("--image", metavar="PATH", help="A photograph or a folder. Repeatable.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Write index.html and a PNG for each figure there."),
    ] = None,
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
    versus: Annotated[
        str | None, typer.Option("--vs", metavar="SPEC", help="Another network or run, beside it on the page.")
    ] = None,
    open_it: Open = False,
    force: Force = False,
    device: Device = "auto",
    format: FormatOption = Format.TEXT,
    opening: Opening,
) -> None:
    """Look at what a network's attention does on photographs; print the most notable findings.

    With -o FOLDER, write one page that needs no network, and a PNG for each of its figures. Needs the extra `look`.
    """
    if open_it and output is None:
        output = page_to_open(opening.spec).parent
    place = _patch(patch)
    graph, weights = opening.compose(context)
    device_found = find_device(device)
    from composer.files import check_target
    from composer.looking.canvas import require_matplotlib
    from composer.looking.report import INDEX, look_at

    require_matplotlib()
    if output is not None:
        check_target(output / INDEX, force=force)
    looks = []
    second = None if versus is None else replace(opening, spec=versus, weights=None)
    for one in [opening, *([second] if second is not None else [])]:
        network, theirs = (graph, weights) if one is opening else one.compose(context)
        model, classes = one.opened(context, network, theirs, images=True)
        with stage(context, f"looking at {network.spec.name}"):
            model = model.to(device_found)
            looks.append(look_at(model, image, nodes=node or (), patch=place, target=target, classes=classes))
    found, *others = looks
    written = []
    if output is not None:
        with stage(context, f"writing {output}"):
            written = found.beside(others[0], output, force=force) if others else found.write(output, force=force)
    if format is Format.JSON:
        told = [{"name": look.network, "findings": [one.to_json() for one in look.findings]} for look in looks]
        more = {"vs": told[1]} if others else {}
        print_json({**told[0], **more, "files": list(map(str, written))})
    else:
        for each in looks:
            if others:
                out(f"{each.network}:")
            _print(each)
    if written:
        say(context, f"wrote {written[0]} and {plural(len(written) - 1, 'figure')} beside it")
        if open_it:
            open_page(context, Path(written[0]))
    else:
        say(context, "\nfigures and a page: -o FOLDER")


def _print(found: Look) -> None:
    from composer.looking.plates import grouped

    groups = grouped(finding for finding in found.findings if finding.notable)
    if not groups:
        out("nothing notable")
        return
    rows = [(group.what, str(len(group.findings)), group.findings[0].detail, group.places()) for group in groups]
    print_table(("finding", "sites", "first", "where"), rows, ("sites",))
