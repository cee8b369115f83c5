"""Opens a module's forward: torch.fx writes it down as a graph whose leaves are the module's children."""

from __future__ import annotations

import contextlib
import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError

from composer.foreign import is_error, named
from composer.hosts.edits.signature import is_literal, parameters_of, wrapped_parameters_of

# Under this keyword, the mapping of further keywords is handed on as a whole.
FURTHER = "further_keywords"


class Closed(Exception):
    """A module's forward cannot be opened; the message says why."""


@dataclass(frozen=True)
class Opened:
    """A module's forward as a graph, the same in training and in evaluation.

    parameters  of the forward, behind `self`
    fixed       name of an argument -> the only value for which the graph is right
    read        name of an attribute of the module -> the only value for which the graph is right
    """

    graph: fx.Graph
    parameters: Sequence[inspect.Parameter]
    fixed: Mapping[str, Any]
    read: Mapping[str, Any]


def opened(module: nn.Module, given: Mapping[str, Any]) -> Opened:
    """The graph of a module's forward. Raises Closed.

    given  the arguments of a call, by name: tensors become inputs of the graph, and so does all that the forward only
           hands on; the rest is fixed to what it is
    """
    forward = _innermost(type(module))
    parameters = parameters_of(forward)
    values = {one.name: given.get(one.name, _default(one)) for one in parameters}
    mode = module.training
    try:
        module.training = False
        closed, (graph, read) = _freest(module, forward, values)
        module.training = True
        in_training, also_read = _traced(module, forward, values, closed)
    finally:
        module.training = mode
    fixed = {name: values[name] for name in sorted(closed)}
    if strange := [name for name, value in fixed.items() if not is_literal(value)]:
        raise Closed(f"what it does depends on its argument `{strange[0]}`")
    _merge(graph, in_training)
    read = {name: value for name, value in {**also_read, **read}.items() if name != "training"}
    return Opened(graph, parameters, fixed, read)


def _innermost(made: type[nn.Module]) -> Any:
    """The function that a class's forward runs. Raises Closed if it is decorated in a way that an edit would lose."""
    forward: Any = made.forward
    if _names(parameters_of(forward)) == _names(wrapped_parameters_of(made)):
        return forward

    def probe(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("only its class is looked at")

    # A class may decorate the forward of each subclass (transformers' checkpointing of layers): so will ours be.
    derived: Any = type(made.__name__, (made,), {"forward": probe, "__module__": made.__module__})
    again = derived.forward
    inner = getattr(forward, "__wrapped__", None)
    same = again is not probe and getattr(again, "__code__", 0) is getattr(forward, "__code__", 1)
    if not same or _names(parameters_of(inner)) != _names(wrapped_parameters_of(made)):
        raise Closed("its forward is decorated")
    return inner


def _names(parameters: Sequence[inspect.Parameter]) -> list[str]:
    return [one.name for one in parameters]


def _default(one: inspect.Parameter) -> Any:
    if one.kind is one.VAR_POSITIONAL:
        return ()
    return None if one.default is one.empty else one.default


def _freest(
    module: nn.Module, forward: Any, values: Mapping[str, Any]
) -> tuple[set[str], tuple[fx.Graph, dict[str, Any]]]:
    """The arguments that must be fixed, and the graph for them. Raises Closed."""
    closed = {
        one.name
        for one in parameters_of(forward)
        if one.kind is not one.VAR_KEYWORD and not _holds_tensor(values[one.name])
    }
    best = _traced(module, forward, values, closed)
    for name in sorted(closed):
        # An argument that the forward only hands on may have any value.
        with contextlib.suppress(Closed):
            freer = _traced(module, forward, values, closed - {name})
            if _words(freer[0], {name: values[name]}) == _words(best[0], {}):
                closed, best = closed - {name}, freer
    return closed, best


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_tensor, value.values()))
    return isinstance(value, Tensor) or (isinstance(value, tuple | list) and any(map(_holds_tensor, value)))


class _Further(dict[str, Any]):
    """Stands for further keywords: a forward may hand them on with `**`, and look at none."""

    def _refuse(self, *_: Any) -> Any:
        raise TraceError("it looks into its further keywords")

    # Not `__iter__`: Python hands a mapping on with `**` without asking it only if that is dict's own.
    get = pop = setdefault = __contains__ = __getitem__ = __len__ = items = keys = values = _refuse


