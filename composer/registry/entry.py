"""The entries of the registry, and the words that describe them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, TypeVar

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from composer.registry.grid import GridRule

MECHANISM_KINDS = ("channel", "spatial", "channel+spatial", "branch", "kernel", "token", "fusion")
GROUP_BY_KIND = {"channel+spatial": "both", "branch": "kernel"}
LAYER_KINDS = ("conv", "linear", "norm", "activation", "pool", "merge", "shape", "pad", "token", "parameter", "other")

# Facts of a place: a tensor has those of TENSOR_FACTS that it knows, a replaced convolution those of CONV_FACTS too.
# `spatial_dims` is the number of axes of positions: 2 for b c h w.
GRID_FACTS = ("grid_height", "grid_width", "prefix_tokens")
TENSOR_FACTS = ("channels", "height", "width", "tokens", "length", "frames", "spatial_dims", *GRID_FACTS)
CONV_FACTS = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias")
# The number of the place among those of its rule, from 0; 0 without a rule.
RULE_FACTS = ("place_index",)
FACTS = TENSOR_FACTS + CONV_FACTS + RULE_FACTS
# How the values of `attention(x)` are applied (`mechanism` explains each word), and the default per kind.
APPLIED = ("gate", "1 + gate", "branches", "experts", "positions")
APPLIED_BY_KIND = {
    **dict.fromkeys(("channel", "spatial", "channel+spatial"), "gate"),
    "branch": "branches",
    "kernel": "experts",
    "token": "positions",
}
# Sequences, images and videos; `b c *` is any of them.
MAPS = ("b c l", "b c h w", "b c t h w")
ANY_MAP = "b c *"
REPLACEABLE = ("conv", "conv-norm-act", "conv-or-linear")

ENTRY_POINTS = "composer.plugins"
POSITIONS = ("before", "after", "replace", "beside")
RESERVED_OPTIONS = frozenset({"op", "block", "from", "when", "site", "repeat", "as", "inline", "args"})

Target = TypeVar("Target", bound=Callable[..., Any])
LayoutRule = str | Callable[..., str | None] | None
# (names of the tensors, their specs, **options) -> a Python expression
CodeRule = Callable[..., str]
# (specs of the tensors, and by name the arguments that it needs) -> the shape, or multiply-accumulates per example
ShapeRule = Callable[..., Sequence[int]]
MacsRule = Callable[..., int]
# The keys of an attention rule that say where, such as {"after": "stage", "where": "not last"}.
PlaceRule = Mapping[str, str]


def layouts_of(layout: str | None) -> tuple[str | None, ...]:
    """The layouts that a layout of an entry stands for: itself, or each of MAPS for `b c *`."""
    return MAPS if layout == ANY_MAP else (layout,)


def facts_of_others(tensors: Sequence[str]) -> Mapping[str, tuple[int, str]]:
    """Names for the facts of further tensors, such as `skip_channels` -> number of the tensor, and its fact."""
    others = list(enumerate(tensors))[1:]
    return {f"{tensor}_{fact}": (index, fact) for index, tensor in others for fact in TENSOR_FACTS}


@dataclass(frozen=True)
class Plugin:
    """The origin of entries: composer itself, an installed package, or a file."""

    name: str
    version: str = ""
    sha256: str = ""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Entry:
    """A registered name: the fields of every kind of entry. Equal only to itself.

    factory      the class or function registered under the name
    options      model of the parameters after `*`, which a spec may set
    inputs       fewest and most tensors that it takes; most is None for any number
    tensors      names of the tensors that it takes, in order; what comes after them has no names
    layout_rule  layers: the layout of the output, see `layer`
    grid_rule    layers: the grid of the output's tokens, see `layer`
    shape, macs  rules for its output shape and cost, if running it on meta tensors cannot find them, see `mechanism`
    counted      whether a node with it bears the cost of its call: False for all results of a call but the first
    draws        layers: whether making it may draw random numbers other than from `composer.seeds.generator()`
    file, line   where the factory is defined
    """

    name: str
    kind: str
    factory: Callable[..., Any]
    options: type[BaseModel]
    inputs: tuple[int, int | None]
    tensors: tuple[str, ...]
    plugin: Plugin
    file: str
    line: int
    layout_rule: LayoutRule = None
    grid_rule: GridRule | None = None
    shape: ShapeRule | None = None
    macs: MacsRule | None = None
    counted: bool = True
    draws: bool = True

    @property
    def category(self) -> Literal["mechanism", "layer"]:
        """`mechanism` for attention, `layer` for a building block."""
        return "layer"

    @property
    def models(self) -> tuple[type[BaseModel], ...]:
        """The models of all parameters that a spec may set."""
        return (self.options,)

    @cached_property
    def known_options(self) -> Mapping[str, FieldInfo]:
        """All parameters that a spec may set, by name."""
        return {name: field for model in self.models for name, field in model.model_fields.items()}

    def make(self, arguments: Mapping[str, Any]) -> Any:
        """A module, a function with its options bound, or a parameter, made with these arguments."""
        return self.factory(**arguments)

    def run(self, made: Any, tensors: Sequence[Any]) -> Any:
        """The result of an object from `make` for these tensors."""
        return made(*tensors)

    def num_parameters(self, made: Any) -> int:
        """Learnable numbers in an object from `make`."""
        return 0

    def may_hide_cost(self, made: Any) -> bool:
        """Whether a count of no multiply-accumulates says nothing of an object from `make`."""
        # Not the operation's own number of parameters, which is 0 if it shares them.
        return not self.is_own and next(getattr(made, "parameters", lambda: iter(()))(), None) is not None

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return next(iter(self.doc.splitlines()), "")

    @property
    def doc(self) -> str:
        """The docstring, unindented."""
        # Taken from the class itself: a class without a docstring would inherit nn.Module's long one.
        own = self.factory.__dict__.get("__doc__") if isinstance(self.factory, type) else self.factory.__doc__
        return inspect.cleandoc(own or "")

    @property
    def is_own(self) -> bool:
        """Whether composer itself registered the name, not a plugin."""
        return self.plugin.name == "composer"

    @property
    def words(self) -> str:
        """Its name for a message, and its plugin's name if it has one."""
        return f"`{self.name}`" if self.is_own else f"`{self.name}` of plugin `{self.plugin.name}`"

    @property
    def has_attention(self) -> bool:
        """Whether the factory has a method `attention`."""
        return hasattr(self.factory, "attention")

    def __repr__(self) -> str:
        return f"<{self.category} {self.name}: {self.kind}>"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ModuleEntry(Entry):
    """An nn.Module class, or a function whose return type is an nn.Module class. Every mechanism is a ModuleEntry.

    module    the class of the module, or a base class of it
    facts     parameters before `*`, filled in from the place: name -> default or inspect.Parameter.empty
    settings  model of the facts that only a convolution has: elsewhere a spec writes them like options
    works_on  mechanisms: the layout that they work in, or `b c *` for any of MAPS; None for layers
    replaces  mechanisms that can replace a convolution: `conv`; `conv-norm-act` if they have a norm and activation;
              `conv-or-linear` if they also take `b c`, as a map with a single position
    places    mechanisms: default places, of which the first that a network has is used; empty: the kind decides
    applied   how the values of `attention` are applied, a word of APPLIED; None for a layer that does not say
    reference mechanisms: the plain formula that `composer check` compares them with, see `mechanism`
    prefix    mechanisms on maps: at tokens, whether the prefix tokens take part, see `mechanism`
    group     mechanisms: a word of GROUPS
    aliases   mechanisms: other names that people use, see `mechanism`
    """

    module: type
    facts: Mapping[str, Any]
    settings: type[BaseModel]
    works_on: str | None = None
    replaces: str | None = None
    places: Sequence[PlaceRule] = ()
    applied: str | None = None
    reference: Callable[..., Any] | None = None
    prefix: bool = False
    group: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def category(self) -> Literal["mechanism", "layer"]:
        """`mechanism` if `works_on` is set, else `layer`."""
        return "layer" if self.works_on is None else "mechanism"

    @property
    def models(self) -> tuple[type[BaseModel], ...]:
        """The models of all parameters that a spec may set: settings, then options."""
        return (self.settings, self.options)

    @cached_property
    def facts_of_tensors(self) -> Mapping[str, tuple[int, str]]:
        """Each fact that an input tensor has -> the number of that tensor, and the fact's name there."""
        first = {**{name: (0, name) for name in TENSOR_FACTS}, "in_channels": (0, "channels")}
        known = {**first, **facts_of_others(self.tensors)}
        return {name: one for name, one in known.items() if name in self.facts}

    @property
    def layouts(self) -> tuple[str | None, ...]:
        """The layouts that a mechanism works in."""
        return (*layouts_of(self.works_on), *(["b c"] if self.replaces == "conv-or-linear" else []))

    def num_parameters(self, made: Any) -> int:
        """Learnable numbers of the module."""
        return sum(parameter.numel() for parameter in made.parameters())


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class FunctionEntry(Entry):
    """A function of tensors.

    code  rule for the expression that a generated forward contains; None for a call of the function by name
    """

    code: CodeRule | None = None

    def make(self, arguments: Mapping[str, Any]) -> Any:
        """The function with its options bound."""
        return partial(self.factory, **arguments)

    def call(self, names: Sequence[str], inputs: Sequence[Any], options: Mapping[str, Any]) -> str:
        """The Python expression for a call with variables of these names and shapes."""
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
        """Learnable numbers in the tensor."""
        return int(made.numel())
