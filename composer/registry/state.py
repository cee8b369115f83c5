"""The state of the registry, all that changes in it."""

from __future__ import annotations

import contextvars
import threading
from dataclasses import dataclass, field

from composer.errors import Diagnostic
from composer.registry.entry import Entry, Plugin


@dataclass
class State:
    """Entries and plugins by name, and the problems found when installed plugins were imported."""

    entries: dict[str, Entry] = field(default_factory=dict)
    failures: list[Diagnostic] = field(default_factory=list)
    plugins: dict[str, Plugin] = field(default_factory=dict)
    discovered: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)


state = State()
loading: contextvars.ContextVar[Plugin | None] = contextvars.ContextVar("loading", default=None)
