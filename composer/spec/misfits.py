"""What pydantic finds wrong in a text, in the words of the language, at the line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from composer.errors import Diagnostic, did_you_mean, one_of
from composer.spec import zoo
from composer.spec.document import Keys
from composer.spec.kind import boolean_advice, found
from composer.spec.known import options_of
from composer.spec.model import POSITIONS
from composer.spec.origin import Origin
from composer.spec.yaml import decode, read

# The path of a mapping, and its place -> the keys that it may have.
KeysAt = Callable[[Keys, Origin], Iterable[str]]

_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number from {ge:g} on",
    "less_than_equal": "a number up to {le:g}",
    "less_than": "a number below {lt:g}",
    "tuple_type": "a list",
    "value_error": "{error}",
    "literal_error": "{expected}",
    "too_short": "at least one",
}
_MODELS = {
    "NodeSpec": "the name of an operation, or a mapping with `op` or `block`",
    "BlockSpec": "a mapping with `nodes`",
    "PartSpec": "a mapping with `backbone`",
    "OutputSpec": "a mapping with `from`",
    "SourceSpec": "a name of the zoo, a path, or a model of a library: `{timm: NAME}`",
    "SpecFile": "a name of the zoo, a path, or a spec",
    "Published": "a mapping with `table`, `architecture`, `mechanism` and `top1`",
    "InputSpec": "a shape such as `[3, 224, 224]`, or a mapping with `shape`",
    "Rule": "a mapping with `use` and a place",
    "Recipe": "the name of a recipe, a `.yaml` file, or a mapping",
    "OptimizerSpec": "the name of an optimizer, or a mapping with `name`",
    "ScheduleSpec": "`cosine`, `linear`, `step`, `constant`, or a mapping with `name`",
    "GroupSpec": "a mapping with `at`",
    "Augment": "a mapping, such as `{crop: [0.08, 1], flip: true}`",
    "ColorJitter": "a number from 0 to 1, or a mapping",
    "RandAugment": "true, or a mapping",
    "WeightsSpec": "a path, a hub reference, or a mapping with `source`",
}


_EXAMPLES = {
    "nodes": "`nodes: {conv: {op: conv2d, out_channels: 8, kernel_size: 3}, act: relu}`",
    "blocks": "`blocks: {unit: {nodes: {act: relu}}}`",
    "vars": "`vars: {width: 64}`",
    "args": "`args: {planes: 64}`",
    "inputs": "`inputs: {image: [3, 224, 224]}`",
}


def misfits(error: ValidationError, origin: Origin, keys_at: KeysAt) -> Iterator[Diagnostic]:
    """The problems of what is written at `origin`, which pydantic found; `keys_at` gives the keys that a place has."""
    # Pydantic reports each member of a union separately.
    wrong: dict[Keys, list[str]] = {}
    for record in error.errors(include_url=False):
        # Pydantic's paths also contain the members of unions.
        here = Origin(origin.document, (*origin.path, *record["loc"])).written
        if record["type"] == "extra_forbidden":
            yield _unknown_key(here, keys_at)
        elif record["type"] == "missing":
            name = str(record["loc"][-1])
            yield here.problem("missing-key", f"`{name}` is missing", f"`{name}: …`", key=True)
        else:
            wrong.setdefault(here.path, []).append(_expected(record))
    # If a member of a union fits except for one part, report only that part.
    around = {path[:length] for path in wrong for length in range(len(path))}
    for path, expected in wrong.items():
        if path in around:
            continue
        yield _wrong_type(Origin(origin.document, path), _either(expected))


def _unknown_key(here: Origin, keys_at: KeysAt) -> Diagnostic:
    known = keys_at(here.path[:-1], here)
    hint = did_you_mean(here.path[-1], known, f"the keys here are {one_of(known, 24)}")
    hint = _moved_option(here) or _moved_var(here) or hint
    return here.problem("unknown-key", f"unknown key `{here.path[-1]}`", "not a key of this place", hint, key=True)


def _moved_option(here: Origin) -> tuple[str, ...]:
    """Advice for an option of a mechanism that is written as a key of its rule; nothing for what is none."""
    *around, name = here.path
    if around[-2:-1] != ["attention"]:
        return ()
    rule = here.document.nearest(tuple(around)).plain()
    use = rule.get("use")
    if not isinstance(use, str) or name not in options_of(use):
        return ()
    return (f"`{name}` is an option of {use}: `with: {{{name}: {rule[name]}}}`",)


def _moved_var(here: Origin) -> tuple[str, ...]:
    """Advice for a var that is written as a key of the spec; nothing for what the spec does not declare."""
    name, plain = here.path[0], here.document.plain()
    if len(here.path) > 1 or name not in _vars(plain):
        return ()
    return (f"`{name}` is a var: `vars.{name}` on the command line, in the file `vars: {{{name}: …}}`",)


def _vars(plain: Any) -> set[str]:
    """The vars of a spec, and of the networks of the zoo that it builds on."""
    vars, backbone = plain.get("vars"), plain.get("backbone")
    path = zoo.find(backbone) if isinstance(backbone, str) else None
    below = _vars(read(decode(path.read_bytes(), path.name)).plain()) if path else set()
    return {*vars, *below} if isinstance(vars, dict) else below


def without(value: Any, steps: list[str]) -> Any:
    """A plain value without the key at this path; unchanged if the path leads to an item of a list."""
    step, *rest = steps
    if isinstance(value, list) and rest and step.isdecimal():
        return [without(item, rest) if index == int(step) else item for index, item in enumerate(value)]
    if not isinstance(value, dict) or step not in value:
        return value
    if rest:
        return {**value, step: without(value[step], rest)}
    return {key: child for key, child in value.items() if key != step}


def _expected(record: Any) -> str:
    context = record.get("ctx", {})
    if record["type"] == "model_type":
        return _MODELS.get(context["class_name"], "a mapping")
    text = _EXPECTED.get(record["type"])
    return text.format(**context).replace("'", "`") if text else str(record["msg"])


def _either(expected: list[str]) -> str:
    several = list(dict.fromkeys(expected))
    if len(several) > 1 and "a list" not in several:
        several = ["an expression" if one == "a string" else one for one in several]
    return " or ".join(several)


def _wrong_type(here: Origin, expected: str) -> Diagnostic:
    value = here.document.nearest(here.path).plain()
    name = here.dotted if isinstance(here.path[-1], int) else here.path[-1]
    if value is None:
        help = ("write a value, or remove the key",)
        return here.problem("wrong-type", f"`{name}` has no value", expected, help, key=True)
    if here.path[0] == "attention" and name in POSITIONS:
        expected = "a site or a glob over paths, or a list of them"
    if not value and isinstance(value, dict | list):
        return here.problem("wrong-type", f"`{name}` is empty", expected)
    if expected == "a list" and name in ("from", "site", "inputs"):
        expected = "a name or a list of names"
    if here.path == ("outputs",):
        expected = "the path of a node, or a mapping of names to paths"
    return here.problem("wrong-type", f"`{name}` is {found(value)}", expected, _advice(name, value, expected))


def _advice(name: Any, value: Any, expected: str) -> tuple[str, ...]:
    if isinstance(value, str) and "number" in expected and value.replace(".", "", 1).isdecimal():
        return ("without the quotes it is a number",)
    if "true or false" in expected:
        return boolean_advice(value)
    if name == "attention" and isinstance(value, str):
        return (f"write rules, such as `attention: [{{use: {value}, after: branch}}]`",)
    if isinstance(value, list) and name in _EXAMPLES:
        return (f"each has its name for a key, such as {_EXAMPLES[name]}",)
    return ("start each item with `- `",) if isinstance(value, dict) and expected == "a list" else ()
