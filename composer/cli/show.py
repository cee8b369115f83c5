"""`composer show`: one mechanism, layer or backbone explained."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer import registry
from composer.cli.options import Format, FormatOption, Plugins, Quiet, Verbose, print_json
from composer.cli.tables import print_table
from composer.errors import Diagnostic, InputError, did_you_mean
from composer.schema import describe
from composer.spec import zoo

if TYPE_CHECKING:
    from composer.registry import Entry
    from composer.spec.load import Spec


def command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A mechanism, layer, backbone or paper's network.")],
    plugin: Plugins = None,
    format: FormatOption = Format.TEXT,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Explain a mechanism or layer (maths, options, source) or a backbone (vars, rules, file)."""
    entry = None if zoo.find(name) else registry.get(name)
    if entry is not None:
        found = _entry(entry)
        if format is Format.JSON:
            print_json(found)
        else:
            _print_entry(entry, found)
    elif zoo.find(name):
        from composer.spec.load import load

        found = _spec(load(name))
        if format is Format.JSON:
            print_json(found)
        else:
            _print_spec(found)
    else:
        known = [*(one.name for one in registry.entries()), *zoo.backbones(), *zoo.papers()]
        hint = did_you_mean(name, known, "`composer list` shows all")
        raise InputError([Diagnostic("unknown-name", f"nothing is called `{name}`", help=hint), *registry.failures()])


def _entry(entry: Entry) -> dict[str, Any]:
    models = (entry.settings, entry.options)
    return {
        "name": entry.name,
        "category": entry.category,
        "kind": entry.kind,
        "doc": entry.doc,
        "facts": list(entry.facts),
        "layout": entry.layout if isinstance(entry.layout, str) else None,
        "replaces": entry.replaces,
        "options": {
            name: {"type": describe(part), "required": "default" not in part, "default": part.get("default")}
            for model in models
            for name, part in model.model_json_schema().get("properties", {}).items()
        },
        "plugin": entry.plugin.name,
        "source": f"{entry.file}:{entry.line}",
    }


def _print_entry(entry: Entry, found: dict[str, Any]) -> None:
    print(f"{entry.name}  ({entry.kind} {entry.category})\n")
    print(entry.doc or "No description.")
    print()
    if found["options"]:
        rows = [
            (name, option["type"], "required" if option["required"] else json.dumps(option["default"]))
            for name, option in found["options"].items()
        ]
        print_table(("option", "type", "default"), rows)
        print()
    if found["facts"]:
        print(f"filled in from the place: {', '.join(found['facts'])}")
    if entry.replaces:
        print(f"stands in for: {entry.replaces}")
    print(f"from: {entry.plugin.name} ({found['source']})")
    if entry.category == "mechanism":
        place = "replace: spatial_conv" if entry.replaces else "after: branch"
        print(f"\nbackbone: resnet50\nattention:\n  - {{use: {entry.name}, {place}}}")


def _spec(spec: Spec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "files": [file.origin.document.source.name for file in spec.files],
        "vars": dict(spec.vars),
        "inputs": {name: value.model_dump() for name, value in spec.inputs.items()},
        "rules": [rule.model_dump(exclude_unset=True, by_alias=True) for rule, _ in spec.rules],
    }


def _print_spec(found: dict[str, Any]) -> None:
    from composer.spec.dump import dump

    print(dump(found), end="")
