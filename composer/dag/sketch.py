"""A network as far as its spec is valid: complete, or the part of it that can be drawn."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from composer.dag.composition import Composition
from composer.dag.infer import Inference
from composer.dag.limits import Limits
from composer.dag.nodes.elaborate import attempt
from composer.dag.nodes.unfinished import Unfinished
from composer.dag.outputs import take_outputs
from composer.dag.rules.placing import place_what_fits
from composer.dag.rules.wiring import wire
from composer.dag.scope import Scope
from composer.errors import Diagnostic, GraphError
from composer.spec.spec import Spec


@dataclass(frozen=True)
class Sketch:
    """A network's scopes, complete or not, and their problems."""

    spec: Spec
    root: Scope
    unfinished: Mapping[str, Unfinished] = field(default_factory=dict)
    problems: tuple[Diagnostic, ...] = ()

    @classmethod
    def of(cls, graph: Composition) -> Sketch:
        """The sketch of a complete graph."""
        return cls(graph.spec, graph.root)

    @cached_property
    def problem_at(self) -> Mapping[str, Diagnostic]:
        """Path -> its first problem."""
        return {problem.path: problem for problem in reversed(self.problems)}

    @property
    def is_empty(self) -> bool:
        """Whether there is no node to draw."""
        return not self.root.nodes and not any(one.missing for one in self.unfinished.values())


def sketch(spec: Spec, problems: Sequence[Diagnostic], limits: Limits | None = None) -> Sketch:
    """The part of a spec with problems that can be composed: its scopes, and the rules that apply."""
    limits, inference = limits or Limits(), Inference()
    if spec.source is not None and not spec.nodes:
        # What makes models of other libraries imports this room, and is imported when there is one.
        unfinished: Mapping[str, Unfinished] = importlib.import_module("composer.sources").recorded_so_far(spec)
    else:
        unfinished = attempt(spec, limits, inference, lambda part: Composition.of(part, limits, inference).root)
    if "" not in unfinished:
        nothing = Scope(spec.name, "", {}, {}, {})
        return Sketch(spec, nothing, {"": Unfinished(nothing, {})}, tuple(problems))
    root = unfinished[""].scope
    if set(unfinished) == {""} and not unfinished[""].missing:
        backbone = root
        placed, _ = place_what_fits(backbone, spec, limits, inference)
        root = placed[-1] if placed else backbone
        with contextlib.suppress(GraphError):
            root = wire(root)
        with contextlib.suppress(GraphError):
            root = take_outputs(root, backbone, spec)
    return Sketch(spec, root, unfinished, tuple(problems))
