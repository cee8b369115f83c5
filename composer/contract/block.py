"""A block of a plugin in YAML as a mechanism with a module of its own, so that the checks can run on it."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter
from typing import Any

from torch import nn

from composer.compile.emit import make
from composer.contract.subject import SIDES, Refusal, Subject
from composer.dag.infer import Inference
from composer.dag.limits import Limits
from composer.dag.nodes.block import with_attention
from composer.dag.nodes.elaborate import block_scope
from composer.dag.nodes.step import Step, Taken
from composer.dag.scope import Node
from composer.dag.tensor import BATCH, TensorSpec
from composer.errors import Diagnostic, Mistakes
from composer.options import options_model
from composer.registry import CONV_FACTS, BlockEntry, Entry, ModuleEntry

_AXES: dict[str, tuple[str, ...]] = {
    "b c h w": ("channels", "height", "width"),
    "b h w c": ("height", "width", "channels"),
    "b n c": ("tokens", "channels"),
}


def mechanism_of(entry: Entry) -> ModuleEntry:
    """A mechanism's entry; for a block, that of a mechanism that does the same."""
    if isinstance(entry, BlockEntry):
        return as_mechanism(entry)
    assert isinstance(entry, ModuleEntry)
    return entry


def as_mechanism(entry: BlockEntry) -> ModuleEntry:
    """The entry of a mechanism that computes what the block does. Its factory takes the sizes of what arrives."""
    layout = entry.block.layout or "b c h w"
    settings = {name: entry.block.args[name] for name in entry.facts if name in CONV_FACTS and name != "in_channels"}
    written = {name: field for name, field in entry.options.model_fields.items() if name not in entry.facts}
    fields = {name: (Any, ... if field.is_required() else field.default) for name, field in written.items()}
    facts: dict[str, Any] = dict.fromkeys((*_AXES[layout], *entry.facts), Parameter.empty)
    return ModuleEntry(
        name=entry.name,
        kind=entry.kind,
        factory=_factory(entry, layout),
        options=options_model(entry.name, fields),
        inputs=entry.inputs,
        tensors=entry.tensors,
        plugin=entry.plugin,
        file=entry.file,
        line=entry.line,
        module=nn.Module,
        facts=facts | {name: value for name, value in settings.items() if value is not None},
        settings=options_model(entry.name, {name: (Any, value) for name, value in settings.items()}),
        works_on=layout,
        replaces="conv" if entry.replaces_conv else None,
        group=entry.group,
    )


def mistakes(subject: Subject) -> tuple[Diagnostic, ...]:
    """The problems of a block that no size of a place mends, at their lines; none for what a check can run."""
    found: tuple[Diagnostic, ...] = ()
    for side in SIDES:
        try:
            subject.build(side, side)
        except Refusal as refusal:
            stopped = refusal.__cause__.__cause__ if refusal.__cause__ else None
            found = stopped.diagnostics if isinstance(stopped, Mistakes) else ()
        else:
            return ()
    return found


def _factory(entry: BlockEntry, layout: str) -> Callable[..., nn.Module]:
    def build(**arguments: Any) -> nn.Module:
        shape = (BATCH, *(arguments[fact] for fact in _AXES[layout]))
        taken = (Taken("", TensorSpec(shape, layout)),) * len(entry.tensors)
        step = Step(entry.name, entry.name, entry.origin, (taken,), {}, 0)
        args = entry.block.args
        # A default may be an expression, which the block itself evaluates.
        given = {name: value for name, value in arguments.items() if name in args and value != args[name]}
        try:
            scope = block_scope(entry.library, entry.name, given, step, Limits(), Inference())
            scope = with_attention(scope, entry.origin)
        except Mistakes as error:
            raise ValueError(error.diagnostics[0].message) from error
        node = Node(entry.name, entry.name, entry.origin, (), scope, next(map(scope.tensor, scope.outputs.values())))
        module: nn.Module = make(node, seed=0)
        return module

    build.__doc__ = entry.doc
    return build
