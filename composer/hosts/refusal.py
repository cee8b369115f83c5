"""Models and modules that cannot be edited, and the reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn

from composer.compile.host_classes import text_of
from composer.errors import Diagnostic, one_of
from composer.torch_private import AnyBatchNorm, children, is_compiled


def refused(model: nn.Module) -> Iterator[Diagnostic]:
    """The problem of a model that cannot take insertions as a whole."""
    if not isinstance(model, nn.Module):
        yield from not_a_module(model)
    elif isinstance(model, torch.jit.ScriptModule):
        yield _problem("the model is a ScriptModule, whose code is fixed", "insert before scripting or tracing")
    elif isinstance(model, fx.GraphModule):
        yield _problem("the model is a torch.fx GraphModule, which is edited by its `graph`", "insert before tracing")
    elif is_compiled(model):
        wrapped = "_orig_mod" in children(model)
        yield _problem(
            "the model is compiled", f"insert {'into `model._orig_mod`' if wrapped else 'before `compile()`'}"
        )
    elif isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        yield _problem("the model is spread over devices", "insert into `model.module`, before it is wrapped")


def not_a_module(model: Any) -> Iterator[Diagnostic]:
    """The problem of what is no module."""
    if not isinstance(model, nn.Module):
        kind = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        yield _problem(f"the model is {kind}", "give an object of an nn.Module class")


def refused_hosts(model: nn.Module, paths: Mapping[str, bool]) -> Iterator[Diagnostic]:
    """A problem per module that cannot be edited: path -> whether it gets another class, or only other children."""
    managed = {path for path, one in model.named_modules() if _is_managed(one)}
    for path, of_class in paths.items():
        module = model.get_submodule(path)
        around = {"", *(path[:end] for end in range(len(path)) if path[end] == "."), path}
        what = f"`{path or type(module).__name__}`"
        made: Any = type(module)
        if of_class and "forward" in module.__dict__:
            yield _problem(f"{what} has a `forward` set on the object, which a class cannot change", "", path)
        elif isinstance(module, torch.jit.ScriptModule | fx.GraphModule):
            yield _problem(f"{what} is a {made.__name__}, whose code is fixed", "insert before it is traced", path)
        elif is_compiled(module):
            yield _problem(f"{what} is compiled", "insert before `compile()`", path)
        elif managed & around:
            yield _problem(f"{what} is managed by FSDP", "insert before `fully_shard`", path)
        elif text_of(made) is None and "code" not in made.__dict__ and made.__reduce_ex__ is not object.__reduce_ex__:
            yield _problem(f"{what} pickles itself in a way of its own, which would lose the insertion", "", path)


def other_forwards(made: type[nn.Module]) -> list[str]:
    """Other methods of a class that may run the same children."""
    return [name for name in dir(made) if name.startswith(("forward_", "extract_")) and callable(getattr(made, name))]


def _is_managed(module: nn.Module) -> bool:
    names = {one.__name__ for one in type(module).__mro__}
    return bool(names & {"FSDPModule", "FullyShardedDataParallel"})


def _problem(text: str, help: str, path: str = "") -> Diagnostic:
    return Diagnostic("host", text, path=path, help=(help,) if help else ())


def warnings_of(model: nn.Module, leaves: Sequence[str], bypassed: Sequence[str]) -> Iterator[str]:
    """What later steps would do to the insertions, or that other methods do not see them."""
    for kind, noun, tool in (
        (AnyBatchNorm, "BatchNorm", "convert_sync_batchnorm"),
        (nn.Linear, "Linear", "quantize_dynamic"),
    ):
        found = [path for path in leaves if isinstance(model.get_submodule(path), kind)]
        if found:
            yield f"inserted into {noun} itself at {one_of(found, 4)}: {tool} would drop it"
    for path in bypassed:
        names = other_forwards(type(model.get_submodule(path)))
        where = f"`{path}`" if path else "the model"
        yield f"{where} runs what was inserted in its forward, not in {one_of(names, 4)}"
