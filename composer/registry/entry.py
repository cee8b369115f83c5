"""What the registry knows of a name, and the words it uses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

MECHANISM_KINDS = ("channel", "spatial", "channel+spatial", "branch", "kernel", "token")
LAYER_KINDS = ("conv", "linear", "norm", "activation", "pool", "merge", "shape", "pad", "token", "parameter", "other")

# What a place knows. A replaced convolution adds its own settings to what every tensor has.
TENSOR_FACTS = ("channels", "height", "width", "tokens")
CONV_FACTS = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias")
FACTS = TENSOR_FACTS + CONV_FACTS
REPLACEABLE = ("conv", "conv-norm-act", "conv-or-linear")

ENTRY_POINTS = "composer.plugins"
POSITIONS = ("before", "after", "replace", "beside")
RESERVED_OPTIONS = frozenset({"op", "block", "from", "when", "site", "repeat", "as", "inline", "args"})

Target = TypeVar("Target", bound=Callable[..., Any])
LayoutRule = str | Callable[..., str | None] | None
# (names of the tensors, their specs, **options) -> a Python expression
CodeRule = Callable[..., str]
# Keys of a rule that say where, such as {"after": "stage", "where": "not last"}.
PlaceRule = Mapping[str, str]
Form = Literal["module", "function", "parameter"]


@dataclass(frozen=True)
class Plugin:
    """Where entries come from: composer itself, an installed package, or a file."""

    name: str
    version: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Entry:
    """One name of the registry.

    form      `module` (made by an nn.Module class, or by a function whose return type is one), `function` (of tensors)
              or `parameter` (a function that makes one)
    module    the nn.Module class of what is made, or one that it derives from; None unless the form is `module`
    code      functions: how a forward writes the call in PyTorch's own words; None for a call by name
    facts     parameters before `*` of a module: filled in from the place; name -> default or inspect.Parameter.empty
    settings  model of those facts that only a convolution knows: elsewhere a spec writes them like options
    options   model of the parameters after `*`: what a spec may set
    inputs    fewest and most tensors it takes; most is None for any number
    layout    mechanisms: the layout they work in; layers: see `layer`
    replaces  mechanisms that stand in for a convolution: `conv`, `conv-norm-act` when they carry norm and activation,
              or `conv-or-linear` when they take `b c` as well, as a map of one position
    places    mechanisms: where they go by default, the first that a network has; none where their kind says enough
    """

    name: str
    category: Literal["mechanism", "layer"]
    kind: str
    form: Form
    factory: Callable[..., Any]
    facts: Mapping[str, Any]
    settings: type[BaseModel]
    options: type[BaseModel]
    inputs: tuple[int, int | None]
    layout: LayoutRule
    replaces: str | None
    places: Sequence[PlaceRule]
    plugin: Plugin
    file: str
    line: int
    module: type | None = None
    code: CodeRule | None = None

    @property
    def layouts(self) -> tuple[LayoutRule, ...]:
        """The layouts that a mechanism works in."""
        return (self.layout, "b c") if self.replaces == "conv-or-linear" else (self.layout,)

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return next(iter(self.doc.splitlines()), "")

    @property
    def doc(self) -> str:
        """The docstring, unindented."""
        # A class without one would inherit nn.Module's three pages.
        own = self.factory.__dict__.get("__doc__") if isinstance(self.factory, type) else self.factory.__doc__
        return inspect.cleandoc(own or "")

    @property
    def is_own(self) -> bool:
        """Whether it is composer's, and no plugin's."""
        return self.plugin.name == "composer"

    @property
    def words(self) -> str:
        """Its name for a message, with the plugin that it is of."""
        return f"`{self.name}`" if self.is_own else f"`{self.name}` of plugin `{self.plugin.name}`"

    @property
    def has_attention(self) -> bool:
        """Whether it says what its attention is: a class with a method `attention`."""
        return hasattr(self.factory, "attention")

    def __repr__(self) -> str:
        return f"<{self.category} {self.name}: {self.kind}>"
