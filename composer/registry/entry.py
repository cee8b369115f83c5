"""What the registry knows of a name, and the words it uses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, TypeVar

from pydantic import BaseModel
from pydantic.fields import FieldInfo

MECHANISM_KINDS = ("channel", "spatial", "channel+spatial", "branch", "kernel", "token")
LAYER_KINDS = ("conv", "linear", "norm", "activation", "pool", "merge", "shape", "pad", "token", "parameter", "other")

# What a place knows. A replaced convolution adds its own settings to what every tensor has.
TENSOR_FACTS = ("channels", "height", "width", "tokens")
CONV_FACTS = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias")
FACTS = TENSOR_FACTS + CONV_FACTS
# How the values of `attention(x)` are applied (`mechanism` says what each is), and what a kind does unless it says so.
APPLIED = ("gate", "1 + gate", "branches", "experts", "positions")
APPLIED_BY_KIND = {
    **dict.fromkeys(("channel", "spatial", "channel+spatial"), "gate"),
    "branch": "branches",
    "kernel": "experts",
    "token": "positions",
}
REPLACEABLE = ("conv", "conv-norm-act", "conv-or-linear")

ENTRY_POINTS = "composer.plugins"
POSITIONS = ("before", "after", "replace", "beside")
RESERVED_OPTIONS = frozenset({"op", "block", "from", "when", "site", "repeat", "as", "inline", "args"})

Target = TypeVar("Target", bound=Callable[..., Any])
LayoutRule = str | Callable[..., str | None] | None
# (names of the tensors, their specs, **options) -> a Python expression
CodeRule = Callable[..., str]
# (specs of the tensors, and by name the arguments that it wants) -> the shape, or multiply-accumulates of one example
ShapeRule = Callable[..., Sequence[int]]
MacsRule = Callable[..., int]
# Keys of a rule that say where, such as {"after": "stage", "where": "not last"}.
PlaceRule = Mapping[str, str]


@dataclass(frozen=True)
class Plugin:
    """Where entries come from: composer itself, an installed package, or a file."""

    name: str
    version: str = ""
    sha256: str = ""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Entry:
    """One name of the registry: what all kinds of entries have. Equal only to itself.

    factory      makes what computes: a class, or a function
    options      model of the parameters after `*`: what a spec may set
    inputs       fewest and most tensors it takes; most is None for any number
    layout_rule  layers: what happens to the layout of the first input, see `layer`
    shape, macs  what it gives and costs, where that cannot be found out by running it on meta tensors, see `mechanism`
    file, line   where it is written
    """

    name: str
    kind: str
    factory: Callable[..., Any]
    options: type[BaseModel]
    inputs: tuple[int, int | None]
    plugin: Plugin
    file: str
    line: int
    layout_rule: LayoutRule = None
    shape: ShapeRule | None = None
    macs: MacsRule | None = None

    @property
    def category(self) -> Literal["mechanism", "layer"]:
        """Whether it is attention, or a building block."""
        return "layer"

    @property
    def models(self) -> tuple[type[BaseModel], ...]:
        """Models of all that a spec may set."""
        return (self.options,)

    @cached_property
    def known_options(self) -> Mapping[str, FieldInfo]:
        """All that a spec may set, by name."""
        return {name: field for model in self.models for name, field in model.model_fields.items()}

    def make(self, arguments: Mapping[str, Any]) -> Any:
        """What computes: a module, a function with its options bound, or the parameter itself."""
        return self.factory(**arguments)

    def run(self, made: Any, tensors: Sequence[Any]) -> Any:
        """What something that was made gives for these tensors."""
        return made(*tensors)

    def num_parameters(self, made: Any) -> int:
        """Learnable numbers in something that was made."""
        return 0

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


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ModuleEntry(Entry):
    """What makes a module: an nn.Module class, or a function whose return type is one. All mechanisms are such.

    module    the class of what is made, or one that it derives from
    facts     parameters before `*`, filled in from the place: name -> default or inspect.Parameter.empty
    settings  model of those facts that only a convolution knows: elsewhere a spec writes them like options
    works_on  mechanisms: the layout that they work in; None for layers
    replaces  mechanisms that stand in for a convolution: `conv`, `conv-norm-act` when they carry norm and activation,
              or `conv-or-linear` when they take `b c` as well, as a map of one position
    places    mechanisms: where they go by default, the first that a network has; none where their kind says enough
    applied   how the values of its `attention` are applied, one of APPLIED; None for a layer that does not say
    reference mechanisms: the plain formula that they are compared with, see `mechanism`
    """

    module: type
    facts: Mapping[str, Any]
    settings: type[BaseModel]
    works_on: str | None = None
    replaces: str | None = None
    places: Sequence[PlaceRule] = ()
    applied: str | None = None
    reference: Callable[..., Any] | None = None

    @property
    def category(self) -> Literal["mechanism", "layer"]:
        """A mechanism says what layout it works in."""
        return "layer" if self.works_on is None else "mechanism"

    @property
    def models(self) -> tuple[type[BaseModel], ...]:
        """Models of all that a spec may set: a convolution's settings before the options."""
        return (self.settings, self.options)

    @property
    def layouts(self) -> tuple[str | None, ...]:
        """The layouts that a mechanism works in."""
        return (self.works_on, "b c") if self.replaces == "conv-or-linear" else (self.works_on,)

    def num_parameters(self, made: Any) -> int:
        """Learnable numbers of the module."""
        return sum(parameter.numel() for parameter in made.parameters())


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class FunctionEntry(Entry):
    """A function of tensors.

    code  how a forward writes the call in PyTorch's own words; None for a call by name
    """

    code: CodeRule | None = None

    def make(self, arguments: Mapping[str, Any]) -> Any:
        """The function with its options bound."""
        return partial(self.factory, **arguments)

    def call(self, names: Sequence[str], inputs: Sequence[Any], options: Mapping[str, Any]) -> str:
        """The call as Python: of variables with these names and shapes."""
        if self.code is not None:
            return self.code(names, inputs, **options)
        return f"{self.name}({', '.join([*names, *(f'{name}={value!r}' for name, value in options.items())])})"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ParameterEntry(Entry):
    """A function that makes a learnable tensor."""

    def run(self, made: Any, tensors: Sequence[Any]) -> Any:
        """The tensor itself."""
        return made

    def num_parameters(self, made: Any) -> int:
        """Its numbers."""
        return int(made.numel())
