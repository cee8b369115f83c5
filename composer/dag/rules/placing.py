"""Applies attention rules to a tree of scopes: puts nodes before, after, in place of or beside the backbone's nodes."""

from __future__ import annotations

import contextlib
import keyword
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from composer import registry
from composer.dag.host import HostScope
from composer.dag.infer import Inference, Misfit
from composer.dag.limits import Limits
from composer.dag.names import RESERVED
from composer.dag.nodes.sharing import followed, followed_elsewhere
from composer.dag.rules.advice import layers_between
from composer.dag.rules.draft import Draft
from composer.dag.rules.insertion import Insertion, Used
from composer.dag.rules.lending import Lending
from composer.dag.rules.match import Candidate, match
from composer.dag.rules.results import Result, required
from composer.dag.rules.spot import Spot, goes_inside, is_at_an_end, spot_of
from composer.dag.rules.taking import Tensors, adapting
from composer.dag.rules.use import used
from composer.dag.scope import Bound, Node, Scope
from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic, GraphError, Mistakes, one_of
from composer.spec.model import Rule
from composer.spec.origin import Origin, evaluate
from composer.spec.spec import Spec


def place(root: Scope, spec: Spec, limits: Limits, inference: Inference) -> list[Scope]:
    """The network after each rule, in order. Raises GraphError with the problems of all rules."""
    found, problems = place_what_fits(root, spec, limits, inference)
    if problems:
        raise GraphError(problems)
    return found


def place_what_fits(
    root: Scope, spec: Spec, limits: Limits, inference: Inference
) -> tuple[list[Scope], list[Diagnostic]]:
    """The network after each rule that can be applied, and the problems of the other rules."""
    found: list[Scope] = []
    problems: list[Diagnostic] = []
    for number, (rule, origin) in enumerate(spec.rules, spec.rules_inside):
        try:
            insertion = Insertion(rule, origin, number, inference)
            entry, said = used(rule, origin, spec, limits)
            if not spec.is_sound(origin):
                problems += said
                continue
            placed = _Placement(rule, origin, spec.vars, insertion, Tensors(rule, origin, root), said).apply(
                root, entry
            )
        except GraphError as error:
            problems += error.diagnostics
            continue
        if problem := limits.exceeded(placed.num_nodes, placed.num_parameters, origin):
            return found, [problem]
        root = placed
        found.append(root)
    return found, problems


