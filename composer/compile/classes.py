"""Classes made from generated source, a class per text: readable with `inspect`, and pickled as the text."""

from __future__ import annotations

import hashlib
import linecache
import re
import sys
import threading
import types
from typing import Any, cast

from torch import nn

from composer.errors import Diagnostic, PluginError, one_of

_lock = threading.Lock()
_made: dict[str, type[nn.Module]] = {}


def class_of(text: str) -> type[nn.Module]:
    """The class that a generated file defines; the same class for the same text.

    `inspect.getsource` and tracebacks show its source, because `linecache` knows its file. It differs from a class in a
    file of your own in two lines: it is pickled as its text, and `code` is that text.
    """
    with _lock:
        if text not in _made:
            _made[text] = _make(text)
        return _made[text]


def composed_module(text: str) -> nn.Module:
    """An empty object of the class that a generated file defines. Raises PluginError if a plugin is missing.

    Pickled networks call this function by name: never rename or move it.
    """
    made = class_of(text)
    return made.__new__(made)


def _make(text: str) -> type[nn.Module]:
    found = re.search(r"^class (\w+)\(", text, re.MULTILINE)
    assert found is not None, "a generated file defines one class"
    name = found[1]
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    module = types.ModuleType(f"composer.composed.{name}_{digest}")
    module.__file__ = f"<composed {name} {digest}>"
    # Without a modification time, linecache never checks the file on disk.
    linecache.cache[module.__file__] = (len(text), None, text.splitlines(keepends=True), module.__file__)
    try:
        exec(compile(text, module.__file__, "exec"), module.__dict__)
    except ImportError as error:
        raise _without_plugin(text, error) from error
    sys.modules[module.__name__] = module
    made: Any = getattr(module, name)
    made.code, made.__reduce_ex__ = text, _reduce
    return cast("type[nn.Module]", made)


def _without_plugin(text: str, error: ImportError) -> PluginError:
    """The error for a network whose plugin is missing: names the plugin it was composed with."""
    plugins = dict.fromkeys(re.findall(r"# plugin: (.+)", text))
    message = f"this network needs the plugin {one_of(plugins)}: {error}"
    return PluginError(Diagnostic("plugin", message, label="load the plugin first, as when it was composed"))


def _reduce(self: nn.Module, protocol: Any) -> Any:
    """Pickles and copies an object of a generated class: the text of its class, and its state as usual."""
    plain: Any = object.__reduce_ex__(self, protocol)
    text = type(self).__dict__.get("code")
    # A class derived from the generated one (fully_shard, parametrize) pickles itself.
    return plain if text is None else (composed_module, (text,), *plain[2:])
