"""Puts mechanisms into a live model, and takes them out again."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml
from torch import Tensor, nn

from composer.compile.host_classes import text_of
from composer.dag.host import HostScope
from composer.dag.infer import Inference
from composer.dag.limits import Limits
from composer.dag.rules.placing import place
from composer.dag.rules.wiring import wire
from composer.dag.scope import Node
from composer.errors import Diagnostic, GraphError, InputError
from composer.foreign import is_error, named
from composer.hosts.edits.apply import undo
from composer.hosts.edits.naming import with_free_names
from composer.hosts.edits.realise import planned, realise
from composer.hosts.journal import KEY, Journal, journal_of, journals
from composer.hosts.recognised.sites import recognised
from composer.hosts.recording.record import device_of, in_float32, mapped, on_meta, record
from composer.hosts.refusal import refused, refused_hosts, warnings_of
from composer.hosts.report import Report
from composer.hosts.rules import Rules, joined, sites_of_rules, spec_of_rules, written
from composer.spec.spec import Spec

Example = Any


def insert(
    model: nn.Module, rules: Rules, example: Example, *, sites: Mapping[str, Any] | None = None, seed: int = 0
) -> Report:
    """Put mechanisms into a model, in place. Its own keys and weights stay as they are.

    model    any nn.Module; or a part of a larger one
    rules    a rule or a list of them, as a spec's `attention` writes them, or YAML text; or a mapping with `attention`,
             `blocks` that its rules use, and `sites`
    example  what the model is called with: a tensor, a tuple of arguments, a mapping of keywords, or (tuple, mapping);
             only the shapes count
    sites    site -> globs of paths, such as {"block": "stages.*.blocks.*"}, in place of those that were recognised
    seed     of the new weights, which depend on it and on each module's path
    Raises SpecError, GraphError or InputError, and the model is then as it was. Warns if a later conversion would drop
    what was inserted.
    """
    InputError.check(refused(model))
    journal = journal_of(model)
    spec = spec_of_rules(rules)
    if not spec.rules:
        label = "a rule, such as `{use: cbam, after: block}`, or a list of rules"
        raise InputError(Diagnostic("insertion", "there are no rules", label=label))
    if journal is not None:
        spec = joined(spec_of_journal(journal), spec)
    args, kwargs = called(example)
    sites = checked_sites({**(journal.sites if journal else {}), **sites_of_rules(rules), **(sites or {})})
    return _edit(model, spec, args, kwargs, sites, journal.seed if journal else seed)


def remove(model: nn.Module, rules: int | Sequence[int] | None = None) -> Report:
    """Take insertions out again: classes, children and keys are then what they were.

    rules  numbers of the rules to undo, from 0, as `rules_of` lists them; None for all
    Raises InputError if something else has changed an edited module since; the model is then as it was.
    """
    journal = _journal(model)
    if rules is None:
        before, number = set(model.state_dict()), _num_parameters(model)
        undo(model, journal.edited)
        del model.__dict__[KEY]
        after = set(model.state_dict())
        fewer = _num_parameters(model) - number
        return Report(keys=tuple(sorted(after - before)), removed=tuple(sorted(before - after)), parameters=fewer)
    gone = {rules} if isinstance(rules, int) else set(rules)
    if wrong := sorted(gone - set(range(len(journal.rules)))):
        text = f"there is no rule {wrong[0]}: the model has {len(journal.rules)}, counted from 0"
        raise InputError(Diagnostic("insertion", text))
    kept = [rule for number, rule in enumerate(journal.rules) if number not in gone]
    if not kept:
        return remove(model)
    spec = spec_of_journal(replace(journal, rules=kept))
    return _edit(model, spec, *journal.example, journal.sites, journal.seed)


def check(model: nn.Module) -> list[str]:
    """A sentence per insertion that does not run any more; empty if all do.

    A conversion may replace an edited module by one of its own (SyncBatchNorm, quantize_dynamic), and code may replace
    a whole block. Insertions into parts of the model are checked too.
    """
    found = []
    for around, journal in journals(model).items():
        root = model.get_submodule(around)
        for one in journal.edited:
            path = ".".join(filter(None, (around, one.path)))
            try:
                module = root.get_submodule(one.path)
            except AttributeError:
                found.append(f"`{path}` is gone, and what was inserted there")
                continue
            if one.text and one.text not in map(text_of, type(module).__mro__[:-1]):
                found.append(f"`{path}` is a plain {type(module).__name__} now, which does not run what was inserted")
            elif lost := [name for name in one.added if not hasattr(module, name)]:
                found.append(f"`{path}` has lost `{'`, `'.join(lost)}`")
            elif one.text and "forward" in module.__dict__:
                found.append(f"`{path}` has a `forward` on the object, which may not run what was inserted")
    return found


def inserted(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of all that was inserted, here or further inside, for an optimizer."""
    found: dict[int, nn.Parameter] = {}
    for around, journal in journals(model).items():
        root = model.get_submodule(around)
        for path in journal.added:
            holder, _, name = path.rpartition(".")
            one = getattr(root.get_submodule(holder), name)
            for parameter in [one] if isinstance(one, nn.Parameter) else one.parameters():
                found[id(parameter)] = parameter
    return list(found.values())