class _Tracer(fx.Tracer):
    """Traces one forward, with children as leaves and some arguments fixed."""

    def __init__(self, forward: Any, values: Mapping[str, Any], closed: set[str]) -> None:
        super().__init__()
        self.forward, self.values, self.closed = forward, values, closed

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Any, list[Any]]:
        """The forward as a function of positional arguments only, and its arguments."""
        found = {one.name: self.argument(one) for one in parameters_of(self.forward)}
        own = self.forward
        code = own.__code__
        names = code.co_varnames[1 : len(found) + 1]
        flags = code.co_flags & ~(inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
        plain = code.replace(co_argcount=len(found) + 1, co_posonlyargcount=0, co_kwonlyargcount=0, co_flags=flags)
        function: Any = types.FunctionType(plain, own.__globals__, own.__name__, None, own.__closure__)
        return function, [self.root, *(found[name] for name in names)]

    def argument(self, one: inspect.Parameter) -> Any:
        value = self.values[one.name]
        if one.name in self.closed:
            return value
        proxy: Any = self.create_proxy("placeholder", one.name, (), {})
        if one.kind is one.VAR_POSITIONAL:
            return tuple(proxy[number] for number in range(len(value)))
        return _Further({FURTHER: proxy}) if one.kind is one.VAR_KEYWORD else proxy


def _traced(
    module: nn.Module, forward: Any, values: Mapping[str, Any], closed: set[str]
) -> tuple[fx.Graph, dict[str, Any]]:
    """The graph in the module's mode, and the plain attributes of the module that its forward read. Raises Closed."""
    try:
        with _reading(module) as read:
            graph = _Tracer(forward, values, closed).trace(module)
    except BaseException as error:
        if not is_error(error):
            raise
        first = next(iter(named(error).splitlines()), "")
        raise Closed(first if len(first) < 200 else f"{first[:200]}…") from error
    if any(node.op == "get_attr" and str(node.target).startswith("_tensor_constant") for node in graph.nodes):
        raise Closed("it makes a tensor that depends on no input")
    for node in graph.nodes:
        node.type = None
    return graph, read


@contextlib.contextmanager
def _reading(module: nn.Module) -> Iterator[dict[str, Any]]:
    """Notes the plain attributes of a module that are read: what its forward decides by them is decided once."""
    found: dict[str, Any] = {}
    made = type(module)

    def read(self: nn.Module, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if not name.startswith("_") and name in self.__dict__ and is_literal(value):
            found[name] = value
        return value

    def write(self: nn.Module, name: str, value: Any) -> None:
        if self is module and name != "training" and not (is_literal(value) and self.__dict__.get(name, read) == value):
            raise TraceError(f"it sets its attribute `{name}`")
        made.__setattr__(self, name, value)

    own = {"__getattribute__": read, "__setattr__": write, "__module__": made.__module__}
    module.__class__ = type(made.__name__, (made,), own)
    try:
        yield found
    finally:
        object.__setattr__(module, "__class__", made)


def _words(graph: fx.Graph, values: Mapping[str, Any]) -> list[str]:
    """The graph's steps in words, with values in the place of some of its inputs."""
    words: dict[fx.Node, Any] = {}
    lines: list[str] = []
    for node in graph.nodes:
        if node.op == "placeholder":
            words[node] = _Word(repr(values[node.target]) if node.target in values else str(node.target))
            continue
        shown = fx.node.map_arg((node.args, node.kwargs), words.__getitem__)
        words[node] = _Word(f"%{len(lines)}")
        lines.append(f"{node.op} {node.target} {shown!r}")
    return lines


@dataclass(frozen=True)
class _Word:
    text: str

    def __repr__(self) -> str:
        return self.text


def _merge(evaluating: fx.Graph, training: fx.Graph) -> None:
    """Make the first graph right in training too. Raises Closed if more than a flag differs."""
    if _words(evaluating, {}) == _words(training, {}):
        return
    pairs = list(zip(evaluating.nodes, training.nodes, strict=False))
    same = len(evaluating.nodes) == len(training.nodes)
    if not same or any((one.op, str(one.target)) != (other.op, str(other.target)) for one, other in pairs):
        raise Closed("it is wired otherwise in training")
    names = {other: one for one, other in pairs}
    first = next(node for node in evaluating.nodes if node.op != "placeholder")
    with evaluating.inserting_before(first):
        flag = evaluating.get_attr("training")
    for one, other in pairs:
        theirs = fx.node.map_arg((other.args, other.kwargs), names.__getitem__)
        one.args, one.kwargs = _flagged((one.args, one.kwargs), theirs, flag)


def _flagged(ours: Any, theirs: Any, flag: fx.Node) -> Any:
    if ours is False and theirs is True:
        return flag
    if type(ours) is not type(theirs):
        raise Closed("it is wired otherwise in training")
    if isinstance(ours, tuple | list):
        if len(ours) != len(theirs):
            raise Closed("it is wired otherwise in training")
        return type(ours)(_flagged(one, other, flag) for one, other in zip(ours, theirs, strict=True))
    if isinstance(ours, dict):
        return {name: _flagged(one, theirs.get(name), flag) for name, one in ours.items()}
    if isinstance(ours, slice):
        parts = [(ours.start, theirs.start), (ours.stop, theirs.stop), (ours.step, theirs.step)]
        return slice(*(_flagged(one, other, flag) for one, other in parts))
    if ours is not theirs and ours != theirs:
        raise Closed("it is wired otherwise in training")
    return ours
