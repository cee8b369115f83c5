"""The Python code that a page shows: generated for scopes, the source of the class or function for operations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from functools import lru_cache
from textwrap import dedent
from typing import Any

import torch
from torch import nn

from composer.compile.code import forward_code
from composer.compile.parts import beside, is_chain
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.registry import Entry, FunctionEntry, ModuleEntry

Code = tuple[str, str]

# Longer code is cut, because it is shown in a panel.
MAX_LINES = 300
MAX_NODES = 1000


def scope_code(scope: Scope) -> Code:
    """Heading and code: the generated forward of a scope; for a plain chain, its nn.Sequential or Chain."""
    if scope.path and is_chain(scope):
        parts = (f"    ({name}): {_called(node)}" for name, node in scope.nodes.items() if node.content is not None)
        kind = "Chain" if beside(scope) else "nn.Sequential"
        return scope.block, _cut("\n".join([f"{kind}(", *parts, ")"]))
    if len(scope.nodes) > MAX_NODES:
        return scope.block, f"# a forward of {len(scope.nodes):,} calls: `print(model.code)` shows it"
    return scope.block, _cut(forward_code(scope))


def scope_form(scope: Scope) -> Hashable:
    """Equal for scopes with the same code."""
    calls = tuple((name, node.inputs, _call(node)) for name, node in scope.nodes.items())
    return scope.block, tuple(scope.inputs), calls, tuple(scope.outputs.items()), bool(scope.path)


def _call(node: Node) -> Hashable:
    if isinstance(node.content, Operation) and isinstance(node.content.entry, FunctionEntry):
        return node.content.entry.name, repr(node.content.options)
    return _called(node)


def _called(node: Node) -> str:
    """The name of the class or function of a node; empty for a node that passes its input on."""
    if isinstance(node.content, Scope):
        return node.content.block
    if node.content is None:
        return ""
    return _class_of(node.content) if isinstance(node.entry, ModuleEntry) else node.content.entry.factory.__name__


@lru_cache(maxsize=1000)
def _class_of(operation: Operation) -> str:
    """The name of the class that an operation makes: a norm of images is another than one of videos."""
    with torch.device("meta"):
        return type(operation.make()).__name__


def operation_code(entry: Entry, built: Any) -> Code | None:
    """Heading and code: source of `attention` and `forward`, or constructor call of a PyTorch layer; else None."""
    if isinstance(entry, FunctionEntry):
        source = _source(entry.factory)
        return None if source is None else (entry.factory.__module__, source)
    if not isinstance(entry, ModuleEntry):
        return None
    if _is_own_of_torch(entry):
        return "PyTorch", _constructed(built)
    methods = [getattr(entry.module, name, None) for name in ("attention", "forward")]
    sources = [source for method in methods if method is not None and (source := _source(method))]
    return (type(built).__name__, "\n\n".join(sources)) if sources else ("", _constructed(built))


def is_one_for_all(entry: Entry) -> bool:
    """Whether all operations of an entry have the same code, whatever their options."""
    return not isinstance(entry, ModuleEntry) or not _is_own_of_torch(entry)


def _is_own_of_torch(entry: ModuleEntry) -> bool:
    return str(getattr(entry.module, "forward").__module__).partition(".")[0] == "torch"  # noqa: B009


def _constructed(module: nn.Module) -> str:
    """The constructor call: `nn.Conv2d(64, 64, kernel_size=(3, 3), stride=(1, 1), bias=False)`."""
    public = next(one for one in type(module).__mro__ if one.__module__.partition(".")[0] == "torch")
    arguments = repr(module).removeprefix(type(module).__name__)
    return _cut(f"nn.{public.__name__}{arguments}")


def _source(function: Callable[..., Any]) -> str | None:
    """The source of a function without its decorators; None if it cannot be read."""
    try:
        lines = dedent(inspect.getsource(inspect.unwrap(function))).splitlines()
    except (OSError, TypeError):
        return None
    start = next((index for index, line in enumerate(lines) if line.startswith(("def ", "async def "))), 0)
    return _cut("\n".join(lines[start:]))


def _cut(code: str) -> str:
    lines = code.splitlines()
    if len(lines) <= MAX_LINES:
        return code
    first, last = lines[: MAX_LINES - 20], lines[-20:]
    return "\n".join([*first, f"    # … {len(lines) - MAX_LINES:,} lines …", *last])
