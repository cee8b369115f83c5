"""Which of several results of a recorded call a rule edits: modules of other libraries give tuples and mappings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from composer.dag.host import HostOperation, HostScope
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.errors import Mistakes, did_you_mean, one_of
from composer.spec.model import Rule
from composer.spec.origin import Origin


class Result(NamedTuple):
    """A result of a call: the node that gives it, the name of that node's output, and its number among the results.

    key  empty for a node's only output
    """

    node: Node
    key: str = ""
    number: int = 0

    @property
    def tensor(self) -> TensorSpec:
        """The tensor."""
        output = self.node.output
        return output if isinstance(output, TensorSpec) else output[self.key]


def results_of(node: Node, around: Scope) -> Mapping[str, Result]:
    """How a rule's `output` writes each result of a recorded call -> the result; empty for a call that gives a tensor.

    around  the scope of the node
    """
    content = node.content
    found: Iterator[tuple[tuple[str | int, ...], Node, str]]
    if isinstance(content, HostScope):
        several = not isinstance(node.output, TensorSpec)
        found = ((where, node, key if several else "") for key, where in content.results.items())
    elif isinstance(content, HostOperation) and content.call is not None:
        own = content.call.whole
        found = (
            (one.content.where, one, "")
            for one in around.untouched.nodes.values()
            if isinstance(one.content, HostOperation) and one.content.call is not None and one.content.call.whole == own
        )
    else:
        return {}
    return {
        ".".join(map(str, where)): Result(one, key, number) for number, (where, one, key) in enumerate(found) if where
    }


def chosen(rule: Rule, node: Node, around: Scope) -> Result | None:
    """The result that a rule edits; None if it names none that there is, or has to name one and does not."""
    if rule.output is not None:
        return results_of(node, around).get(str(rule.output))
    return Result(node) if isinstance(node.output, TensorSpec) else None


def required(rule: Rule, origin: Origin, node: Node, around: Scope) -> Result:
    """The result that a rule edits. Raises Mistakes."""
    if (found := chosen(rule, node, around)) is not None:
        if found.key and (source := _handed_on(found)):
            text = f"`{node.path}` hands its input `{source}` on as output `{rule.output}`, as it is"
            raise _wrong(origin, rule, text, f"`before`, with `input: {source}`; or the place where it is made", node)
        return found
    known = results_of(node, around)
    listed = ", ".join(f"`{name}` ({one.tensor})" for name, one in known.items())
    help = (f"its outputs are {listed}",)
    if rule.output is None:
        may_choose = bool(known) and rule.position in ("after", "beside")
        label = f"`output: {next(iter(known))}`" if may_choose else "a node inside it that has one"
        text, here = f"`{node.path}` has several outputs", origin / rule.position
        raise Mistakes(here.problem("place", text, label, help if known else (), path=node.path))
    if not isinstance(node.content, HostScope | HostOperation):
        text = f"`output` chooses what a module of another library gives, and `{node.path}` is none"
        raise _wrong(origin, rule, text, "remove it, or name a node inside that gives it", node)
    if not known:
        text = f"`{node.path}` gives a tensor, so `output` has nothing to choose"
        raise _wrong(origin, rule, text, "remove it", node)
    text = f"`{node.path}` has no output `{rule.output}`"
    raise _wrong(origin, rule, text, one_of(known), node, *did_you_mean(rule.output, known), *help)


def _handed_on(result: Result) -> str:
    """The input of a module that it gives back as this result; empty if it makes another tensor."""
    content = result.node.content
    assert isinstance(content, HostScope), "only a scope has several outputs"
    reference = content.untouched.outputs[result.key]
    return reference if reference in content.inputs else ""


def _wrong(origin: Origin, rule: Rule, text: str, label: str, node: Node, *help: str) -> Mistakes:
    return Mistakes((origin / "output").problem("place", text, label, help, path=node.path))
