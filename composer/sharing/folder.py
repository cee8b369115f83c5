"""Writes a network as a folder that stands alone: lock, graph, weights, picture, card, and its plugins' files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer import registry
from composer.artefacts import lock
from composer.errors import Diagnostic, InputError, PluginError, one_of
from composer.files import staged
from composer.paths import sha256, stem_of
from composer.sharing.card import Told, card, plain
from composer.sharing.manifest import BLOCKS, CARD, CODE, GRAPH, LOCK, PICTURE, PLUGINS, WEIGHTS, is_safe
from composer.sharing.opening import without_lines
from composer.siblings import imported_from
from composer.spec.dump import dump
from composer.spec.fingerprint import fingerprint
from composer.spec.hub import hub_of
from composer.weights import save_weights

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule
    from composer.registry.entry import Plugin


def write_folder(
    model: ComposedModule,
    folder: str | Path,
    *,
    force: bool = False,
    license: str | None = None,
    repo: str | None = None,
    record: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write a network and all that it needs into a folder, all files or none; returns their paths, the lock last.

    The folder holds NAME.graph.json, NAME.safetensors, NAME.svg, README.md, the files of plugins that the network uses
    in `plugins/`, and NAME.lock.yaml. It names no path of this machine.

    model    the network, with the weights that it has now
    force    replace existing files
    license  what the card says: a license of the hub's list, such as `apache-2.0`
    repo     where it will be, `hf:USER/NAME`, for the card
    record   the `lock` of the folder that it was read from, so that its origin is kept
    Raises InputError for a network that was changed by hand or a file that exists; PluginError for a plugin that is no
    file and no package; UnavailableError without the extra `hf`.
    """
    from composer.compile.module import ComposedModule

    if not isinstance(model, ComposedModule):
        text = f"a {type(model).__name__} is no composed network"
        raise InputError(Diagnostic("network", text, label="what `composer.build` gives"))
    graph = model.graph
    if graph.edits:
        text = f"`{model.spec.name}` was changed by hand, which its spec does not say: {graph.edits[0]}"
        raise InputError(Diagnostic("network", text, help=("write the change as a rule or in the spec",)))
    folder, stem = Path(folder), _portable(stem_of(model.spec.name))
    plugins = _plugins(model)
    names = [f"{stem}{GRAPH}", f"{stem}{WEIGHTS}", f"{stem}{PICTURE}", *plugins.files, CARD, f"{stem}{LOCK}"]
    targets = [folder / name for name in names]
    with staged(targets, force=force) as paths:
        graph_file, weights_file, picture_file, *plugin_files, card_file, lock_file = paths
        graph_file.write_text(json.dumps(without_lines(_flat(graph)), indent=1), encoding="utf-8")
        save_weights(model, weights_file)
        picture_file.write_bytes(_picture(graph))
        for path, source in zip(plugin_files, plugins.files.values(), strict=True):
            path.write_bytes(source.read_bytes())
        hashes = {name: sha256(path) for name, path in zip(names, paths, strict=True) if path not in paths[-2:]}
        written = lock(graph, model.seed, model.weights_report, names[1], hashes)
        # Whoever builds from the lock gets these weights, also where they were trained from random ones.
        written["weights"] = {"source": names[1], "require": "all", "sha256": hashes[names[1]]}
        found = _kept(_standalone(written["lock"], plugins), record)
        written["lock"] = {**found, "spec": fingerprint(written)}
        told = Told(_words(written["lock"]), names[2], written["lock"].get("plugins", {}), license, repo)
        card_file.write_text(card(graph, told), encoding="utf-8")
        lock_file.write_text(dump(written), encoding="utf-8")
    return targets


def _flat(graph: Any) -> Any:
    from composer.dag.flatten import flat_json

    return flat_json(graph)


def _picture(graph: Any) -> bytes:
    from composer.dag.sketch import Sketch
    from composer.draw.picture import Wish, draw
    from composer.draw.render import render

    return render(draw(Sketch.of(graph), Wish()), "svg", "light")


