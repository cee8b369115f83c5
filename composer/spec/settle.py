"""What several files and settings say together: vars evaluated, and inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from composer.errors import Diagnostic, SpecError, did_you_mean, one_of
from composer.spec.document import MAX_VALUES, Document, Value
from composer.spec.evaluate import size
from composer.spec.expression import is_dynamic, parse_template
from composer.spec.model import InputSpec
from composer.spec.origin import EvaluationError, Origin, evaluate, walk_strings
from composer.spec.references import LoadedFile
from composer.spec.settings import Setting, is_var
from composer.spec.tokens import ExpressionError


def settle_vars(files: Sequence[LoadedFile], settings: Iterable[Setting]) -> dict[str, Any]:
    """The vars of the file with the nodes, as the others and the settings override them. Raises SpecError."""
    base = files[-1]
    written = {name: base.origin / "vars" / name for name in base.content.vars}
    SpecError.check(_override(written, files, settings))
    result: dict[str, Any] = {}
    SpecError.check(_evaluate(written, result))
    return result


def _override(
    written: dict[str, Origin], files: Sequence[LoadedFile], settings: Iterable[Setting]
) -> Iterator[Diagnostic]:
    """Let every var say where its last value is written; the vars that the network does not have are problems."""
    for file in reversed(files[:-1]):
        for name in file.content.vars:
            yield from _replace_var(written, name, file.origin / "vars" / name)
    for setting in filter(is_var, settings):
        _, name, *rest = setting.steps
        value = setting.value
        if rest and name in written:
            origin = written[name]
            value = origin.document.nearest(origin.path).with_value(tuple(rest), value, ("vars", name))
        yield from _replace_var(written, name, _alone(name, value, setting))


def _replace_var(written: dict[str, Origin], name: str, origin: Origin) -> Iterator[Diagnostic]:
    if name not in written:
        hint = did_you_mean(name, written, f"the vars are {one_of(written)}")
        yield origin.problem("unknown-var", f"unknown var `{name}`", "not a var of this network", hint, key=True)
    else:
        written[name] = origin


def _alone(name: str, value: Value, setting: Setting) -> Origin:
    """A document of nothing but one var."""
    key = setting.value.key_location
    value = Value(value.data, value.location, key)
    location = value.location or key
    source = location.source if location else _PYTHON
    return Origin(Document(source, Value({"vars": Value({name: value})}))) / "vars" / name


_PYTHON = Document.from_mapping({}, "<vars>").source


def _evaluate(written: Mapping[str, Origin], result: dict[str, Any]) -> Iterator[Diagnostic]:
    """Fill in the values, in their order; a var sees those before it."""
    budget = MAX_VALUES
    failed: set[str] = set()
    for name, origin in written.items():
        value = origin.document.nearest(origin.path).plain()
        # What reads a var that failed has no problem of its own.
        if failed and not failed.isdisjoint(_names(value, origin)):
            failed.add(name)
            continue
        try:
            result[name] = evaluate(value, result, origin)
        except EvaluationError as error:
            yield error.diagnostic
            failed.add(name)
            continue
        budget -= size(result[name], budget)
        if budget < 0:
            yield origin.problem("budget", f"the vars hold more than {MAX_VALUES:,} values", "a shorter list")
            return


def _names(value: Any, origin: Origin) -> set[str]:
    try:
        texts = [text for text, _ in walk_strings(value, origin) if is_dynamic(text)]
        return {name.partition(".")[0] for text in texts for name, _ in parse_template(text).reads}
    except ExpressionError:
        return set()


def settle_inputs(files: Sequence[LoadedFile]) -> tuple[dict[str, InputSpec], dict[str, Origin]]:
    """The inputs, and where the shape of each is written. Raises SpecError."""
    inputs: dict[str, InputSpec] = {}
    origins: dict[str, Origin] = {}
    for file in reversed(files):
        content = file.content
        if content.inputs is not None:
            inputs = dict(content.inputs)
            origins = {name: file.origin / "inputs" / name / "shape" for name in inputs}
        if content.input is not None:
            inputs["input"] = content.input.over(inputs["input"]) if "input" in inputs else content.input
            origins["input"] = file.origin / "input" / "shape"
    if not inputs:
        label = "`input: [3, 224, 224]`"
        raise SpecError(files[-1].origin.problem("missing-key", "the network has no `input`", label))
    return inputs, {name: origin.written for name, origin in origins.items()}
