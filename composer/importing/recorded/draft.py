"""A recording in the words of the language, before equal parts become blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from composer.dag.tensor import TensorSpec


@dataclass(eq=False)
class Item:
    """A node to write: an operation with its options, or another scope.

    refs   its inputs: names of nodes or inputs of the scope, `node.output` for one of several outputs
    share  name of the node whose module it calls again; None for a module of its own
    """

    name: str
    path: str
    refs: list[str]
    op: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    inner: Draft | None = None
    sites: tuple[str, ...] = ()
    share: str | None = None


@dataclass(eq=False)
class Draft:
    """A scope to write.

    kind     class of the module that it is
    inputs   name -> tensor
    outputs  name -> reference
    specs    reference -> tensor, of all its nodes
    """

    kind: str
    name: str
    path: str
    inputs: dict[str, TensorSpec]
    items: list[Item] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    specs: dict[str, TensorSpec] = field(default_factory=dict)

    @property
    def is_passage(self) -> bool:
        """Whether it gives what it takes."""
        return not self.items and len(self.outputs) == 1
