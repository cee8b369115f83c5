"""Finds entries by name and category, and the plugins that registered them."""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from composer.errors import Diagnostic, PluginError
from composer.foreign import frames, named
from composer.registry.block import BlockEntry
from composer.registry.entry import Entry, FunctionEntry, ModuleEntry, ParameterEntry, Plugin
from composer.registry.plugins import load_plugins
from composer.registry.state import state


def get(name: str) -> Entry | None:
    """The entry with this name, or None."""
    load_plugins()
    return state.entries.get(name)


def entries(category: str | None = None, pattern: str = "*") -> Sequence[Entry]:
    """Every entry of the category (None: of both) whose name matches the pattern, sorted by name."""
    load_plugins()
    found = sorted(state.entries.values(), key=lambda entry: entry.name)
    return [entry for entry in found if category in (None, entry.category) and fnmatchcase(entry.name, pattern)]


def get_block(name: str) -> BlockEntry | None:
    """The block of a plugin with this name, or None."""
    found = get(name)
    return found if isinstance(found, BlockEntry) else None


def get_mechanism(name: str) -> ModuleEntry | None:
    """The mechanism with this name, or None."""
    found = get(name)
    return found if isinstance(found, ModuleEntry) and found.category == "mechanism" else None


def mechanisms(pattern: str = "*") -> Sequence[ModuleEntry]:
    """Every mechanism whose name matches the pattern, sorted by name."""
    return [entry for entry in entries("mechanism", pattern) if isinstance(entry, ModuleEntry)]


def blamed(error: BaseException) -> PluginError | None:
    """An error that names the plugin's entry and the line where an exception arose; None if outside of plugins."""
    for where, function in reversed(frames(error)):
        owned = [entry for entry in state.entries.values() if entry.file == where.source.name and not entry.is_own]
        # A file may define several entries: take the entry whose method or function failed, else the first.
        if found := next((one for one in owned if function.split(".")[0] == one.factory.__name__), None) or next(
            iter(owned), None
        ):
            text = f"{found.words} failed: {named(error)}"
            return PluginError(Diagnostic("plugin", text, where))
    return None


def failures() -> Sequence[Diagnostic]:
    """The problems found when installed plugins were imported."""
    load_plugins()
    return tuple(state.failures)


def plugin_versions() -> Sequence[Plugin]:
    """Every plugin that registered an entry, sorted by name, without composer itself."""
    return tuple(plugin for name, plugin in sorted(state.plugins.items()) if name != "composer")


def again(name: str, plugin: str) -> Entry:
    """The entry with this name, for unpickling. Raises PluginError if the name is not registered."""
    if (found := get(name)) is None:
        text = f"`{name}` is not registered; it comes from `{plugin}`"
        raise PluginError(Diagnostic("plugin", text, label="load that plugin first"))
    return found


def _by_name(entry: Entry) -> tuple[Callable[..., Entry], tuple[str, ...]]:
    return again, (entry.name, entry.plugin.name)


# Option models are made from signatures and cannot be pickled, so a pickle holds only the entry's name and plugin.
for kind in (ModuleEntry, FunctionEntry, ParameterEntry, BlockEntry):
    copyreg.pickle(kind, _by_name)
