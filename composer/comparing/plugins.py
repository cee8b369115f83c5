"""What other processes must load to know the mechanisms of networks: files and modules of plugins."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from composer import registry
from composer.dag.composition import Composition
from composer.errors import Diagnostic, PluginError

_FILES = (".py", ".yaml", ".yml")


def plugins_of(graphs: Iterable[Composition]) -> tuple[str, ...]:
    """The files of all plugins that were loaded, and the modules that register what networks use, for `load_all`.

    Raises PluginError for a mechanism that the script itself registers: no other process can import it.
    """
    files = [Path(one.name).absolute() for one in registry.plugin_versions() if one.sha256]
    found = dict.fromkeys(str(path) for path in files if path.suffix in _FILES and path.is_file())
    used = {node.content.entry for graph in graphs for node in graph.root.walk() if node.content and node.content.entry}
    for entry in sorted(used, key=lambda one: one.name):
        if entry.is_own or entry.plugin.sha256:
            continue
        module = entry.factory.__module__
        if module in ("__main__", "__mp_main__"):
            text = f"this script itself registers {entry.words}, which its other processes do not know"
            help = ("put it into a file, and load that: composer.load_plugin(FILE)",)
            raise PluginError(Diagnostic("plugin", text, label="the mechanism of a module, or of a file", help=help))
        found[module] = None
    return tuple(found)


def load_all(names: Sequence[str]) -> None:
    """Load plugins by their files and modules; those that are installed are found anyway. Raises PluginError."""
    registry.load_plugins()
    for name in names:
        if name.endswith(_FILES):
            registry.load_plugin(name)
        else:
            # A mechanism that is missing is said where it is used, with its line.
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
