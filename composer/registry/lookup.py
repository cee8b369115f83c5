"""What is registered, by name and by kind, and the plugins it comes from."""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from composer.errors import Diagnostic, PluginError
from composer.foreign import frames, named
from composer.registry.entry import Entry, FunctionEntry, ModuleEntry, ParameterEntry, Plugin
from composer.registry.plugins import load_plugins
from composer.registry.state import state


def get(name: str) -> Entry | None:
    """The entry of a name, or None."""
    load_plugins()
    return state.entries.get(name)


def entries(category: str | None = None, pattern: str = "*") -> Sequence[Entry]:
    """Every entry, sorted by name; of one category and with names like the pattern, if given."""
    load_plugins()
    found = sorted(state.entries.values(), key=lambda entry: entry.name)
    return [entry for entry in found if category in (None, entry.category) and fnmatchcase(entry.name, pattern)]


def get_mechanism(name: str) -> ModuleEntry | None:
    """The mechanism of a name, or None."""
    found = get(name)
    return found if isinstance(found, ModuleEntry) and found.category == "mechanism" else None


def mechanisms(pattern: str = "*") -> Sequence[ModuleEntry]:
    """Every mechanism with a name like the pattern, sorted by name."""
    return [entry for entry in entries("mechanism", pattern) if isinstance(entry, ModuleEntry)]


def blamed(error: BaseException) -> PluginError | None:
    """The plugin in whose code something failed, as an error that says where; None where it was in none's."""
    for where, function in reversed(frames(error)):
        owned = [entry for entry in state.entries.values() if entry.file == where.source.name and not entry.is_own]
        # One file may have several: the one whose method or function it was, or any.
        if found := next((one for one in owned if function.split(".")[0] == one.factory.__name__), None) or next(
            iter(owned), None
        ):
            text = f"{found.words} failed: {named(error)}"
            return PluginError(Diagnostic("plugin", text, where))
    return None


def failures() -> Sequence[Diagnostic]:
    """What went wrong when installed plugins were imported."""
    load_plugins()
    return tuple(state.failures)


def plugin_versions() -> Sequence[Plugin]:
    """Every plugin that registered something, composer itself apart."""
    return tuple(plugin for name, plugin in sorted(state.plugins.items()) if name != "composer")


def again(name: str, plugin: str) -> Entry:
    """An entry by its name, where something was pickled that holds it. Raises PluginError."""
    if (found := get(name)) is None:
        text = f"`{name}` is not registered; it comes from `{plugin}`"
        raise PluginError(Diagnostic("plugin", text, label="load that plugin first"))
    return found


def _by_name(entry: Entry) -> tuple[Callable[..., Entry], tuple[str, ...]]:
    return again, (entry.name, entry.plugin.name)


# The models of options are made from signatures and cannot be pickled, so an entry is found again by its name.
for kind in (ModuleEntry, FunctionEntry, ParameterEntry):
    copyreg.pickle(kind, _by_name)
