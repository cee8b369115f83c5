"""Edits a live model so that it has exactly some rules, whatever it had before; what it has already stays."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from composer.dag.host import HostScope
from composer.dag.infer import Inference
from composer.dag.limits import Limits
from composer.dag.operation import Operation
from composer.dag.rules.placing import place
from composer.dag.rules.wiring import wire
from composer.dag.scope import Node
from composer.errors import Diagnostic, GraphError, InputError
from composer.hosts.edits.naming import with_free_names
from composer.hosts.edits.plan import Plan
from composer.hosts.edits.realise import planned, realise
from composer.hosts.journal import KEY, Journal, journal_of
from composer.hosts.marks import marked
from composer.hosts.plain import recorded_plain
from composer.hosts.refusal import refused, refused_hosts, warnings_of
from composer.hosts.report import Report
from composer.hosts.rules import spec_of_journal, written
from composer.spec.spec import Spec


# What is made in inference mode could never be trained.
@torch.inference_mode(False)
def rebuilt(
    model: nn.Module,
    spec: Spec,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    sites: Mapping[str, Any],
    seed: int,
    were: Sequence[int] | None = None,
) -> Report:
    """Give the model exactly the rules of a Spec. Raises GraphError or InputError, and the model is then as it was.

    args, kwargs  what the model is recorded with
    were          the number that each rule had before, if rules are only taken out: what the others put in must then
                  stay; None if the rules that the model has come first, and new ones follow
    """
    InputError.check(refused(model))
    earlier = journal_of(model)
    twin, before, (args, kwargs) = recorded_plain(model, args, kwargs, sites)
    after = with_rules(before, spec, twin)
    old = with_rules(before, spec_of_journal(earlier), twin) if earlier else None

    def allowed(paths: Mapping[str, bool]) -> None:
        known = {one.path for one in earlier.edited} if earlier else set()
        GraphError.check(refused_hosts(model, {path: one for path, one in paths.items() if path not in known}))

    made = planned(twin, before, after, args, kwargs, allowed)
    keys, number = list(model.state_dict()), num_parameters(model)
    kept: dict[str, Any] = {}
    if earlier is not None and old is not None:
        pairs = _same_nodes(old, after, were)
        kept = _kept(model, earlier, made, twin, pairs)
        if were is not None:
            InputError.check(_made_anew(made, kept, pairs, after))
    edited = realise(model, made, seed, kept, earlier.edited if earlier else [])
    blocks = {name: origin.document.nearest(origin.path).plain() for name, origin in spec.block_origins.items()}
    model.__dict__[KEY] = Journal(
        written(spec), blocks, dict(sites), seed, (args, kwargs), edited, made.nodes, dict(spec.vars)
    )
    notes = tuple(warnings_of(model, made.leaves, made.bypassed))
    for note in notes:
        warnings.warn(note, stacklevel=3)
    now = model.state_dict()
    new, gone = (tuple(one for one in names if one not in others) for names, others in ((now, set(keys)), (keys, now)))
    known = set(earlier.added) if earlier else set()
    places = tuple(path for path in made.places if path not in known)
    return Report(places, new, gone, num_parameters(model) - number, notes)


def num_parameters(model: nn.Module) -> int:
    """Learnable numbers of a model."""
    return sum(one.numel() for one in model.parameters())


def with_rules(before: HostScope, spec: Spec, twin: nn.Module) -> HostScope:
    """A recorded model with the rules of a Spec, its nodes under the names that their modules get. Raises GraphError.

    twin  the model that was recorded
    """
    placed = wire(place(before, spec, Limits(), Inference())[-1])
    assert isinstance(placed, HostScope)
    return with_free_names(before, placed, twin)


# Path of a node -> the node that the same rule put at the same place before.
_Pairs = Mapping[str, Node]


def _same_nodes(old: HostScope, new: HostScope, were: Sequence[int] | None) -> _Pairs:
    known = dict(marked(old))
    found = {}
    for mark, node in marked(new):
        number = mark.rule if were is None else were[mark.rule]
        if (one := known.get(mark._replace(rule=number))) is not None:
            found[node.path] = one
    return found


def _kept(model: nn.Module, earlier: Journal, made: Plan, twin: nn.Module, pairs: _Pairs) -> dict[str, Any]:
    """What an earlier insertion made and the new plan has again, by its new path: the same class and shapes."""
    nodes = earlier.nodes or {path: path for path in earlier.added}
    paths = {node: path for path, node in nodes.items()}
    found: dict[str, Any] = {}
    for path, node in made.nodes.items():
        if node not in pairs or (was := paths.get(pairs[node].path)) is None:
            continue
        one = _at(model, was)
        if _form(one) == _form(_at(twin, path)):
            found[path] = one
    return found


def _made_anew(made: Plan, kept: Mapping[str, Any], pairs: _Pairs, after: HostScope) -> list[Diagnostic]:
    """The problem of an insertion that would not be what it was, without those that are taken out."""
    nodes = {node.path: node for _, node in marked(after)}
    for path, node in made.nodes.items():
        if path not in kept or _arguments(nodes[node]) != _arguments(pairs[node]):
            text = f"`{path}` cannot stay what it is without what is taken out"
            label = "the whole rule that put it in, or all rules"
            return [Diagnostic("insertion", text, label=label, path=path, help=("nothing was changed",))]
    return []


def _arguments(node: Node) -> Any:
    return node.content.arguments if isinstance(node.content, Operation) else None


def _at(model: nn.Module, path: str) -> Any:
    """The module or parameter at a path."""
    holder, _, name = path.rpartition(".")
    return getattr(model.get_submodule(holder), name)


def _form(one: Any) -> Any:
    if isinstance(one, nn.Parameter):
        return tuple(one.shape)
    return repr(one), [(name, tuple(tensor.shape)) for name, tensor in one.state_dict().items()]
