"""Changes a live model, and undoes it: classes, children and attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from composer.compile.host_classes import base_of, hosted_class, text_of
from composer.dag.scope import Node
from composer.errors import Diagnostic, InputError
from composer.hosts.journal import AROUND, Edited
from composer.torch_private import children, parameters


@dataclass
class ModuleEdit:
    """What happens to a module.

    path  in the model
    text  of the subclass that it gets; empty if it keeps its class
    add   name -> node of a module or parameter that is put in
    drop  names of children that are taken out
    around  path of the module around it whose children it runs; None if it runs its own
    """

    path: str
    text: str = ""
    add: dict[str, Node] = field(default_factory=dict)
    drop: list[str] = field(default_factory=list)
    around: str | None = None


@dataclass(frozen=True)
class _State:
    """A module, and what edits of it may change."""

    module: nn.Module
    made: type[nn.Module]
    children: dict[str, nn.Module | None]
    parameters: dict[str, nn.Parameter | None]
    attributes: dict[str, Any]


def snapshot(model: nn.Module, paths: Iterable[str]) -> list[_State]:
    """What the modules at these paths are now, as far as they exist, for `restore`."""
    known = dict(model.named_modules())
    found = (known[path] for path in dict.fromkeys(paths) if path in known)
    return [_State(one, type(one), dict(children(one)), dict(parameters(one)), dict(one.__dict__)) for one in found]


def restore(states: Iterable[_State]) -> None:
    """Make modules what they were: the same objects under the same names, in the same order."""
    for state in states:
        module = state.module
        module.__class__ = state.made
        module.__dict__.clear()
        module.__dict__.update(state.attributes)
        for own, old in ((children(module), state.children), (parameters(module), state.parameters)):
            own.clear()
            own.update(old)  # type: ignore[arg-type]


def apply(model: nn.Module, edits: Sequence[ModuleEdit], made: Mapping[str, Any]) -> list[Edited]:
    """Make the edits, and return what undoes them. On an error nothing is changed.

    made  path of a node -> its module or parameter
    """
    before = snapshot(model, [edit.path for edit in edits])
    done: list[Edited] = []
    try:
        for edit in edits:
            done.append(Edited(edit.path))
            _edit(model.get_submodule(edit.path), edit, made, done[-1])
            if edit.around is not None:
                model.get_submodule(edit.path).__dict__[AROUND] = [model.get_submodule(edit.around)]
                done[-1].around = True
    except BaseException:
        restore(before)
        raise
    return done


def _edit(module: nn.Module, edit: ModuleEdit, made: Mapping[str, Any], done: Edited) -> None:
    own = children(module)
    done.order, done.training = tuple(own), module.training
    for name in (*edit.drop, *edit.add):
        if own.get(name) is not None and name not in done.gone:
            done.gone[name] = own[name]  # type: ignore[assignment]
    for name in edit.drop:
        own.pop(name, None)
    for name, node in edit.add.items():
        one = made[node.path]
        if name in module.__dict__:
            done.emptied[name] = module.__dict__.pop(name)
        if isinstance(one, nn.Parameter):
            module.register_parameter(name, one)
        elif name in own:
            # In the place of what it replaces, so that loops keep their order.
            own[name] = one
        else:
            module.add_module(name, one)
        done.added = (*done.added, name)
    if edit.text:
        module.__class__ = hosted_class(type(module), edit.text)
        done.text = edit.text


def undo(model: nn.Module, edited: Iterable[Edited]) -> None:
    """Put back classes, children in their order, attributes. Raises InputError before anything is changed."""
    found = list(edited)
    modules = [_found(model, one) for one in found]
    for one, module in reversed(list(zip(found, modules, strict=True))):
        if one.text:
            module.__class__ = base_of(type(module))
        own, tensors = children(module), parameters(module)
        for name in one.added:
            own.pop(name, None)
            tensors.pop(name, None)
        if one.around:
            module.__dict__.pop(AROUND, None)
        for name, value in one.emptied.items():
            module.__dict__[name] = value
        if one.gone:
            now = {**own, **{name: _beside(old, module, one.training) for name, old in one.gone.items()}}
            names = dict.fromkeys([*(name for name in one.order if name in now), *now])
            own.clear()
            own.update((name, now[name]) for name in names)


def _found(model: nn.Module, one: Edited) -> nn.Module:
    try:
        module = model.get_submodule(one.path)
    except AttributeError as error:
        text = f"`{one.path}` is gone, which was edited: another module stands there or around it"
        raise InputError(Diagnostic("insertion", text, label="the module that was edited")) from error
    if one.text and text_of(type(module)) != one.text:
        now = type(module)
        text = f"`{one.path or 'the model'}` is a {now.__name__} that something else has changed since"
        help = ("undo what was done later first: fully_shard, parametrize, another insertion",)
        raise InputError(Diagnostic("insertion", text, label="the class that the insertion made", help=help))
    return module


def _beside(old: nn.Module, host: nn.Module, was: bool | None) -> nn.Module:
    """A module that comes back, where its host is now; `was`: the mode that the host had with it."""
    device, dtype = whereabouts(host)
    if whereabouts(old) not in ((device, dtype), (None, None)):
        old = old.to(device=device, dtype=dtype)
    # In an unchanged host it keeps modes of its own, such as those of a frozen BatchNorm.
    return old if host.training in (was, old.training) else old.train(host.training)


def whereabouts(*modules: nn.Module) -> tuple[torch.device | None, torch.dtype | None]:
    """Device and floating dtype of the first of these modules that has tensors; None if none has."""
    for module in modules:
        tensors: list[Tensor] = [*module.parameters(), *module.buffers()]
        if tensors:
            floating = next((one for one in tensors if one.is_floating_point()), None)
            return tensors[0].device, None if floating is None else floating.dtype
    return None, None
