"""Problems of names that a spec takes from the registry: operations, mechanisms, blocks, and their options."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from composer.errors import Diagnostic, did_you_mean, one_of
from composer.options import describe_problem
from composer.spec.model import NODE_KEYS, Rule
from composer.spec.origin import Origin


def unknown_op(op: Any, known: Iterable[str], origin: Origin, path: str) -> Diagnostic:
    """The problem of a node's operation that has no entry; `known` are the names of all entries."""
    hint = did_you_mean(op, known, "`composer list` shows all")
    return origin.problem("unknown-op", f"unknown operation `{op}`", "not in the registry", hint, path=path)


def unknown_block(name: Any, known: Sequence[str], origin: Origin, path: str) -> Diagnostic:
    """The problem of a node's block that neither the spec nor a plugin has; `known` are those that they have."""
    hint = did_you_mean(name, known, f"the blocks are {one_of(known)}")
    return origin.problem("unknown-block", f"unknown block `{name}`", "not a block of this spec", hint, path=path)


def unknown_mechanism(name: str, known: Iterable[str], hint: tuple[str, ...], origin: Origin) -> Diagnostic:
    """The problem of what a rule uses; `hint` says what people mean by it, if they use it for a mechanism."""
    plugin = "one of a plugin file needs `--plugin FILE`, in Python `composer.load_plugin(FILE)`"
    help = hint or (*did_you_mean(name, known, "`composer list` shows all"), plugin)
    return origin.problem("unknown-mechanism", f"unknown mechanism `{name}`", "not in the registry", help)


def takes_nothing(name: str, origin: Origin) -> Diagnostic:
    """The problem of a rule that uses a parameter."""
    text = f"`{name}` takes no input, so that it cannot be put between two nodes"
    return origin.problem("unknown-mechanism", text, "a mechanism, a layer with an input, or a block")


def unknown_tensors(name: str, tensors: Sequence[str], rule: Rule, origin: Origin) -> Iterator[Diagnostic]:
    """A problem per tensor in the rule's `from` that what it uses, `name`, does not take, at any place.

    tensors  what it takes, that of its place first
    """
    others = tensors[1:]
    for given in rule.sources:
        if given not in others:
            hint = did_you_mean(given, others, f"besides its place's, `{name}` takes {one_of(others)}")
            text = f"`{name}` takes no tensor `{given}`"
            yield (origin / "from" / given).problem("unknown-tensor", text, "not a tensor it takes", hint, key=True)


def unknown_args(name: str, known: Collection[str], written: Iterable[str], origin: Origin) -> list[Diagnostic]:
    """A problem per argument that a rule gives a block and that it does not have."""
    return [
        (origin / one).problem(
            "unknown-arg",
            f"block `{name}` has no argument `{one}`",
            "not an argument",
            did_you_mean(one, known, f"it has {one_of(known)}"),
            key=True,
        )
        for one in written
        if one not in known
    ]


def unknown_option(
    entry: str, name: str, known: Collection[str], others: Sequence[str], origin: Origin, path: str
) -> Diagnostic:
    """The problem of an option that an entry does not have; `others` are mechanisms of its name in papers that do."""
    hint = did_you_mean(name, [*known, *NODE_KEYS], f"`{entry}` has {one_of(known)}")
    # Papers give two mechanisms one name; the option says which is meant.
    if others:
        hint = (*hint, f"another mechanism of that name has it: {one_of(others)}")
    text = f"`{entry}` has no option `{name}`"
    return (origin / name).problem("unknown-option", text, "not an option", hint, key=True, path=path)


def missing_option(entry: str, name: str, origin: Origin, path: str) -> Diagnostic:
    """The problem of a node that lacks an option which its operation needs."""
    return origin.problem("missing-option", f"`{entry}` needs `{name}`", f"`{name}: …`", key=True, path=path)


def wrong_option(entry: str, name: str, record: Mapping[str, Any], origin: Origin, path: str) -> Diagnostic:
    """The problem of an option with a value that it does not take; `record` is pydantic's of the error."""
    text = f"`{name}` of `{entry}`: {describe_problem(record)}"
    return (origin / name).problem("option-type", text, path=path)
