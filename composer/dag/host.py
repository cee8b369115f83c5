"""What nodes of a recorded module hold: where the call is made, and what it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import nn

from composer.dag.operation import Operation
from composer.dag.scope import Scope
from composer.spec.model_source import ModelSource

# Where a tensor stands in the arguments or results of a call: ("feats", 1) is the second of the list `feats`.
Where = tuple[str | int, ...]


@dataclass(frozen=True)
class Call:
    """A call that a module's forward makes: its frame is that forward.

    frame     path of the module whose forward makes the call; empty for the root
    target    path of the called module relative to the frame, such as `blocks.0`; or the name of the function
    number    how many calls of the same target the frame made before, from 0
    function  whether the target is a function
    item      which of the results this is, if there are several; empty for the only one, or the first of a module
    """

    frame: str
    target: str
    number: int
    function: bool = False
    item: Where = ()

    @property
    def whole(self) -> Call:
        """The call, whichever of its results is meant."""
        return replace(self, item=())


@dataclass(frozen=True, eq=False)
class HostOperation(Operation):
    """A call of a module without parts of its own, of a function, or the use of a parameter (call None).

    where  where the tensor stands in what the call gives; empty for a call that gives this tensor alone
    """

    call: Call | None = None
    where: Where = ()


@dataclass(frozen=True)
class HostScope(Scope):
    """A module that contains others, as one call of it ran.

    call       where it was called; None for the root, and for a container whose members are called one after another
               without a call of its own, such as an nn.ModuleList: their calls stand in the frame around it
    module     its class
    file, line where its class is defined; empty and 0 if not known
    arguments  input of the scope -> where it stands among the arguments of `forward`
    results    output of the scope -> where it stands in what `forward` returns; empty for the only tensor
    library    of a whole model that another library makes: what a spec says of it
    findings   of such a model: for each site how many nodes have it, which, and why; then the levels of its tree
    twin       of such a model: itself, on the meta device
    own, given  of such a model: names of its own nodes, and its own outputs; a spec may put nodes behind them
    whole      of such a model whose outputs a spec chooses: the model before, with all nodes
    """

    call: Call | None = None
    module: type[nn.Module] = nn.Module
    file: str = ""
    line: int = 0
    arguments: Mapping[str, Where] = field(default_factory=dict)
    results: Mapping[str, Where] = field(default_factory=dict)
    library: ModelSource | None = None
    findings: tuple[str, ...] = ()
    twin: nn.Module | None = field(default=None, repr=False, compare=False)
    own: frozenset[str] = frozenset()
    given: Mapping[str, str] = field(default_factory=dict)
    whole: HostScope | None = field(default=None, repr=False, compare=False)

    @property
    def is_recorded(self) -> bool:
        """True."""
        return True


def recorded_part(whole: HostScope) -> HostScope:
    """A model of another library as it was recorded, without rules and without nodes behind it."""
    plain = whole.untouched
    assert isinstance(plain, HostScope), "rules keep the kind of a scope"
    nodes = {name: node for name, node in plain.nodes.items() if name in whole.own}
    return replace(plain, nodes=nodes, outputs=whole.given)


def edited_part(whole: HostScope) -> HostScope:
    """The model with what rules put into it, without nodes behind it."""
    nodes = {name: whole.nodes[name] for name in names_inside(whole)}
    ends = {name: node.tail or name for name, node in nodes.items()}
    outputs = {key: _at_end(reference, ends) for key, reference in whole.given.items()}
    return replace(whole, nodes=nodes, outputs=outputs)


def names_inside(whole: HostScope) -> list[str]:
    """The nodes of the root that run inside the model: its own, and those that rules put among them."""
    known = {*whole.inputs, *whole.own}
    for name, node in whole.nodes.items():
        if node.rule is not None and known.issuperset(one.partition(".")[0] for one in node.inputs):
            known.add(name)
    return [name for name in whole.nodes if name in known]


def _at_end(reference: str, ends: Mapping[str, str]) -> str:
    name, dot, rest = reference.partition(".")
    return f"{ends.get(name, name)}{dot}{rest}"
