"""Turns rules on a recorded tree into edits of the live model: all of them, or none."""

from __future__ import annotations

import contextlib
import dataclasses as dc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from composer.compile.emit import make
from composer.compile.lend import lend
from composer.dag.host import HostScope
from composer.dag.scope import Node, Scope
from composer.errors import Diagnostic, GraphError, one_of
from composer.hosts.edits.apply import apply, restore, snapshot, undo, whereabouts
from composer.hosts.edits.plan import Plan, plan
from composer.hosts.journal import Edited
from composer.hosts.recording.nested import tensors_in
from composer.hosts.recording.record import device_of


def planned(
    twin: nn.Module,
    before: HostScope,
    after: HostScope,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    allowed: Callable[[Mapping[str, bool]], None] | None = None,
) -> Plan:
    """The plan for a model, proven on its twin. Raises GraphError.

    twin          the model on the meta device, in evaluation mode; it is edited
    before, after its tree, without and with rules
    args, kwargs  on the twin's device, as for `before`
    allowed       raises an error if modules cannot be edited: path -> whether it gets another class
    """
    plain = _shapes(twin, args, kwargs)
    made = plan(twin, before, after, args, kwargs)
    if allowed is not None:
        allowed({path: bool(edit.text) for path, edit in made.edits.items()})
    device = device_of(twin)
    with torch.device(device):
        modules = {path: make(node, 0) for path, node in made.added.items()}
    replaced = [path for path in modules if _has(twin, path)]
    apply(twin, list(made.edits.values()), modules)
    _lend(twin, made)
    twin.eval()
    counted: Counter[str] = Counter()
    with _counting({path: one for path, one in modules.items() if isinstance(one, nn.Module)}, counted):
        try:
            shapes = _shapes(twin, args, kwargs)
        except Exception as error:
            problem = _unlike(f"the edited model cannot run: {type(error).__name__}: {error}")
            if replaced and isinstance(error, TypeError):
                text = f"what replaces {one_of(replaced, 3)} is called as that was, with the same arguments"
                problem = dc.replace(problem, help=(f"{text}; `after` takes the output alone", *problem.help))
            raise GraphError(problem) from error
    for path, module in modules.items():
        wanted = made.calls[path]
        if isinstance(module, nn.Module) and counted[path] != wanted:
            text = f"`{path}` would run {counted[path]} times in a call of the model, not {wanted}"
            raise GraphError(_unlike(text, path))
    # What reads values may give another number of boxes.
    known = device == "meta" and before.outputs == after.outputs
    if known and shapes != plain:
        raise GraphError(_unlike(f"the edited model gives {shapes}, not {plain}"))
    return made


def _has(model: nn.Module, path: str) -> bool:
    """Whether something stands at a path of a model, and is not None."""
    holder, _, name = path.rpartition(".")
    return getattr(model.get_submodule(holder), name, None) is not None


def _lend(model: nn.Module, made: Plan) -> None:
    """Tell what was inserted, and shares the module of another, whom it calls."""
    lend(model, Scope("", "", {}, made.added, {}))


def _unlike(text: str, path: str = "") -> Diagnostic:
    return Diagnostic("insertion", text, path=path, help=("nothing was changed",))


def _shapes(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[tuple[Any, tuple[int, ...]]]:
    with torch.device(device_of(model)), torch.no_grad():
        return [(where, tuple(one.shape)) for where, one in tensors_in(model(*args, **kwargs))]


@contextlib.contextmanager
def _counting(modules: Mapping[str, nn.Module], counted: Counter[str]) -> Iterator[None]:
    """Counts the calls of modules."""

    def count(path: str) -> Any:
        return lambda *_: counted.update([path])

    handles = [one.register_forward_hook(count(path)) for path, one in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def realise(
    model: nn.Module, made: Plan, seed: int, kept: Mapping[str, Any], earlier: Sequence[Edited]
) -> list[Edited]:
    """Make the edits in the live model; what undoes them. On an error the model is as it was.

    made     the plan, proven on a twin
    seed     of new modules
    kept     path -> module or parameter that an earlier insertion made, and that stays
    earlier  what was edited before, which the plan contains again
    """
    fresh = {path: kept[path] if path in kept else _made(model, path, node, seed) for path, node in made.added.items()}
    before = snapshot(model, [*(one.path for one in earlier), *made.edits])
    try:
        undo(model, earlier)
        edited = apply(model, list(made.edits.values()), fresh)
        _lend(model, made)
    except BaseException:
        restore(before)
        raise
    return edited


def _made(model: nn.Module, path: str, node: Node, seed: int) -> Any:
    """The module or parameter of an inserted node: where its host is, of its dtype, in its mode."""
    holders = list(_around(model, path))
    device, dtype = whereabouts(*holders)
    made = make(node, seed)
    if isinstance(made, nn.Module):
        return made.to(device=device, dtype=dtype).train(holders[0].training)
    return nn.Parameter(made.detach().to(device=device, dtype=dtype), made.requires_grad)


def _around(model: nn.Module, path: str) -> Iterator[nn.Module]:
    """The modules around a path, the nearest first."""
    names = path.split(".")[:-1]
    for length in range(len(names), -1, -1):
        yield model.get_submodule(".".join(names[:length]))
