"""`composer build`: compose a network, say what was composed, and write it down with -o."""

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
    MaxNodes,
    MaxParameters,
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
    from composer.dag.graph import Graph


def command(
    context: typer.Context,
    spec: SpecName,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Write lock, graph and weights there.")
    ] = None,
    weights: Weights = None,
    match: MatchOption = None,
    require: RequireOption = None,
    keys: Keys = None,
    ema: Ema = False,
    download: Download = False,
    force: Force = False,
    sets: Sets = None,
    root: Root = None,
    plugin: Plugins = None,
    seed: Seed = 0,
    device: Device = "cpu",
    dtype: DType = "float32",
    max_nodes: MaxNodes = None,
    max_parameters: MaxParameters = None,
    format: FormatOption = Format.TEXT,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compose a network and build it, with the weights that it names if any; print its totals and what attention added.

    With -o FOLDER, write NAME.lock.yaml (the whole spec, versions and hashes), NAME.graph.json and NAME.safetensors.
    """
    graph = compose_graph(spec, other_weights(sets, weights), root, max_nodes, max_parameters)
    chosen = choose_weights(graph.spec, weights, match=match, require=require, keys=keys, ema=ema, download=download)
    target, precision = find_device(device), find_dtype(dtype)
    from composer.artefacts import write
    from composer.compile.module import compile_graph

    model = compile_graph(graph, seed)
    filled = fill_model(model, chosen) if chosen else None
    model.to(device=target, dtype=precision)
    if format is Format.JSON:
        print_json({**summary(graph), "weights": filled.to_json() if filled else None})
    else:
        print_summary(graph)
        if filled:
            print(f"\n{filled.lines()}")
    if output is not None:
        for path in write(model, output, force=force):
            say(context, f"wrote {path}")


def summary(graph: Graph) -> dict[str, Any]:
    """What was composed, as plain JSON values."""
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
    """What was composed, for people."""
    from composer.cli.tables import print_table
    from composer.dag.notes import notes
    from composer.lines import share, thousands

    plain = graph.plain
    parameters, macs = graph.num_parameters, graph.num_macs
    inputs = ", ".join(str(tensor) for tensor in graph.root.inputs.values())
    outputs = ", ".join(f"{name} {tensor}" for name, tensor in graph.outputs.items())
    print(f"{graph.spec.name}: {inputs} -> {outputs}")
    for label, total, base in (("parameters", parameters, plain.num_parameters), ("MACs", macs, plain.num_macs)):
        by_attention = f"  ({total - base:+,}, {share(total - base, base)}, by attention)" if graph.added else ""
        print(f"{label:<11} {thousands(total)}{by_attention}")
    for note in notes(graph):
        print(note)
    if graph.added:
        print()
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
