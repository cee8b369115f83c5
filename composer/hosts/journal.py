"""What was inserted into a model, as the model itself carries it: copies and pickles have it too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from composer.errors import Diagnostic, InputError
from composer.hosts.refusal import not_a_module

# The key in the `__dict__` of the module that was given to `insert`.
KEY = "composer_insertions"
# The key in the `__dict__` of a module that runs children of a module around it: a list that holds that module, since a
# module that is an attribute would be a child.
AROUND = "composer_around"


@dataclass
class Edited:
    """A module that was edited, and all that undoes it.

    path     in the model
    text     of the class that it got; empty if it kept its own
    added    names of the modules and parameters that were put in
    gone     name -> the module that was taken out
    emptied  name -> the value of an attribute that gave its name to a module
    order    names of the children that it had
    around   whether it knows the module around it, which owns what it runs
    training  its mode when modules were taken out; None in models that were pickled before this was noted
    """

    path: str
    text: str = ""
    added: tuple[str, ...] = ()
    gone: dict[str, nn.Module] = field(default_factory=dict)
    emptied: dict[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    around: bool = False
    training: bool | None = None


@dataclass
class Journal:
    """All insertions of one model.

    Pickled models name this class and Edited: never rename or move them.

    rules    as a spec's `attention` writes them
    blocks   as a spec's `blocks` writes them
    sites    site -> globs that were given with the rules
    seed     of the inserted modules
    example  the arguments for which the model was recorded, on the meta device
    edited   what was edited, in this order
    nodes    path of an inserted module or parameter -> path of its node in the graph; None in models that were pickled
             before this was noted
    vars     that rules read; None as for `nodes`
    """

    rules: list[dict[str, Any]]
    blocks: dict[str, Any]
    sites: dict[str, Any]
    seed: int
    example: tuple[tuple[Any, ...], dict[str, Any]]
    edited: list[Edited] = field(default_factory=list)
    nodes: Mapping[str, str] | None = None
    vars: Mapping[str, Any] | None = None

    def with_rules(self, rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Rules with what they use: as `insert` takes them."""
        besides = {"blocks": self.blocks, "vars": self.vars}
        return {**{name: value for name, value in besides.items() if value}, "attention": list(rules)}

    @property
    def added(self) -> list[str]:
        """Paths of the inserted modules and parameters."""
        return [f"{one.path}.{name}" if one.path else name for one in self.edited for name in one.added]


def journal_of(model: nn.Module) -> Journal | None:
    """The journal of a model; None if nothing was inserted into it."""
    found = model.__dict__.get(KEY)
    return found if isinstance(found, Journal) else None


def journals(model: nn.Module) -> Mapping[str, Journal]:
    """Path -> journal of each module that was given to `insert`, here or further inside. Raises InputError."""
    InputError.check(not_a_module(model))
    found = {path: journal_of(module) for path, module in model.named_modules()}
    return {path: one for path, one in found.items() if one is not None}


def required_journal(model: nn.Module) -> Journal:
    """The journal of a model. Raises InputError if nothing was inserted into it, or it is no module."""
    InputError.check(not_a_module(model))
    journal = journal_of(model)
    if journal is None:
        inside = [path for path, _ in journals(model).items()]
        help = (f"it was inserted into `{inside[0]}`: give that module",) if inside else ()
        raise InputError(Diagnostic("insertion", "nothing was inserted into this model", help=help))
    return journal
