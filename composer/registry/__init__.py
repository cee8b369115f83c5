"""Names that specs may use, and the plugins that register them. Its `state` changes while plugins load."""

from composer.registry.entry import (
    CONV_FACTS,
    ENTRY_POINTS,
    FACTS,
    GRID_FACTS,
    LAYER_KINDS,
    MECHANISM_KINDS,
    POSITIONS,
    REPLACEABLE,
    RESERVED_OPTIONS,
    TENSOR_FACTS,
    CodeRule,
    Entry,
    FunctionEntry,
    LayoutRule,
    ModuleEntry,
    ParameterEntry,
    PlaceRule,
    Plugin,
    Target,
)
from composer.registry.grid import GridRule, TokenGrid
from composer.registry.lookup import again as _again  # pickled networks may refer to this name
from composer.registry.lookup import blamed, entries, failures, get, get_mechanism, mechanisms, plugin_versions
from composer.registry.plugins import load_plugin_file, load_plugins
from composer.registry.register import layer, mechanism
from composer.registry.rules import declared_macs, declared_shape
from composer.registry.state import state as _state

__all__ = [
    "CONV_FACTS",
    "ENTRY_POINTS",
    "FACTS",
    "GRID_FACTS",
    "LAYER_KINDS",
    "MECHANISM_KINDS",
    "POSITIONS",
    "REPLACEABLE",
    "RESERVED_OPTIONS",
    "TENSOR_FACTS",
    "CodeRule",
    "Entry",
    "FunctionEntry",
    "GridRule",
    "LayoutRule",
    "ModuleEntry",
    "ParameterEntry",
    "PlaceRule",
    "Plugin",
    "Target",
    "TokenGrid",
    "_again",
    "_state",
    "blamed",
    "declared_macs",
    "declared_shape",
    "entries",
    "failures",
    "get",
    "get_mechanism",
    "layer",
    "load_plugin_file",
    "load_plugins",
    "mechanism",
    "mechanisms",
    "plugin_versions",
]
