"""Writes a network to files: its lock, its graph and its weights."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from composer import __version__, registry
from composer.dag.flatten import flat_json
from composer.files import staged
from composer.paths import sha256, stem_of
from composer.spec import zoo
from composer.spec.dump import dump
from composer.spec.fingerprint import fingerprint
from composer.visible import visible
from composer.weights import save_weights

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule
    from composer.dag.composition import Composition
    from composer.spec.model import InputSpec
    from composer.weights import LoadReport


def write(model: ComposedModule, folder: Path, *, force: bool = False) -> list[Path]:
    """Write NAME.graph.json, NAME.safetensors and NAME.lock.yaml into a folder, all or none; returns their paths.

    The lock is a spec that builds the same network from a single file. It is written last and holds the hashes of the
    others, so that lock and weights of two builds are never mixed up. Raises InputError.
    """
    stem = stem_of(model.spec.name)
    targets = [folder / f"{stem}{ending}" for ending in (".graph.json", ".safetensors", ".lock.yaml")]
    with staged(targets, force=force) as (graph_file, weights_file, lock_file):
        graph_file.write_text(json.dumps(flat_json(model.graph), indent=1), encoding="utf-8")
        save_weights(model, weights_file)
        hashes = {targets[0].name: sha256(graph_file), targets[1].name: sha256(weights_file)}
        written = lock(model.graph, model.seed, model.weights_report, targets[1].name, hashes)
        lock_file.write_text(dump(written), encoding="utf-8")
    return targets


def lock(
    graph: Composition,
    seed: int,
    report: LoadReport | None = None,
    weights_file: str = "",
    hashes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The whole spec as a mapping, with the versions and the hashes of files that it was composed with.

    hashes  name -> SHA-256 of the files beside the lock
    The record has the hash of the spec itself too, by which `composer.from_folder` knows whether it was changed. For a
    network with loaded weights, the lock names `weights_file`, which holds all weights, and its hash.
    """
    hashes = hashes or {}
    used = {node.content.entry.plugin for node in graph.root.walk() if node.content and node.content.entry}
    record = {
        "composer": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "seed": seed,
        "parameters": graph.num_parameters,
        "files": {visible(zoo.portable(name)): digest for name, digest in graph.spec.digests().items()},
        "plugins": {
            plugin.name: {"version": plugin.version, "sha256": plugin.sha256}
            for plugin in registry.plugin_versions()
            if plugin in used
        },
        "weights": _of_weights(report) if report else {},
        "sha256": dict(hashes),
    }
    if graph.spec.source is not None:
        from composer.sources import identity

        record["model"] = identity(graph.spec.source)
    written = {key: value for key, value in graph.written().items() if key != "weights"}
    if report:
        if report.image:
            image = _preparation(report.image)
            written["inputs"] = {name: {**one, **image} for name, one in written["inputs"].items()}
        written["weights"] = {"source": weights_file, "require": "all"}
        if weights_file in hashes:
            written["weights"]["sha256"] = hashes[weights_file]
    record["spec"] = fingerprint(written)
    return {**written, "lock": {key: value for key, value in record.items() if value != {}}}


def _of_weights(report: LoadReport) -> dict[str, Any]:
    """The source of the weights, and the preparation of images for them."""
    image = {"input": _preparation(report.image)} if report.image else {}
    source = (
        report.source.strip("`")
        if not report.parts
        else {path: one.source.strip("`") for path, one in report.parts.items()}
    )
    return {"source": source, **image}


def _preparation(image: InputSpec) -> dict[str, Any]:
    return image.model_dump(exclude_unset=True, exclude={"shape", "layout", "grid"})