@dataclass(frozen=True)
class _Plugins:
    """The plugins of a network.

    files    name in the folder -> the file, of plugins and of what they import from beside them
    written  name in the folder, or of a package -> version and hash
    """

    files: dict[str, Path]
    written: dict[str, dict[str, str]]


def _plugins(model: ComposedModule) -> _Plugins:
    """The plugins that a network uses. Raises PluginError for one that cannot be sent along."""
    graph = model.graph
    used = {node.content.entry.plugin for node in graph.root.walk() if node.content and node.content.entry}
    found = _Plugins({}, {})
    for plugin in registry.plugin_versions():
        if plugin not in used or plugin.name == "composer":
            continue
        path = Path(plugin.name)
        if not plugin.sha256 or path.suffix not in (CODE, *BLOCKS):
            _check_package(plugin)
            found.written[plugin.name] = {"version": plugin.version, "sha256": plugin.sha256}
            continue
        _check_file(plugin, path)
        beside = imported_from(path.resolve().parent) if path.suffix == CODE else []
        for source in (path.resolve(), *beside):
            name = f"{PLUGINS}/{source.relative_to(path.resolve().parent).as_posix()}"
            if not is_safe(name) or found.files.setdefault(name, source) != source:
                text, label = (
                    f"the plugin file `{source}` cannot go along as `{name}`",
                    "a plain name, which no other has",
                )
                raise PluginError(Diagnostic("plugin", text, label=label))
        found.written[f"{PLUGINS}/{path.name}"] = {"version": plugin.version, "sha256": plugin.sha256}
    return found


def _check_package(plugin: Plugin) -> None:
    if plugin.name in ("__main__", "__mp_main__", "builtins"):
        text = "the network uses operations that this script itself registers"
        help = ("move them into a file, and load it: `composer.load_plugin`, `--plugin FILE`",)
        raise PluginError(Diagnostic("plugin", text, label="a file that can go along", help=help))


def _check_file(plugin: Plugin, path: Path) -> None:
    try:
        same = sha256(path) == plugin.sha256
    except OSError:
        same = False
    if not same:
        text = f"the plugin file `{path}` is not the one that was loaded: it was changed or moved"
        raise PluginError(Diagnostic("plugin", text, help=("start again with the file as it is",)))


def _portable(stem: str) -> str:
    """The stem in letters that every file system has."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", stem).strip(".-")[:100] or "network"


def _standalone(record: Mapping[str, Any], plugins: _Plugins) -> dict[str, Any]:
    """The record of a lock without paths of this machine."""
    found = {key: value for key, value in record.items() if key != "plugins"}
    if plugins.written:
        found["plugins"] = plugins.written
    return {**found, **_without_folders(found)}


def _without_folders(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of the network's origin, with names of files in place of paths."""
    found: dict[str, Any] = {}
    if isinstance(record.get("seed"), int):
        found["seed"] = record["seed"]
    if isinstance(files := record.get("files"), Mapping):
        found["files"] = {_name(str(name)): str(digest) for name, digest in files.items()}
    if isinstance(weights := record.get("weights"), Mapping) and (source := weights.get("source")):
        parts = isinstance(source, Mapping)
        named = {path: _name(str(one)) for path, one in source.items()} if parts else _name(str(source))
        found["weights"] = {**weights, "source": named}
    return found


def _name(source: str) -> str:
    """A file's name without its folders; specs of composer and references to hubs as they are."""
    return source if source.startswith("specs/") or hub_of(source) else Path(source.replace("\\", "/")).name


def _kept(found: dict[str, Any], earlier: Mapping[str, Any] | None) -> dict[str, Any]:
    """The record, with the origin that an earlier record tells in place of the folder that it was in."""
    if earlier is None:
        return found
    own = {key: value for key, value in found.items() if key not in ("seed", "files", "weights")}
    return {**_without_folders(earlier), **own}


def _words(record: Mapping[str, Any]) -> str:
    """What the network started with, in a sentence; what it was trained on since, only its author knows."""
    found = record.get("weights")
    source = found.get("source") if isinstance(found, dict) else None
    if source is None:
        return f"the network started at random (seed {record.get('seed')})"
    names = source.values() if isinstance(source, dict) else [source]
    return f"the network started with {one_of(plain(str(name)) for name in names)}"
