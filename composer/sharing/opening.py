"""Opens the folder of a network: every file is checked before anything is built."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer import __version__, given, registry
from composer.errors import Diagnostic, InputError, PluginError
from composer.paths import PATH_ERRORS, reason, sha256
from composer.sharing.manifest import BLOCKS, CODE, GRAPH, PICTURE, PLUGINS, WEIGHTS, Manifest, find_lock

if TYPE_CHECKING:
    import torch

    from composer.compile.module import ComposedModule
    from composer.dag.composition import Composition


def from_folder(
    folder: str | Path,
    *,
    lock: str | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    allow_code: bool = False,
) -> ComposedModule:
    """The network of a folder with its weights, in training mode.

    folder      what `composer build -o`, `composer pull` or `composer.sharing.write_folder` wrote
    lock        the name of the lock file, if the folder holds several networks
    device, dtype  device (`auto`: CUDA if available) and dtype of the network; by default the CPU and float32
    allow_code  run the plugin files of the folder, and a backbone `package.module:factory`. Read them first

    Only the files that the lock names are read, and weights only as safetensors. Raises InputError if a file is missing
    or another than the lock names, if the spec was changed, or if this version of composer, of a plugin or of a library
    makes another network of it; PluginError for a plugin that is missing or may not run; WeightsError for weights that
    do not fill the network, or more than it; and what `composer.build` raises.
    """
    from composer.api import compose
    from composer.compile.graph import compile_graph
    from composer.devices import check_device, check_dtype
    from composer.spec.load import load_spec
    from composer.weights import load_weights

    target, precision = check_device(device), check_dtype(dtype)
    path = find_lock(given.path("folder", folder), lock)
    manifest = Manifest.read(path)
    check_files(path.parent, manifest)
    manifest.check_spec()
    load_plugins(path.parent, manifest, allow_code=allow_code)
    graph = compose(load_spec(path, weights=False, allow_code=allow_code))
    _check_graph(graph, path.parent, manifest)
    seed = manifest.record.get("seed")
    model = compile_graph(graph, seed if isinstance(seed, int) else 0)
    load_weights(model, path.parent / manifest.one(WEIGHTS), require="all")
    return model if target is None and precision is None else model.to(device=target, dtype=precision)


def check_files(folder: Path, manifest: Manifest) -> None:
    """Check that the files that make the network are there and are those that the lock names, all but its picture.

    Raises InputError with all that are not.
    """
    InputError.check(_wrong(folder, manifest))


def _wrong(folder: Path, manifest: Manifest) -> Iterator[Diagnostic]:
    for name, digest in manifest.files.items():
        if name.endswith(PICTURE):
            continue
        here = manifest.origin("sha256", name)
        if problem := _obstacle(folder, name):
            help = ("fetch or build the folder again, whole",)
            yield here.problem("lock", f"`{name}` {problem}", "a file beside the lock", help, key=True)
            continue
        try:
            found = sha256(folder / name)
        except OSError as error:
            yield here.problem("lock", f"`{name}` cannot be read: {reason(error)}", key=True)
            continue
        if found != digest:
            trained = name.endswith(WEIGHTS)
            help = (
                f"weights that were trained further: `composer build {manifest.name} --weights {name} -o FOLDER`"
                if trained
                else "fetch or build the folder again, whole",
            )
            text = f"`{name}` is not the file that the lock was written with: its hash is {found[:12]}…"
            yield here.problem("lock", text, f"SHA-256 {digest[:12]}…", help)


def _obstacle(folder: Path, name: str) -> str:
    """Why a name is no file inside the folder; empty if it is one."""
    path = folder
    try:
        for part in name.split("/"):
            path = path / part
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                return "is a link, which may lead anywhere"
        return "" if stat.S_ISREG(mode) else "is not a regular file"
    except FileNotFoundError:
        return "is missing"
    except PATH_ERRORS as error:
        return f"cannot be read: {reason(error)}"


def load_plugins(folder: Path, manifest: Manifest, *, allow_code: bool) -> None:
    """Load the plugins that a network needs. Raises PluginError if one is missing, another, or may not run."""
    known = {one.name: one for one in registry.plugin_versions()}
    loaded = {one.sha256 for one in known.values() if one.sha256}
    problems = []
    for name, written in manifest.plugins.items():
        here = manifest.origin("plugins", name)
        said = written if isinstance(written, dict) else {}
        if str(said.get("sha256")) in loaded:
            continue
        if name in manifest.files and name.startswith(f"{PLUGINS}/"):
            if name.endswith(CODE) and not allow_code:
                text = f"the network needs the plugin `{name}`, which is code of whoever wrote this folder"
                help = (f"read `{folder / name}`, then allow it: `allow_code=True`, `--allow-code`",)
                problems.append(here.problem("plugin", text, "permission to run it", help, key=True))
        elif name not in known:
            text, label = f"the network needs the plugin `{name}`, which is not there", "an installed package"
            help = ("install it, or import the module that registers it, or load its file with `--plugin`",)
            problems.append(here.problem("plugin", text, label, help, key=True))
        elif (known[name].version, known[name].sha256) != (said.get("version", ""), said.get("sha256", "")):
            text = f"the plugin `{name}` is {known[name].version or 'another file'}"
            label = f"version {said.get('version')}, with which the network was written"
            problems.append(here.problem("plugin", text, label, key=True))
    PluginError.check(problems)
    for name in manifest.plugins:
        if name in manifest.files and name.endswith((CODE, *BLOCKS)) and manifest.files[name] not in loaded:
            registry.load_plugin(folder / name)


def _check_graph(graph: Composition, folder: Path, manifest: Manifest) -> None:
    """Check that the network is the one that was written, operation by operation. Raises InputError."""
    from composer.dag.flatten import flat_json

    name = manifest.one(GRAPH)
    here = manifest.origin("sha256", name)
    try:
        written = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(here.problem("lock", f"`{name}` is no graph: {reason(error)}", "JSON")) from error
    found = json.loads(json.dumps(flat_json(graph)))
    written, found = without_lines(written), without_lines(found)
    if written != found:
        by = manifest.record.get("composer")
        whose = f"composer {by}, and this is {__version__}" if by != __version__ else f"composer {by} too"
        text = (
            f"the spec makes another network than `{name}` holds: {_first(written, found)}; it was written by {whose}"
        )
        help = (f"pip install 'attention-composer=={by}'" if by != __version__ else "fetch or build the folder again",)
        raise InputError(here.problem("lock", text, "the same network", help, key=True))


def without_lines(graph: Any) -> Any:
    """A graph as JSON without the lines of the files that its nodes were written in."""
    if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), list):
        return graph
    nodes = [{**one, "line": None} if isinstance(one, dict) else one for one in graph["nodes"]]
    return {**graph, "nodes": nodes}


def _first(written: object, found: object, at: str = "") -> str:
    """The first place where two JSON values differ."""
    if isinstance(written, dict) and isinstance(found, dict):
        for key in (*written, *found):
            if written.get(key) != found.get(key):
                return _first(written.get(key), found.get(key), f"{at}.{key}" if at else str(key))
    if isinstance(written, list) and isinstance(found, list):
        for number, (one, other) in enumerate(zip(written, found, strict=False)):
            if one != other:
                return _first(one, other, f"{at}[{number}]")
        return f"`{at}` has {len(found)} entries, and had {len(written)}"
    return f"`{at}` is `{found}`, and was `{written}`"
