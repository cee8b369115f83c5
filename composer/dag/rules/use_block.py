"""A block of a spec, as something that a rule can insert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import Parameter
from typing import Any

from composer.dag.limits import Limits
from composer.dag.nodes.block import tensor_arguments, with_attention
from composer.dag.nodes.elaborate import block_scope
from composer.dag.nodes.step import Step, Taken
from composer.dag.rules.insertion import Insertion, Made
from composer.dag.rules.replaced import conv_settings, linear_settings
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic, Mistakes, one_of
from composer.registry import CONV_FACTS, BlockEntry
from composer.spec.model import BlockSpec
from composer.spec.names import unknown_args
from composer.spec.origin import Origin
from composer.spec.spec import Spec

# What a convolution tells; the channels that arrive are known anywhere.
_SETTINGS = tuple(fact for fact in CONV_FACTS if fact != "in_channels")


@dataclass(frozen=True)
class UsedBlock:
    """A block. Arguments named like facts of a place are filled in from the place unless the rule writes them."""

    spec: Spec
    name: str
    limits: Limits
    entry: BlockEntry | None = None
    prefix: bool = False

    @cached_property
    def block(self) -> BlockSpec:
        return self.spec.blocks[self.name]

    @property
    def replaces(self) -> str | None:
        return "conv" if "out_channels" in self.block.args else None

    @property
    def tensors(self) -> tuple[str, ...]:
        return tuple(self.block.inputs)

    @property
    def inputs(self) -> tuple[int, int | None]:
        return len(self.block.inputs), len(self.block.inputs)

    @property
    def works_on(self) -> str | None:
        return self.block.layout

    @property
    def layouts(self) -> tuple[str | None, ...]:
        return () if self.block.layout is None else (self.block.layout,)

    def problems(self, written: Mapping[str, Any], origin: Origin) -> Sequence[Diagnostic]:
        return unknown_args(self.name, self.block.args, written, origin)

    def arguments(
        self, insertion: Insertion, host: Node, inputs: Sequence[TensorSpec], written: Mapping[str, Any], index: int
    ) -> dict[str, Any]:
        args = self.block.args
        known = tensor_arguments(self.block, insertion.adapted(self, inputs, host)[0])
        if insertion.rule.position in ("replace", "beside"):
            known |= self.settings(host, inputs[0], written)
        given = {**known, **written}
        lacking = [name for name, default in args.items() if default is None and given.get(name) is None]
        if lacking and set(lacking) <= set(_SETTINGS):
            raise insertion.stands_in(self.name, lacking, host)
        if lacking:
            label, here = f"`with: {{{lacking[0]}: …}}`", insertion.origin
            raise Mistakes(here.problem("missing-arg", f"block `{self.name}` needs {one_of(lacking)}", label))
        return given

    def settings(self, host: Node, tensor: TensorSpec, written: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that the block takes over from the convolution that it replaces."""
        args = self.block.args
        wanted = {name: Parameter.empty if args[name] is None else args[name] for name in _SETTINGS if name in args}
        if host.kind == "conv" or host.replaces is not None:
            found = conv_settings(host, wanted, written)
        elif host.kind == "linear" and (not self.layouts or tensor.layout in self.layouts):
            found = {name: value for name, value in linear_settings(host).items() if name in wanted}
        else:
            return {}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}

    def unlike(
        self, insertion: Insertion, host: Node, arriving: TensorSpec, wanted: TensorSpec
    ) -> Sequence[Diagnostic]:
        return ()

    def content(
        self, insertion: Insertion, arguments: Mapping[str, Any], tensors: Sequence[TensorSpec], at: str
    ) -> Made:
        origin = insertion.origin
        taken = tuple(Taken("", tensor) for tensor in tensors)
        step = Step(at.rpartition(".")[2], at, origin, (taken,), {}, at.count("."))
        try:
            scope = block_scope(self.spec, self.name, arguments, step, self.limits, insertion.infer)
            scope = with_attention(scope, self.spec.block_origins[self.name])
        except Mistakes as error:
            used = [f"rule {insertion.number + 1} uses `{self.name}` at {origin.location()}"]
            if self.block.layout is None and (layout := tensors[0].layout) in ("b n c", "b h w c"):
                used.append(f"the place has `{layout}`: with `layout: b c h w`, block `{self.name}` gets it as a map")
            raise Mistakes(*(replace(one, help=(*one.help, *used)) for one in error.diagnostics)) from error
        scope = replace(_inside(scope, insertion.number), entry=self.entry)
        return scope, next(map(scope.tensor, scope.outputs.values()))


def _inside(scope: Scope, number: int) -> Scope:
    """The scope with its nodes, also those of inner scopes, as nodes of a rule."""
    nodes = {}
    for name, node in scope.nodes.items():
        content = _inside(node.content, number) if isinstance(node.content, Scope) else node.content
        nodes[name] = replace(node, content=content, rule=number, role="inside")
    return replace(scope, nodes=nodes)
