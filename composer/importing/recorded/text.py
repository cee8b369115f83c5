"""Blocks as the text of a spec."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from composer import registry
from composer.importing.recorded.merge import CONTAINERS, Entry, Line, Template, option_default
from composer.importing.recorded.scope import usual_padding
from composer.importing.recorded.values import (
    ANY,
    Argument,
    Arguments,
    Formula,
    Literal,
    Value,
    per_copy,
)
from composer.spec.dump import flow

WIDTH = 120
# Options whose numbers each follow from something of their own.
_LISTS = ("shape", "size", "window")


@dataclass
class Writer:
    """Writes templates as blocks, and the last as the network.

    names  values of the network in its recordings -> the name of the var that they are
    """

    templates: Sequence[Template]
    names: Mapping[str, str] = field(default_factory=dict)
    arguments: dict[int, list[Argument]] = field(default_factory=dict)
    called: dict[int, str] = field(default_factory=dict)

    def mapping(self, head: Mapping[str, Any]) -> dict[str, Any]:
        """The spec: what `head` says of the network, then its vars, blocks, nodes and outputs."""
        for template in self.templates:
            self.called[id(template)] = self._block_name(template)
        written = [self._template(template) for template in self.templates]
        *blocks, network = written
        root = self.templates[-1]
        found = dict(head)
        if own := {one.name: one.values[0] for one in self.arguments[id(root)]}:
            found["vars"] = own
        if blocks:
            found["blocks"] = {
                self.called[id(template)]: block for template, block in zip(self.templates, blocks, strict=False)
            }
        found["nodes"] = network["nodes"]
        if "outputs" in network:
            found["outputs"] = network["outputs"]
        return found

    def _block_name(self, template: Template) -> str:
        word = template.hint if template.kind in CONTAINERS else template.kind
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word).lower()
        name = re.sub(r"\W", "_", name).strip("_") or "part"
        name = f"part_{name}" if name[0].isdigit() else name
        name = f"{name}_block" if registry.get(name) is not None else name
        used = set(self.called.values())
        return next(one for one in (name, *(f"{name}_{n}" for n in range(2, 9999))) if one not in used)

    def _template(self, template: Template) -> dict[str, Any]:
        is_root = template is self.templates[-1]
        arguments = Arguments(template, self.names if is_root else {})
        nodes: dict[str, Any] = {}
        before = None
        for line in template.lines:
            nodes[line.name] = self._node(template, line, before, arguments)
            before = line
        self.arguments[id(template)] = arguments.found
        found: dict[str, Any] = {}
        if template.sites:
            found["site"] = _one_or_all(template.sites)
        if template.inputs != ["input"] and not is_root:
            found["inputs"] = list(template.inputs)
        if arguments.found:
            found["args"] = {one.name: None if one.default is ANY else _plain(one.default) for one in arguments.found}
        found["nodes"] = nodes
        outputs = template.outputs
        last = template.lines[-1].name if template.lines else ""
        if len(outputs) > 1:
            found["outputs"] = dict(outputs)
        elif list(outputs.values()) != [last]:
            found["outputs"] = next(iter(outputs.values()))
        return found

    def _node(self, template: Template, line: Line, before: Line | None, arguments: Arguments) -> Any:
        entries = [line.entries.get(id(draft), ANY) for draft in template.uses]
        one = line.one
        node: dict[str, Any] = {}
        given = [template.inputs[0]] if before is None and len(template.inputs) == 1 else []
        if before is not None and before.one.refs:
            given = [before.name]
        if line.refs and line.refs != given:
            node["from"] = _one_or_all(line.refs)
        if one.share is not None:
            node = {"share": one.share, **node}
        elif one.template is None:
            node = {**self._operation(entries, line, arguments), **node} if one.op else node
            node = {"op": node.pop("op"), **({"from": node.pop("from")} if "from" in node else {}), **node}
        else:
            node = {"block": self.called[id(one.template)], **node, **self._instance(entries, line, arguments)}
        if ANY in entries:
            present = [entry is not ANY for entry in entries]
            node["when"] = _said(arguments.resolve(present, "when", line.name))
        if one.sites:
            node["site"] = _one_or_all(one.sites)
        return node["op"] if list(node) == ["op"] and "$" not in str(node["op"]) else node

    def _operation(self, entries: Sequence[Any], line: Line, arguments: Arguments) -> dict[str, Any]:
        ops = [ANY if entry is ANY else entry.op for entry in entries]
        node: dict[str, Any] = {"op": _said(arguments.resolve(ops, "act", line.name))}
        if str(node["op"]).startswith("$"):
            return node
        op = line.one.op
        assert op is not None
        for option in dict.fromkeys(name for entry in line.entries.values() for name in entry.options):
            usual = option_default(op, option)
            vector = [ANY if entry is ANY else _plain(entry.options.get(option, usual)) for entry in entries]
            if option == "padding" and all(_is_usual(entry) for entry in line.entries.values()):
                continue
            node[option] = self._each(vector, option, line, arguments)
        return node

    def _each(self, vector: Sequence[Any], option: str, line: Line, arguments: Arguments) -> Any:
        """What a node says for an option; of lists and mappings for each of their numbers."""
        known = [one for one in vector if one is not ANY]
        if all(isinstance(one, dict) for one in known):
            keyed = {key: [one if one is ANY else one[key] for one in vector] for key in known[0]}
            return {
                key: _said(arguments.resolve(values, f"{option}_{key}", line.name, option))
                for key, values in keyed.items()
            }
        if option in _LISTS and all(isinstance(one, list) for one in known) and len({len(one) for one in known}) == 1:
            count = len(known[0])
            parts = []
            for number in range(count):
                numbers = [one if one is ANY else one[number] for one in vector]
                word = option if option == "shape" and number == count - 1 else f"{option}_{number}"
                parts.append(_said(arguments.resolve(numbers, word, line.name, option)))
            same = option != "shape" and len(set(map(str, parts))) == 1
            return parts[0] if same else parts
        return _said(arguments.resolve(vector, option, line.name))

    def _instance(self, entries: Sequence[Any], line: Line, arguments: Arguments) -> dict[str, Any]:
        one, template = line.one, line.one.template
        assert template is not None
        node: dict[str, Any] = {}
        if one.repeat:
            counts = [ANY if entry is ANY else len(entry.drafts) for entry in entries]
            node["repeat"] = _said(arguments.resolve(counts, "depth", line.name))
            if one.names != ("", 0):
                number = "index" if one.start == 0 else f"index + {one.start}"
                node["as"] = f"{one.prefix}${{{number}}}"
            if one.inline:
                node["inline"] = True
        args = {}
        for argument in self.arguments[id(template)]:
            values = {id(draft): value for draft, value in zip(template.uses, argument.values, strict=True)}
            lists = [ANY if entry is ANY else [values[id(draft)] for draft in entry.drafts] for entry in entries]
            if one.repeat:
                found: Value = per_copy(arguments, lists, argument.name, line.name, argument.option)
            else:
                vector = [ANY if one is ANY else one[0] for one in lists]
                found = arguments.resolve(vector, argument.name, line.name, argument.option)
            usual = argument.default
            if found == Literal(ANY) and usual is ANY:
                found = Literal(next(value for value in argument.values if value is not ANY))
            if isinstance(found, Formula) or (
                found.value is not ANY and (usual is ANY or repr(found.value) != repr(usual))
            ):
                args[argument.name] = _said(found)
        if args:
            node["args"] = args
        return node


def _is_usual(entry: Entry) -> bool:
    """Whether the zeros around a map are those that the layer puts there by itself."""
    return bool(_plain(entry.options["padding"]) == _plain(usual_padding(entry.op or "", entry.options)))


def _said(value: Value) -> Any:
    if isinstance(value, Literal):
        return _plain(value.value)
    bare = re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", value.text)
    return f"${value.text}" if bare else f"${{{value.text}}}"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return value


def _one_or_all(names: Sequence[str]) -> Any:
    return names[0] if len(names) == 1 else list(names)


def text_of_spec(mapping: Mapping[str, Any]) -> str:
    """The YAML of a spec: a line per node where it fits."""
    return "".join(_lines(key, value, "", nested=2 if key == "blocks" else 1) for key, value in mapping.items())


def _lines(key: str, value: Any, indent: str, nested: int) -> str:
    """`nested` is how many levels of mappings stand in lines of their own, even if they would fit in one."""
    name = flow(key)
    whole = flow(value)
    long = len(indent) + len(name) + len(whole) + 2 > WIDTH
    if isinstance(value, Mapping) and value and (long or (nested and _is_deep(key, value))):
        inner = "".join(_lines(one, other, f"{indent}  ", _levels(one, nested)) for one, other in value.items())
        return f"{indent}{name}:\n{inner}"
    return f"{indent}{name}: {whole}\n"


def _levels(key: str, nested: int) -> int:
    return nested if key == "nodes" else max(nested - 1, 0) if nested < 2 else 1


def _is_deep(key: str, value: Mapping[str, Any]) -> bool:
    return key in ("blocks", "nodes") or "nodes" in value
