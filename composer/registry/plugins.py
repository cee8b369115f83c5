"""Imports plugins, which are installed packages or files of Python or YAML, so that they register their entries."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from composer.errors import Diagnostic, Location, PluginError, Source
from composer.foreign import frames, is_error, named
from composer.paths import obstacle, reason
from composer.registry.block import load_block_file
from composer.registry.entry import ENTRY_POINTS, Plugin
from composer.registry.state import loading, state
from composer.siblings import importable


def load_plugins() -> None:
    """Import composer's own entries and every installed plugin, once. `failures()` holds the errors of plugins."""
    with state.lock:
        if state.discovered:
            return
        # Set first: a plugin may itself ask the registry while it is being imported.
        state.discovered = True
        for package in ("composer.layers", "composer.mechanisms"):
            importlib.import_module(package)
        for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
            distribution = point.dist
            plugin = Plugin(point.name, distribution.version if distribution else "")
            try:
                with _from_plugin(plugin):
                    found = point.load()
                # What names no code of a plugin is the path of its blocks in YAML.
                if isinstance(found, str | Path):
                    load_block_file(Path(found), replace(plugin, sha256=_digest(found)))
            except BaseException as error:
                if not is_error(error):
                    raise
                state.failures.append(_failure(f"plugin `{point.name}` ({point.value})", error))


def load_plugin(path: str | Path) -> None:
    """Import a plugin file of Python, or register the blocks of one of YAML.

    Raises PluginError with the file's name if the file cannot be read, its code fails, or its blocks have mistakes.
    """
    digest, file = _digest(path), Path(path).resolve()
    if file.suffix in (".yaml", ".yml"):
        load_plugins()
        load_block_file(Path(path), Plugin(str(path), sha256=digest))
        return
    name = f"composer_plugin_{file.stem}_{digest[:12]}"
    if name in sys.modules:
        return
    load_plugins()
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError(
            Diagnostic("plugin", f"plugin file `{path}` is not Python", label="a file ending in .py or .yaml")
        )
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs: pickling and type hints look classes up by their module.
    sys.modules[name] = module
    before = dict(state.entries)
    try:
        with _from_plugin(Plugin(str(path), sha256=digest)), importable(file.parent):
            spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        with state.lock:
            state.entries.clear()
            state.entries.update(before)
        if isinstance(error, PluginError) or not is_error(error):
            raise
        raise PluginError(_failure(f"plugin file `{path}`", error)) from error


def _digest(path: str | Path) -> str:
    """The SHA-256 of a plugin file. Raises PluginError if it cannot be read."""
    if problem := obstacle(path):
        raise PluginError(Diagnostic("plugin", f"plugin file `{path}` {problem}", label="a Python or YAML file"))
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        text = f"plugin file `{path}` cannot be read: {reason(error)}"
        raise PluginError(Diagnostic("plugin", text, label="a Python or YAML file")) from error


@contextlib.contextmanager
def _from_plugin(plugin: Plugin) -> Iterator[None]:
    token = loading.set(plugin)
    try:
        yield
    finally:
        loading.reset(token)


def _failure(what: str, error: BaseException) -> Diagnostic:
    if isinstance(error, PluginError):
        first = error.diagnostics[0]
        return replace(first, message=f"{what}: {first.message}")
    passed = [where for where, _ in frames(error) if not where.source.name.startswith("<frozen")]
    location = passed[-1] if passed else None
    if isinstance(error, SyntaxError) and error.lineno:
        location = Location(Source(error.filename or what), error.lineno, error.offset or 1, (error.offset or 1) + 1)
    return Diagnostic("plugin", f"{what} failed to import: {named(error)}", location)
