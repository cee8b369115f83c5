"""The arguments of a registry entry: facts of the place, and the spec's options, checked against the type hints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from composer import registry
from composer.dag.infer import missing
from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic, Mistakes, suggest
from composer.options import ValidationError, validate_options
from composer.registry import Entry, ModuleEntry
from composer.spec.names import missing_option, unknown_option, wrong_option
from composer.spec.origin import Origin


def arguments_of_node(
    entry: Entry, written: Mapping[str, Any], inputs: Sequence[TensorSpec], origin: Origin, path: str
) -> dict[str, Any]:
    """The arguments of an entry that a spec uses as an operation. A convolution's settings are written like options.

    Raises Mistakes, pointing at each option that is unknown, missing or of the wrong type.
    """
    return complete(entry, written, tensor_facts(entry, inputs, origin, path), origin, path)


def tensor_facts(entry: Entry, inputs: Sequence[TensorSpec], origin: Origin, path: str) -> dict[str, Any]:
    """The facts that an entry takes from its input tensors: `channels` of the first, `skip_channels` of `skip`.

    Raises Mistakes if a tensor lacks one.
    """
    if not isinstance(entry, ModuleEntry):
        return {}
    found = {}
    for name, (index, fact) in entry.facts_of_tensors.items():
        tensor = inputs[index] if index < len(inputs) else None
        if tensor is not None and fact in tensor.facts:
            found[name] = tensor.facts[fact]
        elif missing(entry.facts[name]):
            message = f"`{entry.name}` needs {name}, which {tensor} ({tensor.layout if tensor else 'nothing'}) has not"
            raise Mistakes(origin.problem("misfit", message, key=True, path=path))
    # What is its default anyway is left out: a layer for images and videos has one set of arguments for images.
    return {name: found[name] for name, default in entry.facts.items() if name in found and found[name] != default}


def complete(
    entry: Entry, written: Mapping[str, Any], facts: Mapping[str, Any], origin: Origin, path: str
) -> dict[str, Any]:
    """The facts and validated options. `written` may also override a convolution's settings. Raises Mistakes."""
    problems: list[Diagnostic] = []
    arguments = {name: value for name, value in facts.items() if name not in entry.known_options}
    left = dict(written)
    for model in entry.models:
        names = model.model_fields
        # The options come last: all remaining values must be options.
        mine = left if model is entry.options else {name: left.pop(name) for name in names if name in left}
        try:
            arguments.update(validate_options(model, {**{one: facts[one] for one in names if one in facts}, **mine}))
        except ValidationError as error:
            problems += [_translate(entry, record, origin, path) for record in _once(error.errors(), entry)]
        except (TypeError, ValueError) as error:
            problems.append(origin.problem("option", f"options of `{entry.name}`: {error}", path=path))
    if problems:
        raise Mistakes(*problems)
    return arguments


def _once(records: Sequence[Any], entry: Entry) -> Iterator[Any]:
    """Records of pydantic, without that of a missing option that is there and misspelt."""
    given = [str(one["loc"][0]) for one in records if one["type"] == "extra_forbidden"]
    meant = {suggest(name, entry.known_options) for name in given}
    return (one for one in records if one["type"] != "missing" or one["loc"][0] not in meant)


def unknown_options(entry: Entry, written: Mapping[str, Any], origin: Origin) -> Iterator[Diagnostic]:
    """A problem per written option that the entry does not have."""
    known = entry.known_options
    return (_unknown(entry, name, origin, origin.dotted) for name in written if name not in known)


def _unknown(entry: Entry, name: str, origin: Origin, path: str) -> Diagnostic:
    others = [one.name for one in registry.called(entry.name) if name in one.known_options]
    return unknown_option(entry.name, name, entry.known_options, others, origin, path)


def _translate(entry: Entry, record: Any, origin: Origin, path: str) -> Diagnostic:
    name = str(record["loc"][0]) if record["loc"] else entry.name
    if record["type"] == "extra_forbidden":
        return _unknown(entry, name, origin, path)
    if record["type"] == "missing":
        return missing_option(entry.name, name, origin, path)
    return wrong_option(entry.name, name, record, origin, path)
