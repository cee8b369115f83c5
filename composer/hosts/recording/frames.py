"""What a run of a module consists of: frames, one for each forward that calls others, and their steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from composer.dag.host import Call, Where
from composer.dag.names import RESERVED
from composer.hosts.recording.replay import Replay


@dataclass(eq=False)
class Origin:
    """Where a tensor comes from: a node of a frame, or one of its inputs, and which of several outputs."""

    frame: Frame
    name: str
    output: str = ""

    @property
    def reference(self) -> str:
        return f"{self.name}.{self.output}" if self.output else self.name


@dataclass(eq=False)
class Step:
    """A node of a frame.

    path     of its module or parameter in the model; of a function, that of the frame with the node's name
    run      the module; the function with the arguments that are no tensors; the parameter itself
    inner    the frame of a module that contains others
    results  output -> tensor; `""` is the only one
    again    name of the node of this frame that called the same module before; empty if another frame did; None for the
             first call
    function of a function, itself
    given    of a module that is not looked into, how it was called, and which result is taken
    counted  whether it is the first result of its call
    """

    name: str
    path: str
    call: Call | None
    run: Any
    inputs: list[str]
    results: dict[str, Tensor]
    inner: Frame | None = None
    again: str | None = None
    function: Callable[..., Any] | None = None
    given: Replay | None = None
    counted: bool = True

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of its path below the frame's module."""
        assert self.call is not None
        return tuple(self.call.target.split("."))


@dataclass(eq=False)
class Frame:
    """One run of a module's forward.

    inputs   name -> tensor; `arguments` says where each stands
    outputs  name -> reference; `results` says where each stands
    exposed  outputs that the module does not return, but that are taken elsewhere
    brought  inputs that are no arguments of the module
    """

    module: nn.Module
    path: str
    parent: Frame | None
    name: str = ""
    inputs: dict[str, Tensor] = field(default_factory=dict)
    origins: dict[int, tuple[str, Origin | None]] = field(default_factory=dict)
    arguments: dict[str, Where] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    results: dict[str, Where] = field(default_factory=dict)
    exposed: set[str] = field(default_factory=set)
    brought: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        # Of a child's name, only its own calls may be called so.
        self.taken = {name for name, _ in self.module.named_children()} | RESERVED

    def free(self, wanted: str) -> str:
        """The name, or `name_2`, `name_3` … if a node, an input or a child has it."""
        number, name = 1, wanted
        while name in self.steps or name in self.inputs or name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        return name

    def around(self) -> Iterator[Frame]:
        """The frame itself, then those that called it, outward."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.parent
