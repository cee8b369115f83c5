"""`composer show`: explains a mechanism, layer or backbone, or lists the codes of errors."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer import registry
from composer.amounts import thousands
from composer.cli.options import AllowCode, Format, FormatOption, Plugins, Saying, complete_spec
from composer.cli.progress import stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.cli.tables import print_table
from composer.docstring import sections
from composer.errors import ComposerError, Diagnostic, InputError, did_you_mean
from composer.schema import describe
from composer.spec import zoo
from composer.spec.model_source import short_form

if TYPE_CHECKING:
    from composer.registry import Entry, ModuleEntry
    from composer.spec.model_source import ModelSource
    from composer.spec.spec import Spec


# No registered name equals this word.
ERRORS = "errors"


@spread
def command(
    context: typer.Context,
    *,
    name: Annotated[
        str,
        typer.Argument(
            help="A mechanism, layer, backbone, paper's network or model (timm:NAME); or `errors`.",
            autocompletion=complete_spec,
        ),
    ],
    at: Annotated[tuple[int, int, int], typer.Option(metavar="C H W", help="The size at which to state the cost.")] = (
        256,
        14,
        14,
    ),
    plugin: Plugins = None,
    allow_code: AllowCode = False,
    format: FormatOption = Format.TEXT,
    saying: Saying,
) -> None:
    """Explain a mechanism or layer (maths, options, source) or a backbone (vars, rules, file).

    `errors` are the codes that messages have in JSON, with what each means.
    """
    entry = None if name == ERRORS or zoo.find(name) else registry.get(name)
    if name == ERRORS:
        _show_errors(format)
    elif entry is not None:
        with stage(context, f"explaining {name}"):
            found = _entry(entry, at)
        if format is Format.JSON:
            print_json(found)
        else:
            _print_entry(entry, found)
    elif zoo.find(name) or short_form(name) is not None:
        from composer.spec.load import load_spec

        with stage(context, f"explaining {name}"):
            found = _spec(load_spec(name, allow_code=allow_code))
        if format is Format.JSON:
            print_json(found)
        else:
            _print_spec(found)
    else:
        known = [*(one.name for one in registry.entries()), *zoo.names()]
        hint = registry.hint(name) or did_you_mean(name, known, "`composer list` shows all")
        raise InputError([Diagnostic("unknown-name", f"nothing is called `{name}`", help=hint), *registry.failures()])


def _show_errors(format: Format) -> None:
    from composer.codes import CODES

    if format is Format.JSON:
        print_json(CODES)
    else:
        print_table(("code", "meaning"), CODES.items())


def _entry(entry: Entry, size: tuple[int, int, int]) -> dict[str, Any]:
    mechanism = _mechanism(entry)
    layout = mechanism.works_on if mechanism else entry.layout_rule
    return {
        "name": entry.name,
        "category": entry.category,
        "kind": entry.kind,
        "doc": entry.doc,
        "sections": sections(entry.doc),
        "tensors": list(entry.tensors),
        "facts": list(entry.facts) if isinstance(entry, registry.ModuleEntry | registry.BlockEntry) else [],
        "layout": layout if isinstance(layout, str) else None,
        "replaces": mechanism.replaces if mechanism else None,
        "places": _places(mechanism) if mechanism else None,
        "prefix": mechanism is not None and mechanism.prefix,
        "group": mechanism.group if mechanism is not None else None,
        "aliases": list(mechanism.aliases) if mechanism is not None else [],
        "applied": entry.applied if isinstance(entry, registry.ModuleEntry) and entry.has_attention else None,
        "declares": [word for word in ("shape", "macs", "reference") if getattr(entry, word, None) is not None],
        "options": {
            name: {"type": describe(part), "required": "default" not in part, "default": part.get("default")}
            for model in entry.models
            for name, part in model.model_json_schema().get("properties", {}).items()
        },
        "cost": cost(mechanism, *size) if mechanism else None,
        "plugin": entry.plugin.name,
        "source": f"{entry.file}:{entry.line}",
    }


def _print_entry(entry: Entry, found: dict[str, Any]) -> None:
    mechanism = _mechanism(entry)
    out(f"{entry.name}  ({entry.kind} {entry.category})\n")
    out(entry.doc or "No description.")
    out()
    if found["options"]:
        rows = [
            (name, option["type"], "required" if option["required"] else json.dumps(option["default"]))
            for name, option in found["options"].items()
        ]
        print_table(("option", "type", "default"), rows)
        out()
    if mechanism and len(entry.tensors) > 1:
        out(f"takes the tensors: {', '.join(entry.tensors)}")
    if found["aliases"]:
        out(f"also called: {', '.join(found['aliases'])}")
    if found["facts"]:
        out(f"filled in from the place: {', '.join(found['facts'])}")
    if found["layout"]:
        out(f"works on: {', '.join(map(str, mechanism.layouts)) if mechanism else found['layout']}")
    if found["replaces"]:
        out(f"stands in for: {found['replaces']}")
    if found["places"]:
        places = (", ".join(f"{key}: {text}" for key, text in place.items()) for place in found["places"])
        out(f"goes by default: {'; else '.join(places)}")
    if found["prefix"]:
        out("at tokens: prefix tokens take part")
    if found["applied"]:
        out(f"its attention values are applied as: {found['applied']}")
    if found["declares"]:
        out(f"declares its own: {', '.join(found['declares'])}")
    if found["cost"]:
        at, *numbers = found["cost"].values()
        out("cost at {}: {} parameters, {} MACs".format(at, *map(thousands, numbers)))
    out(f"from: {entry.plugin.name} ({found['source']})")
    if mechanism:
        out(f"\nYAML:\n{_indented(yaml_snippet(mechanism))}")
    if isinstance(entry, registry.ModuleEntry) and mechanism:
        out(f"\nPython:\n{_indented(python_snippet(mechanism))}")
    if mechanism:
        return
    out(f"\nYAML:\n  {node_snippet(entry)}")


def _mechanism(entry: Entry) -> ModuleEntry | None:
    """The entry of a mechanism; for a block with a kind, that of a mechanism that does the same; None for a layer."""
    if isinstance(entry, registry.BlockEntry) and entry.category == "mechanism":
        from composer.contract.block import as_mechanism

        return as_mechanism(entry)
    return registry.get_mechanism(entry.name)


def _places(entry: ModuleEntry) -> list[dict[str, str]]:
    from composer.dag.rules.default_place import default_places

    return [dict(place) for place in default_places(entry)]


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def yaml_snippet(entry: ModuleEntry) -> str:
    """A spec that uses a mechanism at its default place."""
    from composer.api import compose
    from composer.dag.rules.default_place import default_place, default_sources
    from composer.spec.dump import dump

    place = default_place(entry, compose("resnet50").places.sites)
    rule = {"use": entry.name, **place, **default_sources(entry, place)}
    return dump({"backbone": "resnet50", "attention": [rule]})


def node_snippet(entry: Entry) -> str:
    """A node of a layer as a spec writes it, with every option that it needs and its inputs, where it takes several."""
    fewest, most = entry.inputs
    taken = 2 if most is None else fewest
    needed = [name for name, field in entry.known_options.items() if field.is_required()]
    keys = [f"op: {entry.name}"]
    if taken > 1:
        keys.append(f"from: [{', '.join(entry.tensors[:taken] or ('one', 'other'))}]")
    keys += [f"{name}: …" for name in needed]
    return f"a_node: {entry.name}" if len(keys) == 1 else f"a_node: {{{', '.join(keys)}}}"


def python_snippet(entry: ModuleEntry) -> str:
    """Python code that runs a mechanism by itself."""
    values = {"height": 14, "width": 14, "tokens": 196, "spatial_dims": 2, "prefix_tokens": 0}
    required = [name for name, default in entry.facts.items() if default is inspect.Parameter.empty]
    # Of a further tensor, `skip_height` is a height.
    known = {name: values.get(name, values.get(name.rpartition("_")[2], 256)) for name in required}
    arguments = ", ".join(f"{name}={value}" for name, value in known.items())
    x = "torch.randn(2, 196, 256)" if entry.works_on == "b n c" else "torch.randn(2, 256, 14, 14)"
    name, given = entry.factory.__name__, ", ".join([x] * entry.inputs[0])
    return f"from {entry.factory.__module__} import {name}\n\ny = {name}({arguments})({given})"


def cost(entry: ModuleEntry, channels: int, height: int, width: int) -> dict[str, Any] | None:
    """Parameters and MACs of a mechanism with its defaults at a place of this size; None if it refuses the place."""
    from composer.api import compose

    tokens = entry.works_on == "b n c"
    sequence = {"shape": [height * width, channels], "layout": "b n c", "grid": [height, width]}
    shape: Any = sequence if tokens else [channels, height, width]
    written = {"out_channels": channels, "kernel_size": 3}
    settings = {name: value for name, value in written.items() if name in entry.settings.model_fields}
    try:
        found = compose(
            {"input": shape, "nodes": {"shown": {"op": entry.name, "from": ["input"] * entry.inputs[0], **settings}}}
        )
    except ComposerError:
        return None
    at = f"{height * width} tokens of {channels}" if tokens else f"{channels}×{height}×{width}"
    return {"at": at, "parameters": found.num_parameters, "macs": found.num_macs}


def _spec(spec: Spec) -> dict[str, Any]:
    return {
        "name": spec.name,
        **({"description": spec.description} if spec.description else {}),
        "files": list(dict.fromkeys(file.origin.document.source.name for file in spec.files)),
        "about": [text for file in spec.files if (text := file.origin.document.comment)],
        **({"published": spec.published.model_dump(exclude_none=True)} if spec.published else {}),
        "vars": dict(spec.vars),
        "kinds": {name: describe(kind.schema()) for name, kind in spec.kinds.items()},
        "meanings": {name: kind.description for name, kind in spec.kinds.items()},
        "inputs": {name: value.model_dump() for name, value in spec.inputs.items()},
        **({"arguments": _arguments(spec.source)} if spec.source else {}),
        "rules": [rule.model_dump(exclude_unset=True, by_alias=True) for rule, _ in spec.rules],
    }


def _arguments(source: ModelSource) -> list[str]:
    from composer.sources import arguments_of

    return arguments_of(source)


def _print_spec(found: dict[str, Any]) -> None:
    from composer.spec.dump import dump

    for text in found.pop("about"):
        out("\n".join(f"# {line}".rstrip() for line in text.splitlines()) + "\n")
    kinds, meanings = found.pop("kinds"), found.pop("meanings")
    out(dump(found), end="")
    if kinds:
        # As comments, so that the whole is YAML.
        out()
        rows = [(f"# {name}", kinds[name], meanings[name]) for name in kinds]
        print_table(("# var", "may be", "what it means"), rows)