def rules_of(model: nn.Module) -> str:
    """The YAML that `insert` takes to rebuild what was inserted. Raises InputError if nothing was."""
    journal = _journal(model)
    besides = {"blocks": journal.blocks, "sites": journal.sites}
    more = {name: value for name, value in besides.items() if value}
    whole: Any = {**more, "attention": journal.rules} if more else journal.rules
    text: str = yaml.safe_dump(whole, sort_keys=False, default_flow_style=None)
    return text


def checked_sites(sites: Mapping[str, Any]) -> dict[str, Any]:
    """The sites. Raises InputError for what is no glob or list of globs."""
    for name, globs in sites.items():
        if not isinstance(globs, str) and not (
            isinstance(globs, list | tuple) and all(isinstance(one, str) for one in globs)
        ):
            text = f"`sites` gives `{name}` the value `{globs!r}`"
            raise InputError(Diagnostic("sites", text, label="a glob over paths, or a list of globs"))
    return dict(sites)


def _journal(model: nn.Module) -> Journal:
    journal = journal_of(model)
    if journal is None:
        inside = [path for path, _ in journals(model).items()]
        help = (f"it was inserted into `{inside[0]}`: give that module",) if inside else ()
        raise InputError(Diagnostic("insertion", "nothing was inserted into this model", help=help))
    return journal


def spec_of_journal(journal: Journal) -> Spec:
    """A Spec with the rules of a journal."""
    return spec_of_rules({"attention": journal.rules, **({"blocks": journal.blocks} if journal.blocks else {})})


