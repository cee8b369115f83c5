"""The registered functions of tensors by name, for generated code: `from composer.functions import add`."""

from __future__ import annotations

from typing import Any

from composer import registry


def __getattr__(name: str) -> Any:
    entry = registry.get(name) if not name.startswith("_") else None
    if not isinstance(entry, registry.FunctionEntry):
        raise AttributeError(f"no function is registered as `{name}`; a plugin that has it must be loaded first")
    return entry.factory
