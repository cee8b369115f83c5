"""Paths from a place to a tensor anywhere in the network, written as in a file system."""

from __future__ import annotations

import re
from collections.abc import Mapping

from composer.dag.scope import Bound, Node, Scope, names_to
from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic, Mistakes, did_you_mean, one_of
from composer.spec.origin import Origin


def find(root: Scope, text: str, host: Node, origin: Origin) -> tuple[Bound, TensorSpec]:
    """The tensor that a path means for a rule at this host. Raises Mistakes.

    text  begins at the host's scope with `./` or nothing, at the scope around it with `../`, at the network with `/`.
          Then come the names of nodes, with `.` or `/` between them. The last one is a node, one of its several
          outputs, or an input of the scope; `input` is the first input of any scope.
    """
    around = list(names_to(root, host.path)[:-1])
    beginning, rest = _split(text)
    if beginning == "/":
        around = []
    elif (ups := beginning.count("../")) > len(around):
        label = f"at most {len(around)} times `../`"
        raise Mistakes(_unknown(origin, f"`{text}` leads out of the network", label, (), host))
    else:
        around = around[: len(around) - ups]
    scope = _scopes(root, around)[-1]
    *names, last = names_to(scope, ".".join(re.split(r"[./]", rest)))
    for index, name in enumerate(names):
        node = scope.nodes.get(name)
        if node is not None and isinstance(node.output, Mapping) and index == len(names) - 1 and last in node.output:
            return Bound(scope.path, f"{name}.{last}", origin), node.output[last]
        if node is None or not isinstance(node.content, Scope):
            raise Mistakes(_nothing(scope, name, node, text, origin, host))
        scope = node.content
    if last == "input" and last not in scope.nodes:
        last = next(iter(scope.inputs))
    if last in scope.inputs:
        return Bound(scope.path, last, origin), scope.inputs[last]
    if last not in scope.nodes:
        raise Mistakes(_nothing(scope, last, None, text, origin, host))
    node = scope.nodes[last]
    if node.result is None:
        assert not isinstance(node.output, TensorSpec)
        label = one_of(f"{text}.{one}" for one in node.output)
        raise Mistakes(_unknown(origin, f"`{node.path}` has several outputs, name one", label, (), host))
    return Bound(scope.path, last, origin), node.result


def _split(text: str) -> tuple[str, str]:
    """The beginning that says from where (`/`, `./`, `../`, `../../` …), and the names after it."""
    found = re.match(r"(/|\./)?((\.\./)*)", text)
    assert found is not None, "every part of the pattern may be empty"
    return found[0], text[found.end() :]


def _scopes(root: Scope, names: list[str]) -> list[Scope]:
    """The network, and each scope on the way down these names."""
    found = [root]
    for name in names:
        inner = found[-1].nodes[name].content
        assert isinstance(inner, Scope), "a node stands in a scope"
        found.append(inner)
    return found


def _nothing(scope: Scope, name: str, node: Node | None, text: str, origin: Origin, host: Node) -> Diagnostic:
    here = f"in `{scope.path}`" if scope.path else "at the top"
    if node is not None:
        return _unknown(origin, f"there is no `{text}`", f"nothing is inside `{node.path}`, a `{node.op}`", (), host)
    known = [*scope.inputs, *scope.nodes]
    hint = did_you_mean(name, known, f"{here} are {one_of(known)}")
    return _unknown(origin, f"there is no `{text}`", f"no `{name}` {here}", hint, host)


def _unknown(origin: Origin, text: str, label: str, help: tuple[str, ...], host: Node) -> Diagnostic:
    return origin.problem("unknown-node", text, label, help, path=host.path)
