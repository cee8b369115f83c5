"""A node or scope that is about to be made from a spec, and the exception that stops it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from composer.dag.nodes.unfinished import Missing
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic, Mistakes
from composer.spec.model import NodeSpec
from composer.spec.origin import Origin


class Stop(Mistakes):
    """A part cannot be elaborated. `lacking` is the copy that could not be made."""

    def __init__(self, *diagnostics: Diagnostic, lacking: Mapping[str, Missing] | None = None) -> None:
        super().__init__(*diagnostics)
        self.lacking = lacking or {}


@dataclass(frozen=True)
class Taken:
    """A tensor that a node takes. With `own`, a copy of a repeat takes it whatever the copy before hands on.

    `key` is equal for tensors that enter the scope of a repeat by one input.
    """

    reference: str
    tensor: TensorSpec
    key: Hashable = None
    own: bool = False


@dataclass(frozen=True)
class Step:
    """A node about to be made: its inputs, where it is written, and the names that its expressions may read.

    `copies` is what each copy of a repeat takes, or one entry for all; `references` and `tensors` are the first entry.
    `nodes` are those of its scope that are made already, for advice.
    """

    name: str
    path: str
    origin: Origin
    copies: tuple[tuple[Taken, ...], ...]
    names: Mapping[str, Any]
    depth: int
    nodes: Mapping[str, Node] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def references(self) -> tuple[str, ...]:
        return tuple(one.reference for one in self.copies[0])

    @cached_property
    def tensors(self) -> tuple[TensorSpec, ...]:
        return tuple(one.tensor for one in self.copies[0])

    @cached_property
    def known(self) -> dict[str, Any]:
        """The names that expressions may read: facts of the first input, overridden by names of the scope."""
        return {**(self.tensors[0].facts if self.tensors else {}), **self.names}

    def problem(self, code: str, message: str, label: str = "", help: tuple[str, ...] = ()) -> Diagnostic:
        return self.origin.problem(code, message, label, help, key=True, path=self.path)

    def problem_at(self, key: str, code: str, message: str, label: str = "", help: tuple[str, ...] = ()) -> Diagnostic:
        return (self.origin / key).problem(code, message, label, help, path=self.path)


@dataclass(frozen=True)
class Body:
    """The source of a scope: the nodes of a block (or of the network), and the names that its expressions may read.

    begun  a model of another library that the nodes stand behind; its nodes are there already
    """

    block: str
    path: str
    origin: Origin
    specs: Mapping[str, NodeSpec]
    inputs: Mapping[str, TensorSpec]
    names: Mapping[str, Any]
    outputs: Mapping[str, str]
    outputs_origin: Origin
    depth: int
    origins: Mapping[str, Origin] = field(default_factory=dict)
    begun: Scope | None = None

    def origin_of(self, name: str) -> Origin:
        """Where a node is written: the nodes of a network may be of several files."""
        return self.origins.get(name) or self.origin / "nodes" / name
