"""`composer graph`: a picture of a network."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from composer.cli.browser import Open, open_page, page_to_open
from composer.cli.opening import Opening
from composer.cli.options import Budget, Force, check_output, measured, write
from composer.cli.progress import stage
from composer.cli.screen import is_terminal
from composer.cli.spread import spread
from composer.cli.times import read_times
from composer.cli.values import Measured, Measuring, measure_values
from composer.draw.formats import IN_COLOURS, OF_PRINT, PAGE, SUFFIXES, format_of
from composer.draw.printed.width import Width, read_width
from composer.errors import GraphError, SpecError, one_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.dag.sketch import Sketch
    from composer.draw.picture import Wish
    from composer.network import Graph


_STDOUT = Path("-")
_BYTES = ("png", "pdf")
KIND = "kind"


class Theme(enum.StrEnum):
    """Colours of a picture."""

    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"
    PAPER = "paper"


class Direction(enum.StrEnum):
    """The direction of data in a picture: down, or to the right."""

    TB = "TB"
    LR = "LR"


@spread
def command(
    context: typer.Context,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Its ending is the format; `-` is stdout.")
    ] = None,
    format: Annotated[str | None, typer.Option("--format", help=f"{', '.join(SUFFIXES)}; also mermaid, tikz.")] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, help="Levels of blocks to open; as many as stay readable if not given.")
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE", help="Only these blocks and nodes: a site, or a glob over paths. A page opens the blocks."
        ),
    ] = None,
    direction: Annotated[Direction, typer.Option(help="Down, or to the right.")] = Direction.TB,
    time: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="RUNS",
            help="Run the network on one random image, and colour by the time of each operation, the median of so many "
            "runs.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Where the network runs, if so: auto, cpu, cuda or cuda:N.")] = "auto",
    color: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Colour by times that `composer bench --nodes -o FILE` wrote."),
    ] = None,
    measuring: Measuring,
    theme: Annotated[Theme, typer.Option(help="`auto` is light or dark as the reader prefers.")] = Theme.AUTO,
    width: Annotated[
        str | None,
        typer.Option(
            metavar="LENGTH",
            help="A figure for a paper, exactly so wide: `8cm`, also mm, in, pt. All text at 7 pt, at most 22 cm high.",
        ),
    ] = None,
    insets: Annotated[
        bool, typer.Option("--insets/--no-insets", help="Beside the network, one closed block of each kind, open.")
    ] = True,
    open_it: Open = False,
    force: Force = False,
    opening: Opening,
    budget: Budget,
) -> None:
    """Draw a network: repeats folded, inserted attention marked, shapes at the wires.

    No Graphviz, no browser, and no forward pass unless you ask for numbers of one; PNG and PDF need the extra `draw`.
    HTML is a page in which blocks open, with all that is known of each node: one file that asks for nothing. Of a spec
    with mistakes, what can be drawn is, the failing nodes in red; the mistakes are printed, and the exit code is 1.
    Where nothing can be drawn, the file shows the mistakes alone, and replaces none.
    """
    spec, color_by = opening.spec, measuring.color_by
    if open_it and output is None and format is None:
        output = page_to_open(spec)
    if open_it and str(output or _STDOUT) == "-":
        raise typer.BadParameter("a browser opens files: `-o FILE`", param_hint="--open")
    kind = format_of(output or _STDOUT, format)
    output = _destination(output, format, kind)
    check_output(output, force=force)
    if time is not None and color is not None:
        raise typer.BadParameter("times are either measured, `--time`, or read, `--color`", param_hint="--color")
    if kind != PAGE and opening.weights and not (measuring.image or measuring.against):
        raise typer.BadParameter("only a page shows weights: `-o FILE.html`", param_hint="--weights")
    asks = "--time" if time is not None else "--color" if color is not None else measuring.any
    if asks and (width is not None or kind not in IN_COLOURS):
        text = f"numbers colour a page or a picture: {one_of(IN_COLOURS)}, without `--width`"
        raise typer.BadParameter(text, param_hint=asks)
    asked = None if width is None else _asked_width(width, kind, direction)
    try:
        loaded = opening.reading.load(spec, weights=opening.weights is None)
    except SpecError as error:
        if asked is None:
            _write_failure(context, output, Path(spec).stem, error, kind, theme.value)
        raise
    from composer.dag.limits import MAX_NODES, MAX_PARAMETERS, Limits
    from composer.dag.sketch import Sketch, sketch
    from composer.draw.picture import Wish
    from composer.network import Graph

    limits = Limits(budget.max_nodes or MAX_NODES, budget.max_parameters or MAX_PARAMETERS)
    network, failure = None, None
    with stage(context, f"composing {loaded.name}"):
        try:
            network = Graph.of(loaded, limits)
            drawn = Sketch.of(network)
        except GraphError as error:
            if asked is not None:
                raise
            failure = error
            drawn = sketch(loaded, error.diagnostics, limits)
            if drawn.is_empty:
                _write_failure(context, output, loaded.name, error, kind, theme.value)
                raise
    seconds = None
    if network is not None and color is not None:
        seconds = read_times(color, spec, network)
    elif network is not None and time is not None:
        seconds = measured(context, network, time, device)
    found = Measured() if network is None else measure_values(context, opening, network, measuring, device)
    # What was asked for is what is shown first.
    asked_for = [*(one.key for one in found.values), *(["time"] if seconds else [])]
    first = (color_by or next(iter(asked_for), None)) if network is not None else None
    wish = Wish(depth, select, direction.value, insets, first)
    with stage(context, f"drawing {loaded.name}"):
        content = _rendered(drawn, network, wish, kind, theme.value, seconds, found, asked)
    write(context, output, content, force=force)
    if open_it:
        open_page(context, output)
    if failure is not None:
        raise failure


def _destination(output: Path | None, format: str | None, kind: str) -> Path:
    """Where to write the picture. Raises BadParameter if it would fill a terminal without being asked to."""
    to_screen = str(output or _STDOUT) == "-" and is_terminal()
    if to_screen and (kind in _BYTES or (output is None and format is None)):
        text = "a picture is no text for a terminal: name a file, `-o FILE.svg` (.html .png .pdf .tex .dot .mmd .json)"
        hint = "; `composer summary` prints the network as a tree" + "; `-o -` prints it anyway" * (kind not in _BYTES)
        raise typer.BadParameter(text + hint, param_hint="--output")
    return output or _STDOUT


def _asked_width(text: str, kind: str, direction: Direction) -> Width:
    """The width of a figure. Raises InputError if it is none, and BadParameter for what no such figure can be."""
    width = read_width(text)
    if kind not in OF_PRINT:
        raise typer.BadParameter(f"a figure of a width is {one_of(OF_PRINT)}, not {kind}", param_hint="--width")
    if direction is not Direction.TB:
        raise typer.BadParameter("a figure of a width runs down: leave out `--direction`", param_hint="--width")
    return width


def _rendered(
    drawn: Sketch,
    network: Graph | None,
    wish: Wish,
    kind: str,
    theme: str,
    seconds: Mapping[str, float] | None,
    found: Measured,
    width: Width | None,
) -> bytes:
    """A network as a file of this format."""
    if width is not None:
        from composer.draw.printed.render import render_figure

        return render_figure(drawn, wish, width, kind, theme)
    if kind == PAGE:
        from composer.page.render import render_page

        return render_page(drawn, network, wish, theme, seconds, found.values, found.module).encode("utf-8", "replace")
    from composer.draw.picture import draw
    from composer.draw.render import render

    if wish.colour in (None, KIND):
        return render(draw(drawn, wish), kind, theme, network)
    from composer.page.pictures import coloured_picture

    return render(coloured_picture(drawn, network, wish, seconds, found.values), kind, theme, network)


def _write_failure(
    context: typer.Context, output: Path, name: str, error: SpecError | GraphError, kind: str, theme: str
) -> None:
    """Write the mistakes of a text that makes no network. They replace nothing; a wrong name is none."""
    is_of_a_text = any(problem.location is not None for problem in error.diagnostics)
    if is_of_a_text and str(output) != "-" and not output.exists():
        write(context, output, _failure(name, error, kind, theme), force=False)


def _failure(name: str, error: SpecError | GraphError, kind: str, theme: str) -> bytes:
    """The mistakes of a text that makes no network, as a file of this format."""
    from composer.draw.picture import draw_problems

    picture = draw_problems(name, error.diagnostics)
    if kind == PAGE:
        from composer.page.render import render_failure

        return render_failure(picture, theme).encode("utf-8", "replace")
    from composer.draw.render import render

    return render(picture, kind, theme)
