"""What `composer show` tells of a mechanism or layer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from composer import registry
from composer.docstring import sections
from composer.errors import ComposerError
from composer.registry import Entry, ModuleEntry
from composer.schema import describe


def described(entry: Entry, size: tuple[int, int, int]) -> dict[str, Any]:
    """All of an entry as plain JSON values; `size` is that of a mechanism's cost: channels, rows and columns."""
    mechanism = _mechanism(entry)
    layout = mechanism.works_on if mechanism else entry.layout_rule
    return {
        "name": entry.name,
        "category": entry.category,
        "kind": entry.kind,
        "doc": entry.doc,
        "sections": sections(entry.doc),
        "tensors": list(entry.tensors),
        "facts": list(entry.facts) if isinstance(entry, ModuleEntry | registry.BlockEntry) else [],
        "layout": layout if isinstance(layout, str) else None,
        "layouts": _layouts(mechanism, layout),
        "replaces": mechanism.replaces if mechanism else None,
        "places": _places(mechanism) if mechanism else None,
        "prefix": mechanism is not None and mechanism.prefix,
        "group": mechanism.group if mechanism is not None else None,
        "aliases": list(mechanism.aliases) if mechanism is not None else [],
        "applied": entry.applied if isinstance(entry, ModuleEntry) and entry.has_attention else None,
        "declares": [word for word in ("shape", "macs", "reference") if getattr(entry, word, None) is not None],
        "options": {
            name: {"type": describe(part), "required": "default" not in part, "default": part.get("default")}
            for model in entry.models
            for name, part in model.model_json_schema().get("properties", {}).items()
        },
        "cost": cost(mechanism, *size) if mechanism else None,
        "yaml": yaml_snippet(mechanism) if mechanism else node_snippet(entry),
        "python": python_snippet(mechanism) if mechanism and isinstance(entry, ModuleEntry) else None,
        "plugin": entry.plugin.name,
        "source": f"{entry.file}:{entry.line}",
    }


def _mechanism(entry: Entry) -> ModuleEntry | None:
    """The entry of a mechanism; for a block with a kind, that of a mechanism that does the same; None for a layer."""
    if isinstance(entry, registry.BlockEntry) and entry.category == "mechanism":
        from composer.contract.block import as_mechanism

        return as_mechanism(entry)
    return registry.get_mechanism(entry.name)


def _layouts(mechanism: ModuleEntry | None, layout: object) -> list[str | None]:
    if mechanism is not None:
        return list(mechanism.layouts)
    return [layout] if isinstance(layout, str) else []


def _places(entry: ModuleEntry) -> list[dict[str, str]]:
    from composer.dag.rules.default_place import default_places

    return [dict(place) for place in default_places(entry)]


def yaml_snippet(entry: ModuleEntry) -> str:
    """A spec that uses a mechanism at its default place."""
    from composer.dag.rules.default_place import default_place, default_sources
    from composer.spec.dump import dump

    known = ("resnet50", "vit_tiny_patch16_224")
    places = {backbone: default_place(entry, _sites(backbone)) for backbone in known}
    fitting = (one for one in known if not _sites(one).keys().isdisjoint(places[one].values()))
    backbone = next(fitting, known[0])
    place = places[backbone]
    rule = {"use": entry.name, **place, **default_sources(entry, place)}
    return dump({"backbone": backbone, "attention": [rule]})


@cache
def _sites(backbone: str) -> Mapping[str, int]:
    from composer.api import compose

    return compose(backbone).places.sites


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
    values = {"height": 14, "width": 14, "tokens": 196, "spatial_dims": 2, "prefix_tokens": 1}
    required = [name for name, default in entry.facts.items() if default is inspect.Parameter.empty]
    # Of a further tensor, `skip_height` is a height.
    known = {name: values.get(name, values.get(name.rpartition("_")[2], 256)) for name in required}
    arguments = ", ".join(f"{name}={value}" for name, value in known.items())
    x = "torch.randn(2, 196, 256)" if entry.works_on == "b n c" else "torch.randn(2, 256, 14, 14)"
    name, given = entry.factory.__name__, ", ".join([x] * entry.inputs[0])
    return f"from {_module(entry)} import {name}\n\ny = {name}({arguments})({given})"


def _module(entry: ModuleEntry) -> str:
    """The module to import a mechanism from; of a plugin file, which is loaded under a name of its own, its stem."""
    return Path(entry.file).stem if entry.plugin.sha256 else entry.factory.__module__


def cost(entry: ModuleEntry, channels: int, height: int, width: int) -> dict[str, Any] | None:
    """Parameters and MACs of a mechanism with its defaults at a place of this size; None if it refuses the place."""
    from composer.api import compose

    tokens = entry.works_on == "b n c"
    # Those that ask for it stand behind a class token.
    prefix = int(entry.facts.get("prefix_tokens") is inspect.Parameter.empty)
    sequence = {"shape": [prefix + height * width, channels], "layout": "b n c", "grid": [height, width]}
    shape: Any = sequence if tokens else [channels, height, width]
    written = {"out_channels": channels, "kernel_size": 3}
    settings = {name: value for name, value in written.items() if name in entry.settings.model_fields}
    try:
        found = compose(
            {"input": shape, "nodes": {"shown": {"op": entry.name, "from": ["input"] * entry.inputs[0], **settings}}}
        )
    except ComposerError:
        return None
    at = f"{prefix + height * width} tokens of {channels}" if tokens else f"{channels}×{height}×{width}"
    return {"at": at, "parameters": found.num_parameters, "macs": found.num_macs}
