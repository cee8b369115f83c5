"""The functions and classes `shape`, `macs` and `reference` of entries: checks them, and calls `shape` and `macs`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from composer.errors import Diagnostic, Location, PluginError, Source, one_of, suggest
from composer.foreign import is_error, named
from composer.registry.definition import misuse
from composer.registry.entry import Entry, ModuleEntry


def check_rule(name: str, keyword: str, rule: object, known: Collection[str], where: Location) -> None:
    """Check that a rule takes `inputs`, then only names of the entry's arguments. Raises PluginError."""
    if not callable(rule):
        raise misuse(where, name, f"`{keyword}` is {rule!r}", "a function `(inputs, …)`")
    parameters = _parameters(name, keyword, rule, where)
    if not parameters or parameters[0].kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
        raise misuse(where, name, f"`{keyword}` takes no inputs", "a function `(inputs, …)`")
    for one in parameters[1:]:
        if one.kind is not one.VAR_KEYWORD and one.name not in known:
            nearest = suggest(one.name, known)
            hint = f"; did you mean `{nearest}`?" if nearest else ""
            text = f"`{keyword}` asks for `{one.name}`, which `{name}` is not called with{hint}"
            raise misuse(where, name, text, one_of(known) if known else "`inputs` alone")


def check_reference(name: str, reference: object, arguments: Sequence[str], inputs: int, where: Location) -> None:
    """Check that a class takes the mechanism's arguments, or a function module and inputs. Raises PluginError."""
    if not callable(reference):
        raise misuse(where, name, f"`reference` is {reference!r}", "an nn.Module class, or a function `(module, x)`")
    if isinstance(reference, type) and not hasattr(reference, "forward"):
        raise misuse(where, name, f"`reference` is {reference.__name__}, which has no `forward`", "an nn.Module class")
    _parameters(name, "reference", reference, where)
    signature = inspect.signature(reference)
    try:
        if isinstance(reference, type):
            signature.bind(**dict.fromkeys(arguments))
        else:
            signature.bind(*range(1 + inputs))
    except TypeError as error:
        takes = "the same arguments as the mechanism" if isinstance(reference, type) else "`(module, x)`"
        raise misuse(where, name, f"`reference` cannot be called: {error}", f"one that takes {takes}") from error


def declared_shape(entry: Entry, inputs: Sequence[Any], arguments: Mapping[str, Any], batch: int) -> tuple[int, ...]:
    """The output shape by an entry's rule. Raises the rule's own ValueError, PluginError if the rule is wrong."""
    assert entry.shape is not None
    found = _asked(entry, "shape", entry.shape, inputs, arguments)
    lengths = tuple(found) if isinstance(found, Sequence) and not isinstance(found, str) else ()
    if not lengths or not all(isinstance(one, int) and one >= 0 for one in lengths):
        raise _wrong(entry, f"its `shape` gives {found!r}", "a tuple of lengths")
    if lengths[0] != batch:
        raise _wrong(entry, f"its `shape` gives {found!r} for a batch of {batch}", "the batch first, as in the inputs")
    return lengths


def declared_macs(entry: Entry, inputs: Sequence[Any], arguments: Mapping[str, Any]) -> int:
    """The multiply-accumulates per example by an entry's rule. Raises PluginError if the rule is wrong."""
    assert entry.macs is not None
    try:
        found = _asked(entry, "macs", entry.macs, inputs, arguments)
    except ValueError as error:
        raise _wrong(entry, f"its `macs` fails: {named(error)}", "a number for whatever it runs on") from error
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise _wrong(entry, f"its `macs` gives {found!r}", "a whole number, 0 or more")
    return found


def _asked(
    entry: Entry, keyword: str, rule: Callable[..., Any], inputs: Sequence[Any], arguments: Mapping[str, Any]
) -> Any:
    parameters = inspect.signature(rule).parameters.values()
    facts = entry.facts if isinstance(entry, ModuleEntry) else {}
    # The place may lack a fact that has a default.
    defaults = {name: default for name, default in facts.items() if default is not inspect.Parameter.empty}
    arguments = {**defaults, **arguments}
    if not any(one.kind is one.VAR_KEYWORD for one in parameters):
        arguments = {one.name: arguments[one.name] for one in parameters if one.name in arguments}
    try:
        return rule(inputs, **arguments)
    except ValueError:
        raise
    except BaseException as error:
        if not is_error(error):
            raise
        raise _wrong(entry, f"its `{keyword}` fails: {named(error)}", "a rule for whatever it runs on") from error


def _parameters(name: str, keyword: str, rule: Callable[..., Any], where: Location) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(rule).parameters.values())
    except (TypeError, ValueError) as error:
        raise misuse(where, name, f"`{keyword}` has no signature to be read: {error}", "a function") from error


def _wrong(entry: Entry, problem: str, expected: str) -> PluginError:
    where = Location(Source(entry.file), entry.line, 1, 2)
    return PluginError(Diagnostic("plugin", f"{entry.words}: {problem}", where, label=expected))
