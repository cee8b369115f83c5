"""`composer build`: compose and build a network, print its totals, and write it to files with -o."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer.cli.opening import Opening
from composer.cli.options import Budget, Device, DType, Force, Format, FormatOption, find_device, find_dtype, say
from composer.cli.progress import stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread

if TYPE_CHECKING:
    from composer.network import Graph


@spread
def command(
    context: typer.Context,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Write lock, graph and weights there.")
    ] = None,
    force: Force = False,
    device: Device = "cpu",
    dtype: DType = "float32",
    budget: Budget,
    format: FormatOption = Format.TEXT,
    opening: Opening,
) -> None:
    """Compose a network and build it, with the weights that it names if any; print its totals and what attention added.

    With -o FOLDER, write NAME.graph.json, NAME.safetensors and NAME.lock.yaml (the whole spec, versions, hashes).
    """
    graph, weights = opening.compose(context, budget)
    target, precision = find_device(device), find_dtype(dtype)
    from composer.artefacts import write

    model, filled = opening.build(context, graph, weights)
    model.to(device=target, dtype=precision)
    if format is Format.JSON:
        print_json({**summary(graph), "weights": filled.to_json() if filled else None})
    else:
        print_summary(graph)
        if filled:
            out(f"\n{filled.lines()}")
    if output is not None:
        with stage(context, f"writing {output}"):
            written = write(model, output, force=force)
        for path in written:
            say(context, f"wrote {path}")


def summary(graph: Graph) -> dict[str, Any]:
    """The totals of a network and the effect of its rules, as plain JSON values."""
    from composer.dag.notes import notes

    plain = graph.plain
    return {
        "ok": True,
        "name": graph.spec.name,
        "inputs": {name: list(tensor.shape[1:]) for name, tensor in graph.root.inputs.items()},
        "outputs": {name: list(tensor.shape[1:]) for name, tensor in graph.outputs.items()},
        "parameters": graph.num_parameters,
        "macs": graph.num_macs,
        "without_attention": {"parameters": plain.num_parameters, "macs": plain.num_macs},
        "smallest_training_batch": 2 if graph.refusing_one else 1,
        "notes": notes(graph),
        "rules": [
            {
                "use": added.rule.use or "",
                "at": f"{added.rule.position} {added.rule.selector}",
                "places": len(added.places),
                "paths": list(added.places),
                "parameters": added.parameters,
                "macs": added.macs,
            }
            for added in graph.added
        ],
    }


def print_summary(graph: Graph) -> None:
    """Print the totals of a network and a table of its rules."""
    from composer.amounts import share, thousands
    from composer.cli.tables import print_table, prose
    from composer.dag.macs import growth
    from composer.dag.notes import notes

    plain = graph.plain
    parameters, macs = graph.num_parameters, graph.num_macs
    inputs = ", ".join(str(tensor) for tensor in graph.root.inputs.values())
    outputs = ", ".join(f"{name} {tensor}" for name, tensor in graph.outputs.items())
    prose(f"{graph.spec.name}: {inputs} -> {outputs}")
    for label, total, base in (("parameters", parameters, plain.num_parameters), ("MACs", macs, plain.num_macs)):
        grown = growth(total, base)
        text = "unknown" if grown is None else f"{grown:+,}, {share(grown, base)},"
        by_attention = f"  ({text} by attention)" if graph.added else ""
        prose(f"{label:<11} {thousands(total)}{by_attention}")
    for note in notes(graph):
        prose(note)
    if graph.added:
        out()
        rows = [
            (
                added.rule.use or "",
                f"{added.rule.position} {added.rule.selector}",
                str(len(added.places)),
                thousands(added.parameters, signed=True),
                thousands(added.macs, signed=True),
            )
            for added in graph.added
        ]
        print_table(("attention", "at", "places", "parameters", "MACs"), rows, ("places", "parameters", "MACs"))
