"""`composer sites`: lists the places where attention can go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer.amounts import plural
from composer.cli.options import Format, FormatOption, Reading, Saying, SpecName, say
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.cli.tables import fitted, print_table
from composer.errors import Diagnostic, GraphError, InputError
from composer.spec.sites import MEANINGS

if TYPE_CHECKING:
    from composer.network import Graph

# As many paths of a network without sites are listed.
_FIRST = 12


@spread
def command(
    context: typer.Context,
    *,
    spec: SpecName,
    site: Annotated[str | None, typer.Argument(help="A site or glob: list every place it means.")] = None,
    reading: Reading,
    format: FormatOption = Format.TEXT,
    saying: Saying,
) -> None:
    """List a network's sites with their places; of one site or glob, each place with its path and shape."""
    graph = _composed(context, reading, spec)
    from composer.dag.rules.match import NO_SITES, unknown_place
    from composer.dag.rules.places import Place

    def row(place: Place) -> dict[str, Any]:
        facts = place.facts("after", last=False)
        shown = {name: facts[name] for name in ("stage", "block", "op")}
        return {"path": place.node.path, **shown, "shape": str(place.node.output), "sites": list(place.node.sites)}

    if site is not None:
        rows = [row(place) for place in graph.places.select(site)]
        if not rows:
            text, help = unknown_place(site, graph.places)
            raise InputError(Diagnostic("no-match", text, label="a site, or a glob over paths", help=help))
        if format is Format.JSON:
            print_json(rows)
        else:
            print_table([*rows[0]], [[_text(value) for value in one.values()] for one in rows])
            say(context, plural(len(rows), "place"))
        return
    found = {name: [row(place) for place in graph.places.select(name)] for name in graph.places.sites}
    if format is Format.JSON:
        print_json(found)
        return
    if not found:
        out(f"{NO_SITES}:")
        for path in graph.places.paths[:_FIRST]:
            out(f"  {path}")
        if len(graph.places) > _FIRST:
            say(context, f"\nall {len(graph.places)}: composer sites SPEC '**'")
        return
    heads = ("site", "places", "first", "last", "shapes")
    print_table(heads, [_summary(name, rows) for name, rows in found.items()], ("places",))
    say(context, "")
    # Of a model of another library, what was recognised and why; a spec corrects it.
    for line in graph.findings or [f"{name}: {MEANINGS[name]}" for name in found if name in MEANINGS]:
        say(context, "\n".join(fitted(line)))
    if graph.findings:
        say(context, '\nmend what is wrong in a spec: `sites: {block: "stages.*.blocks.*"}`')
    say(context, "\nevery place of one: composer sites SPEC SITE; any node's path or a glob is a place too")


def _composed(context: typer.Context, reading: Reading, source: str) -> Graph:
    """The network; without its rules if one of them is wrong, as its place may be what is looked for."""
    try:
        return reading.compose(context, source)
    except GraphError as error:
        spec = reading.load(source)
        if not spec.rules:
            raise
        from composer.api import compose

        # Raises what is wrong elsewhere.
        graph = compose(replace(spec, rules=()))
        say(context, f"the places without the spec's rules, as one is wrong: {error.diagnostics[0].message}\n")
        return graph


def _summary(name: str, rows: list[dict[str, Any]]) -> tuple[str, ...]:
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    shown = ", ".join(shapes if len(shapes) <= 4 else [*shapes[:2], "…", shapes[-1]])
    return name, str(len(rows)), rows[0]["path"], rows[-1]["path"], shown


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