@dataclass
class _Placement:
    """The application of a rule."""

    rule: Rule
    origin: Origin
    vars: Mapping[str, Any]
    insertion: Insertion
    tensors: Tensors
    problems: list[Diagnostic] = field(default_factory=list)
    lending: Lending = field(init=False)

    def apply(self, root: Scope, entry: Used | None) -> Scope:
        try:
            matched = match(self.rule, self.origin, root, self.vars)
        except GraphError as error:
            raise GraphError([*self.problems, *error.diagnostics]) from error
        if self.problems:
            raise GraphError(self.problems)
        self.lending = Lending.of(self.rule, self.origin, self.insertion.infer, root)
        by_scope: dict[str, list[tuple[Node, dict[str, Any], int]]] = {}
        for index, (one, facts) in enumerate(self.owners(matched)):
            inside = goes_inside(one.node, one.scope, self.rule)
            by_scope.setdefault(one.node.path if inside else one.scope.path, []).append((one.node, facts, index))
        for path in list(by_scope):
            # The scopes around an edited scope change too.
            while path:
                path = path.rpartition(".")[0]
                by_scope.setdefault(path, [])
        result = self.with_calls_elsewhere(self.rebuild(root, by_scope, entry), root)
        if self.problems:
            raise GraphError(self.problems)
        return result

    def owners(self, matched: Sequence[Candidate]) -> Sequence[Candidate]:
        """The places that the rule edits: what replaces a module that several nodes call, all of them call."""
        if self.rule.position != "replace" or self.rule.start is not None:
            return matched
        found = [(place, facts) for place, facts in matched if place.node.calls is None]
        if not found:
            node = matched[0][0].node
            text = f"`{node.path}` calls the module of `{node.calls}`"
            raise GraphError(self.insertion.wrong(node, text, "the node that owns the module").diagnostics)
        return found

    def rebuild(self, scope: Scope, edits: Mapping[str, list[Any]], entry: Used | None) -> Scope:
        """The scope with its matched places edited, also those in inner scopes."""
        nodes = dict(scope.nodes)
        for name, node in scope.nodes.items():
            if isinstance(node.content, Scope) and (node.path in edits or not node.content.strangers.isdisjoint(edits)):
                nodes[name] = replace(node, content=self.rebuild(node.content, edits, entry))
        draft = Draft(scope, nodes)
        for host, facts, index in edits.get(scope.path, ()):
            host = host if host.path == scope.path else draft.nodes.get(host.name, host)
            try:
                self.edit(draft, host, facts, index, entry)
            except Mistakes as problem:
                self.problems += problem.diagnostics
            except Misfit as misfit:
                here = self.origin / "use"
                self.problems.append(here.problem("misfit", str(misfit), path=host.path))
            if self.problems:
                # The rule would fail in the same way at its other places.
                raise GraphError(self.problems)
        edited = draft.scope()
        if isinstance(scope, HostScope) and isinstance(edited, HostScope) and scope.whole is not None:
            # The model runs as a whole, and what is taken of it is a part.
            whole = self.rebuild(scope.whole, edits, entry)
            edited = replace(edited, whole=whole if isinstance(whole, HostScope) else None)
        return self.with_calls(replace(edited, held={**edited.held, **self.lending.held(scope.path)}), scope)

    def with_calls(self, scope: Scope, before: Scope) -> Scope:
        """The edited scope, with the nodes that call an edited module once more. Raises GraphError."""
        with self.shared_places():
            return followed(scope, before, self.insertion.infer)

    def with_calls_elsewhere(self, root: Scope, before: Scope) -> Scope:
        """The network, with the nodes that call an edited module from another scope. Raises GraphError."""
        with self.shared_places():
            return followed_elsewhere(root, before, self.insertion.infer)

    @contextlib.contextmanager
    def shared_places(self) -> Iterator[None]:
        """Turns a Misfit within it into a GraphError: what shares the module does not fit what the rule made of it."""
        try:
            yield
        except Misfit as misfit:
            here = self.origin / self.rule.position
            raise GraphError(here.problem("share", str(misfit), "a place that nothing shares")) from misfit

    def edit(self, draft: Draft, host: Node, facts: Mapping[str, Any], index: int, entry: Used | None) -> None:
        position = self.rule.position
        if position != "after" and not host.inputs:
            raise self.insertion.wrong(
                host, f"`{host.path}` takes no input that could be changed", "a place that takes one, or `after`"
            )
        result = Result(host) if position == "before" else required(self.rule, self.origin, host, draft.original)
        if entry is None:
            self.remove(draft, host)
            return
        host = draft.nodes.get(result.node.name, result.node) if result.node.path != host.path else host
        number = self.tensors.number(draft, host)
        spot = spot_of(host, draft.original, self.rule, number, result.key, result.number)
        arriving = self.tensors.arriving(draft, spot)
        source = arriving[0]
        # `lambda` is a word of Python, and so cannot be the name of a node.
        wanted = self.rule.name or (f"{entry.name}_" if keyword.iskeyword(entry.name) else entry.name)
        if self.rule.name in RESERVED:
            here = self.origin / "name"
            raise Mistakes(here.problem("name", f"`{wanted}` cannot name a node", "another name"))
        replaced = position == "replace" and self.rule.start is None
        name = host.name if replaced else self.insertion.name(draft, spot.name(wanted), spot)
        bound = self.tensors.bound(entry, len(arriving), host, facts)
        inputs = [*map(draft.tensor, arriving), *(tensor for _, tensor in bound)]
        written = evaluate(self.rule.options, facts, self.origin / "with", host.path)
        arguments = entry.arguments(self.insertion, host, inputs, written, index)
        try:
            made = self.insertion.mechanism(draft, entry, arguments, arriving, bound, name, spot)
        except Misfit as misfit:
            help = adapting(entry, inputs)
            raise Mistakes((self.origin / "use").problem("misfit", str(misfit), help=help, path=host.path)) from misfit
        made = [self.shared(draft, one, made, host, bound) if one.name == name else one for one in made]
        if position == "replace":
            self.put_in_place(draft, spot, made, entry, name)
            return
        base = source
        self.keep_shape(made[-1].tensor, result.tensor if position == "beside" else draft.tensor(source), host)
        if position == "beside":
            base = draft.end(spot)
            made.append(self.insertion.helper(draft, "add", f"{name}_add", (base, made[-1].name), spot, made=made))
        if self.rule.start is not None:
            made += self.insertion.start(draft, base, made[-1].name, name, spot)
        if position == "before":
            draft.put_before(spot, made)
        else:
            draft.put_after(spot, made)

    def shared(
        self, draft: Draft, node: Node, made: Sequence[Node], host: Node, bound: Sequence[tuple[Bound, TensorSpec]]
    ) -> Node:
        """The mechanism at a host, calling what the rule lets it share. Raises Mistakes."""
        inputs = [*(draft.tensor(one, made) for one in node.inputs), *(tensor for _, tensor in bound)]
        return self.lending.share(node, host, inputs)

    def remove(self, draft: Draft, host: Node) -> None:
        source = draft.tensor(host.inputs[0])
        if source != host.output:
            text = f"`{host.path}` turns {source} into {host.output}"
            raise self.insertion.wrong(host, text, "only what keeps the shape can be removed")
        self.keep_what_rules_put_in(host)
        draft.drop(host.name, host.inputs[0])

    def put_in_place(self, draft: Draft, spot: Spot, made: list[Node], entry: Used, name: str) -> None:
        host = spot.host
        bare = host.replaces != "conv-norm-act"
        swallows = bare and entry.replaces == "conv-norm-act" and not spot.inside
        swallowed = draft.norm_and_activation(host.name) if swallows else []
        end = draft.nodes[swallowed[-1]] if swallowed else host
        arriving = draft.tensor(draft.start(spot))
        if made[-1].tensor != end.tensor and (wrong := entry.unlike(self.insertion, host, arriving, end.tensor)):
            raise Mistakes(*wrong)
        self.keep_shape(made[-1].tensor, end.tensor, host)
        if self.rule.start is not None:
            at_end = replace(spot, host=end)
            made += self.insertion.start(draft, draft.end(at_end), made[-1].name, name, spot)
            draft.put_after(at_end, made)
            return
        self.keep_what_rules_put_in(host)
        kept = [site for one in [host, *(draft.nodes[other] for other in swallowed), made[-1]] for site in one.sites]
        draft.put_in_place(host.name, swallowed, made, tuple(dict.fromkeys(kept)))

    def keep_what_rules_put_in(self, host: Node) -> None:
        """Raises Mistakes if a scope that is taken out holds what earlier rules put at its end or beginning."""
        inside = host.content.nodes.values() if isinstance(host.content, Scope) else ()
        if lost := next((node for node in inside if is_at_an_end(node)), None):
            text = f"`{host.path}` holds `{lost.name}`, which a rule before this one put in"
            raise self.insertion.wrong(host, text, "put this rule first")

    def keep_shape(self, found: TensorSpec, wanted: TensorSpec, host: Node) -> None:
        if found == wanted:
            return
        layouts = f" (`{found.layout}`, not `{wanted.layout}`)" if found.layout != wanted.layout else ""
        # A block can be changed, a mechanism not.
        help = () if registry.get_mechanism(str(self.rule.use)) else layers_between(found, wanted)
        if self.rule.position in ("before", "after"):
            text = f"`{self.rule.use}` turns {wanted} into {found}{layouts}"
            raise self.insertion.wrong(host, text, "what is inserted must keep the shape", help, key="use")
        text = f"`{host.path}` gives {wanted}, in its place `{self.rule.use}` gives {found}{layouts}"
        help = (*help, *_stand_ins()) if host.kind == "conv" else help
        raise self.insertion.wrong(host, text, "a place that keeps its shape", help)


def _stand_ins() -> tuple[str, ...]:
    names = [entry.name for entry in registry.mechanisms() if entry.replaces is not None and entry.is_own]
    return (f"what stands in for a convolution may change the shape: {one_of(names, len(names))}",)
