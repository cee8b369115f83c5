"""A network inside another: composed alone, with its own rules and outputs, then put under the path of its node."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from composer.amounts import plural
from composer.dag.nodes.moving import under
from composer.dag.nodes.reader import Reader
from composer.dag.nodes.step import Step, Stop
from composer.dag.scope import Scope
from composer.dag.tensor import BATCH
from composer.errors import ComposerError, Diagnostic
from composer.spec.check import check_part
from composer.spec.libraries import with_inputs
from composer.spec.load import settle_part
from composer.spec.model import InputSpec, NodeSpec
from composer.spec.part import vars_key
from composer.spec.spec import Part, Spec


@dataclass
class Embedding:
    """Makes the scopes of parts; equal networks are composed once.

    compose  gives the finished network of a spec; None in a block that a rule uses, which can hold no network
    """

    reader: Reader
    compose: Callable[[Spec], Scope] | None
    known: dict[Hashable, Scope] = field(default_factory=dict)

    def scope(self, name: str, part: Part, spec: NodeSpec, step: Step) -> Scope:
        """The scope of a part at a node. Raises Stop."""
        if not self.reader.spec.is_sound(part.origin):
            raise Stop
        if problems := list(check_part(part, name, spec.args, step.origin)):
            raise self.reader.note(*problems)
        if self.compose is None:
            text = "a block that a rule uses cannot hold a network"
            raise self.reader.note(step.problem("place", text, "a block of operations and blocks"))
        inputs = dict(zip(part.spec.inputs, self.arriving(part, step), strict=True))
        values = self.values(name, part, spec, step, inputs)
        key = (name, repr(values), *step.tensors, *(tensor.grid for tensor in step.tensors))
        if key not in self.known:
            try:
                places = {var: step.origin / vars_key(name) / var for var in spec.args}
                settled = _in_eval(with_inputs(settle_part(part, values, places), inputs))
                self.known[key] = replace(self.compose(settled), network=settled)
            except ComposerError as error:
                raise self.reader.note(*(_within(step.path, part, one) for one in error.diagnostics)) from error
        alone = self.known[key]
        self.reader.spend(step, nodes=alone.num_nodes, parameters=alone.num_parameters)
        block = part.spec.name if "/" in name else name
        scope = under(alone, step.path, self.reader.spec.first_rule_of(name))
        return replace(scope, block=block, named=False, end=None)

    def arriving(self, part: Part, step: Step) -> list[InputSpec]:
        """The inputs of the part's network with the shapes that arrive. Raises Stop."""
        inputs = part.spec.inputs
        if len(step.tensors) != len(inputs):
            wanted = f"{plural(len(inputs), 'input')} ({', '.join(inputs)})"
            text = f"`{part.spec.name}` takes {wanted}, found {len(step.tensors)}"
            raise self.reader.note(step.problem("arity", text, f"`from: [{', '.join(inputs)}]`"))
        found = []
        for (name, written), tensor in zip(inputs.items(), step.tensors, strict=True):
            if tensor.layout != written.layout or tensor.shape[0] != BATCH:
                text = f"`{name}` of `{part.spec.name}` is `{written.layout}`, found `{tensor.layout}` ({tensor})"
                raise self.reader.note(step.problem("misfit", text, f"a tensor `{written.layout}`"))
            # A grid of 0×0 is that of prefix tokens alone, which no input has.
            grid = list(tensor.grid[:2]) if tensor.grid is not None and tensor.grid.is_map else None
            arrives = {"shape": list(tensor.shape[1:]), "layout": written.layout, "grid": grid}
            found.append(written.model_copy(update=arrives))
        return found

    def values(self, name: str, part: Part, spec: NodeSpec, step: Step, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the part's vars. Raises Stop."""
        facts = {one: tensor.facts for one, tensor in zip(inputs, step.tensors, strict=True)}
        given = self.reader.value(step, vars_key(name), spec.args)
        if "/" in name:
            return dict(given)
        names = {**self.reader.spec.vars, **facts}
        origin = part.origin / "vars"
        own = {var: value for var, value in part.written.vars.items() if var not in given}
        return {var: self.reader.evaluate(one, names, origin / var, step.path) for var, one in own.items()} | given


def _in_eval(spec: Spec) -> Spec:
    """The network without outputs that only its own training has."""
    left = {name: path for name, path in (spec.outputs or {}).items() if name not in spec.training_outputs}
    return replace(spec, outputs=left) if spec.training_outputs else spec


def _within(path: str, part: Part, problem: Diagnostic) -> Diagnostic:
    """A problem of a part, at its path in the whole network; one of the text around the part stays as it is."""
    source = problem.location and problem.location.source
    if source is None or source is part.origin.document.source:
        return problem
    return replace(problem, path=f"{path}.{problem.path}" if problem.path else path)
