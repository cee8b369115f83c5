"""Blocks of a YAML file in the registry: what a plugin in YAML brings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from composer.errors import Diagnostic, PluginError, SpecError
from composer.options import options_model
from composer.registry.entry import FACTS, GROUP_BY_KIND, MECHANISM_KINDS, TENSOR_FACTS, Entry, Plugin
from composer.registry.state import state
from composer.spec.library import read_library
from composer.spec.model import BlockSpec
from composer.spec.origin import Origin
from composer.spec.spec import Spec

ATTENTION = "attention"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class BlockEntry(Entry):
    """A block of a plugin in YAML. It is composed where it is used, and its file's other blocks with it.

    library   the file, whose blocks and vars it sees
    """

    library: Spec

    @property
    def block(self) -> BlockSpec:
        """What the file says."""
        return self.library.blocks[self.name]

    @property
    def origin(self) -> Origin:
        """Where the file says it."""
        return self.library.block_origins[self.name]

    @property
    def category(self) -> Literal["mechanism", "layer"]:
        """`mechanism` for a block with a `kind`, else `layer`."""
        return "mechanism" if self.kind in MECHANISM_KINDS else "layer"

    @property
    def group(self) -> str:
        """Where `composer list mechanisms` shows it: by its kind."""
        return GROUP_BY_KIND.get(self.kind, self.kind)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names that people use for it: none that a file could say."""
        return ()

    @property
    def doc(self) -> str:
        """The block's description, unindented."""
        return inspect.cleandoc(self.block.description or "")

    @property
    def has_attention(self) -> bool:
        """Whether it has an output `attention`."""
        return ATTENTION in (self.block.outputs or {})

    @property
    def replaces_conv(self) -> bool:
        """Whether it can stand in for a convolution and change the shape as that does."""
        return "out_channels" in self.block.args

    @property
    def facts(self) -> tuple[str, ...]:
        """The arguments that are filled in from a place."""
        return tuple(name for name in self.block.args if name in FACTS)


def load_block_file(path: Path, plugin: Plugin) -> None:
    """Register the blocks of a YAML file, all or none. Raises PluginError with the lines at fault."""
    known = [entry.plugin.sha256 for entry in state.entries.values() if entry.file == str(path)]
    if plugin.sha256 in known:
        return
    try:
        library = read_library(path)
    except SpecError as error:
        raise PluginError(error.diagnostics) from error
    with state.lock:
        made = {name: _entry(name, library, plugin) for name in library.blocks}
        PluginError.check(problem for entry in made.values() if (problem := _taken(entry)))
        state.entries.update(made)
        state.plugins[plugin.name] = plugin


def _entry(name: str, library: Spec, plugin: Plugin) -> BlockEntry:
    block, origin = library.blocks[name], library.block_origins[name]
    location = origin.location(key=True)
    return BlockEntry(
        name=name,
        kind=block.kind or "other",
        factory=partial(_not_called, name),
        options=options_model(name, _fields(block.args)),
        inputs=(len(block.inputs), len(block.inputs)),
        tensors=tuple(block.inputs),
        plugin=plugin,
        file=library.files[0].origin.document.source.name,
        line=location.line if location else 1,
        library=library,
    )


def _fields(args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as fields of a model. What arrives tells the facts of a tensor, so nobody has to write them."""
    told = (*TENSOR_FACTS, "in_channels")
    return {name: (Any, ... if default is None and name not in told else default) for name, default in args.items()}


def _not_called(name: str) -> None:
    raise TypeError(f"`{name}` is a block, which is composed and not called")


def _taken(entry: BlockEntry) -> Diagnostic | None:
    """The problem with a name that something else has. The same file again is a reload."""
    other = state.entries.get(entry.name)
    if other is None or Path(other.file).resolve() == Path(entry.file).resolve():
        return None
    text = f"cannot register `{entry.name}`: the name is taken by {other.file}:{other.line}"
    return entry.origin.problem("plugin", text, "another name", key=True)