def called(example: Example) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments of an example. Raises InputError."""
    if isinstance(example, tuple) and len(example) == 2 and isinstance(example[1], dict):
        first = example[0]
        return (first if isinstance(first, tuple) else (first,)), dict(example[1])
    if isinstance(example, Mapping):
        return (), dict(example)
    if isinstance(example, tuple):
        return example, {}
    if isinstance(example, Tensor | list):
        return (example,), {}
    text = f"`example` is a {type(example).__name__}"
    label = "a tensor, a tuple of arguments, a mapping of keywords, or both"
    raise InputError(Diagnostic("insertion", text, label=label))


def _edit(
    model: nn.Module, spec: Spec, args: tuple[Any, ...], kwargs: dict[str, Any], sites: Mapping[str, Any], seed: int
) -> Report:
    """The model with exactly these rules, whatever it had before."""
    InputError.check(refused(model))
    earlier = journal_of(model)
    twin, before, (args, kwargs) = recorded_plain(model, args, kwargs, sites)
    inference = Inference()
    placed = wire(place(before, spec, Limits(), inference)[-1])
    assert isinstance(placed, HostScope)
    after = with_free_names(before, placed, twin)

    def allowed(paths: Mapping[str, bool]) -> None:
        known = {one.path for one in earlier.edited} if earlier else set()
        GraphError.check(refused_hosts(model, {path: one for path, one in paths.items() if path not in known}))

    made = planned(twin, before, after, args, kwargs, allowed)
    keys, number = list(model.state_dict()), _num_parameters(model)
    kept = _kept(model, earlier, made.added, twin)
    edited = realise(model, made, seed, kept, earlier.edited if earlier else [])
    blocks = {name: origin.document.nearest(origin.path).plain() for name, origin in spec.block_origins.items()}
    model.__dict__[KEY] = Journal(written(spec), blocks, dict(sites), seed, (args, kwargs), edited)
    notes = tuple(warnings_of(model, made.leaves, made.bypassed))
    for note in notes:
        warnings.warn(note, stacklevel=3)
    now = model.state_dict()
    new, gone = (tuple(one for one in names if one not in others) for names, others in ((now, set(keys)), (keys, now)))
    known = set(earlier.added) if earlier else set()
    places = tuple(path for path in made.places if path not in known)
    return Report(places, new, gone, _num_parameters(model) - number, notes)


def recorded_plain(
    model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], sites: Mapping[str, Any]
) -> tuple[nn.Module, HostScope, tuple[tuple[Any, ...], dict[str, Any]]]:
    """A model without its insertions: a copy on the meta device, its graph, and the arguments that the copy takes.

    Raises InputError if it cannot be called with the arguments.
    """
    try:
        twin, scope, given = _recorded(model, args, kwargs, real=False)
    except Exception as error:
        if not is_error(error):
            raise
        # It may read values of tensors, as detectors do.
        twin, scope, given = _recorded_with_values(model, args, kwargs)
    scope, findings = recognised(scope, sites)
    scope = replace(scope, findings=findings.lines, twin=twin, own=frozenset(scope.nodes), given=scope.outputs)
    return twin, scope, given


def _recorded(
    model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, real: bool
) -> tuple[nn.Module, HostScope, tuple[tuple[Any, ...], dict[str, Any]]]:
    twin = model if real else on_meta(model)
    if twin is model:
        twin = copy.deepcopy(model)
    # Its own journal, which has copies of the modules that were taken out.
    if (copied := journal_of(twin)) is not None:
        undo(twin, copied.edited)
        del twin.__dict__[KEY]
    # Shapes are those of any dtype, and new modules are made in float32.
    twin.eval().float()
    device = device_of(twin)
    given = in_float32(mapped(tuple(args), device)), in_float32(mapped(dict(kwargs), device))
    return twin, record(twin, *given, real=real), given


def _recorded_with_values(
    model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[nn.Module, HostScope, tuple[tuple[Any, ...], dict[str, Any]]]:
    try:
        return _recorded(model, args, kwargs, real=True)
    except Exception as error:
        if not is_error(error):
            raise
        text = f"the model cannot be recorded with this example: {named(error)}"
        help = (f"its forward takes {inspect.signature(model.forward)}; one that takes a mapping is given `({{…}},)`",)
        raise InputError(Diagnostic("insertion", text, label="what the model is called with", help=help)) from error


def _kept(model: nn.Module, earlier: Journal | None, added: Mapping[str, Node], twin: nn.Module) -> dict[str, Any]:
    """What an earlier insertion made and the new plan has again, by path: the same class and shapes."""
    found: dict[str, Any] = {}
    for path in earlier.added if earlier else ():
        holder, _, name = path.rpartition(".")
        one = getattr(model.get_submodule(holder), name)
        if path in added and _form(one) == _form(getattr(twin.get_submodule(holder), name)):
            found[path] = one
    return found


def _form(one: Any) -> Any:
    if isinstance(one, nn.Parameter):
        return tuple(one.shape)
    return repr(one), [(name, tuple(tensor.shape)) for name, tensor in one.state_dict().items()]


def _num_parameters(model: nn.Module) -> int:
    return sum(one.numel() for one in model.parameters())
