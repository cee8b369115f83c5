"""Classes for edited modules of a user: a subclass per class and text, pickled as both, under the class's own name."""

from __future__ import annotations

import hashlib
import inspect
import linecache
import threading
import types
from typing import Any, cast

from torch import nn

from composer.compile.classes import class_of

# What the generated text calls the class that it changes.
HOST = "Host"

_lock = threading.Lock()
_made: dict[tuple[type[nn.Module], str], type[nn.Module]] = {}


def hosted_class(base: type[nn.Module], text: str) -> type[nn.Module]:
    """The subclass of a class that a generated file defines; the same class for the same base and text.

    The file knows the base as `Host` and defines one class, whose name does not matter: the result has the base's name,
    so that whoever asks for it finds what was there before. `inspect.getsource` shows the text of its methods.
    """
    with _lock:
        key = base, text
        if key not in _made:
            _made[key] = _make(base, text)
        return _made[key]


def hosted_module(base: type[nn.Module] | str, *texts: str) -> nn.Module:
    """An empty object of the class that the texts make of a base, the first text first.

    base  a class, or the text of a class that composer generated

    Pickled networks call this function by name: never rename or move it.
    """
    made = class_of(base) if isinstance(base, str) else base
    for text in texts:
        made = hosted_class(made, text)
    return made.__new__(made)


def text_of(made: type[nn.Module]) -> str | None:
    """The text from which a class was generated here; None for any other class, also for one derived from such."""
    found = made.__dict__.get("hosted_text")
    return found if isinstance(found, str) else None


def base_of(made: type[nn.Module]) -> type[nn.Module]:
    """The class that a class generated here changes."""
    return cast("type[nn.Module]", made.__dict__["hosted_base"])


def _make(base: type[nn.Module], text: str) -> type[nn.Module]:
    digest = hashlib.sha256(f"{base.__module__}.{base.__qualname__}\n{text}".encode()).hexdigest()[:12]
    module = types.ModuleType(f"composer.hosted.{base.__name__}_{digest}")
    module.__file__ = f"<hosted {base.__name__} {digest}>"
    module.__dict__[HOST] = base
    # Without a modification time, linecache never checks the file on disk.
    linecache.cache[module.__file__] = (len(text), None, text.splitlines(keepends=True), module.__file__)
    exec(compile(text, module.__file__, "exec"), module.__dict__)
    made: Any = next(
        one for one in module.__dict__.values() if isinstance(one, type) and base in one.__bases__ and one is not base
    )
    own = base.__dict__.get("forward") or base.forward
    if "forward" in made.__dict__:
        # Whoever reads the signature sees the one that was there before.
        made.forward.__signature__, made.forward.__doc__ = inspect.signature(own), own.__doc__
    made.__name__, made.__qualname__, made.__module__ = base.__name__, base.__qualname__, base.__module__
    made.__doc__, made.__reduce_ex__ = base.__doc__, _reduce
    made.hosted_text, made.hosted_base = text, base
    return cast("type[nn.Module]", made)


def _reduce(self: nn.Module, protocol: Any) -> Any:
    """Pickles and copies an object of a generated class: the class that was there, the texts, and its state."""
    made = type(self)
    if text_of(made) is None:
        # A class derived from the generated one (fully_shard, parametrize) pickles itself.
        return object.__reduce_ex__(self, protocol)
    texts: list[str] = []
    while (text := text_of(made)) is not None:
        texts.insert(0, text)
        made = base_of(made)
    plain: Any = made.__reduce_ex__(self, protocol)
    code = made.__dict__.get("code")
    return hosted_module, (code if isinstance(code, str) else made, *texts), *plain[2:]
