"""A network written down: what was asked for, what came of it, and its weights."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from composer import __version__, registry
from composer.dag.scope import Operation
from composer.files import staged
from composer.spec import zoo
from composer.spec.dump import dump
from composer.weights import save_weights

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule
    from composer.dag.graph import Graph
    from composer.weights import LoadReport


def write(model: ComposedModule, folder: Path, *, force: bool = False) -> list[Path]:
    """Write NAME.lock.yaml, NAME.graph.json and NAME.safetensors into a folder, all or none.

    The lock is a spec of its own: it builds the same network from one file. Raises InputError.
    """
    stem = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in model.spec.name).lstrip(".")
    targets = [folder / f"{stem or 'network'}{ending}" for ending in (".lock.yaml", ".graph.json", ".safetensors")]
    with staged(targets, force=force) as (lock_file, graph_file, weights_file):
        written = lock(model.graph, model.seed, model.weights_report, targets[-1].name)
        lock_file.write_text(dump(written), encoding="utf-8")
        graph_file.write_text(json.dumps(model.graph.to_json(), indent=1), encoding="utf-8")
        save_weights(model, weights_file)
    return targets


def lock(graph: Graph, seed: int, report: LoadReport | None = None, weights_file: str = "") -> dict[str, Any]:
    """The whole spec in one mapping, and what it was composed with: versions, and hashes of its files.

    Of a network that was filled with weights it names `weights_file`, which holds them all.
    """
    used = {node.content.entry.plugin for node, _ in graph.operations if isinstance(node.content, Operation)}
    record = {
        "composer": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "seed": seed,
        "parameters": graph.num_parameters,
        "files": {zoo.portable(name): digest for name, digest in graph.spec.digests().items()},
        "plugins": {
            plugin.name: {"version": plugin.version, "sha256": plugin.sha256}
            for plugin in registry.plugin_versions()
            if plugin in used
        },
        "weights": {"source": report.source.strip("`")} if report else {},
    }
    written = {key: value for key, value in graph.spec.to_mapping().items() if key != "weights"}
    if report:
        written["weights"] = {"source": weights_file, "require": "all"}
    return {**written, "lock": {key: value for key, value in record.items() if value != {}}}
