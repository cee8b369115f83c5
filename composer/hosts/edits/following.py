"""Runs opened forwards in the place of the modules' own, and finds which step of a graph makes which recorded call."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, fx, nn

from composer.hosts.edits.frames import FlatStep
from composer.hosts.edits.opened import FURTHER, Closed, Opened
from composer.hosts.recording.frames import Frame, Step
from composer.hosts.recording.record import device_of, is_whole
from composer.hosts.recording.replay import Replay
from composer.hosts.recording.trace import Tracer
from composer.torch_private import version_of


@dataclass
class Followed:
    """An opened forward that makes the calls that were recorded, in their order.

    calls    name of a call in the recorded frame -> the step of the graph that makes it
    values   (name, output) -> the step of the graph whose value that is
    tensors  step of the graph -> its value
    overwriting  steps of the graph that write into what they take
    """

    opened: Opened
    frame: Frame
    calls: dict[str, fx.Node] = field(default_factory=dict)
    values: dict[tuple[str, str], fx.Node] = field(default_factory=dict)
    tensors: dict[fx.Node, Any] = field(default_factory=dict)
    overwriting: list[fx.Node] = field(default_factory=list)

    def name_of(self, step: FlatStep) -> str:
        """The name that the recorded frame has for a step."""
        for name, one in self.frame.steps.items():
            if one.call == step.call if step.call is not None else one.call is None and one.path == step.node.path:
                return name
        raise Closed(f"`{step.name}` is not found again")


def frames_of(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, tuple[Frame, Mapping[str, Any]]]:
    """Path -> frame of each module that contains others, and the arguments of its first call, by name.

    model  on the meta device, in evaluation mode
    """
    given: dict[str, Mapping[str, Any]] = {}
    paths = {id(module): path for path, module in reversed(list(model.named_modules()))}

    def note(module: nn.Module, args: Any, kwargs: Any) -> None:
        with contextlib.suppress(TypeError):
            bound = inspect.signature(module.forward).bind(*args, **kwargs)
            given.setdefault(paths[id(module)], bound.arguments)

    opened = (one for one in model.modules() if not is_whole(one) and not isinstance(one, torch.jit.ScriptModule))
    handles = [module.register_forward_pre_hook(note, with_kwargs=True) for module in opened]
    try:
        found = _run(model, args, kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return {path: (frame, given.get(path, {})) for path, frame in found.items()}


def follow(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    known: Mapping[str, Frame],
    forwards: Mapping[str, Opened],
) -> dict[str, Followed | Closed]:
    """For each path in `forwards`, what its graph does when it runs in the place of the module's forward.

    Closed for a graph that does not make the calls in `known`.
    """
    found: dict[str, Followed] = {}
    result: dict[str, Followed | Closed] = {}
    with contextlib.ExitStack() as stack:
        tracer = Tracer(model, is_whole)
        for path, one in forwards.items():
            found[path] = Followed(one, known[path])
            stack.enter_context(_replaced(model.get_submodule(path), found[path], tracer))
        try:
            with torch.device(device_of(model)):
                ran = _by_path(tracer.run(args, kwargs))
        except Exception as error:  # what the graph does is not what the forward does
            if len(forwards) > 1:
                return {path: follow(model, args, kwargs, known, {path: one})[path] for path, one in forwards.items()}
            return dict.fromkeys(forwards, Closed(f"its graph cannot run: {error}"))
    for path, followed in found.items():
        unlike = _difference(ran[path], known[path]) if path in ran else "it does not run"
        followed.frame = ran.get(path, followed.frame)
        result[path] = followed if not unlike else Closed(f"what torch.fx makes of it differs: {unlike}")
    return result


def _run(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Frame]:
    with torch.device(device_of(model)):
        return _by_path(Tracer(model, is_whole).run(args, kwargs))


def _by_path(root: Frame) -> dict[str, Frame]:
    found: dict[str, Frame] = {}

    def walk(frame: Frame) -> None:
        found.setdefault(frame.path, frame)
        for step in frame.steps.values():
            if step.inner is not None:
                walk(step.inner)

    walk(root)
    return found


def _difference(found: Frame, wanted: Frame) -> str:
    """The first call, or the result, in which a frame differs from what was recorded; empty if none does."""
    for one, other in zip_longest(_calls(found), _calls(wanted)):
        if one != other:
            return f"{one[0] if one else 'nothing'} in the place of {other[0] if other else 'nothing'}"
    if (found.outputs, found.results) != (wanted.outputs, wanted.results):
        return f"it returns {_returned(found)}, not {_returned(wanted)}"
    return ""


def _returned(frame: Frame) -> str:
    return ", ".join(f"`{one}` at {list(frame.results.get(name, ()))}" for name, one in frame.outputs.items())


def _calls(frame: Frame) -> list[Any]:
    """Each call of a frame: in words, then what it takes and gives."""

    def words(step: Step) -> Any:
        run = repr(step.run) if isinstance(step.run, Replay) else step.path
        return run, step.name, step.path, step.call, step.inputs, list(step.results)

    return [words(step) for step in frame.steps.values()]


@contextlib.contextmanager
def _replaced(module: nn.Module, followed: Followed, tracer: Tracer) -> Iterator[None]:
    """While open, the module runs its graph."""
    made = type(module)
    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY), *followed.opened.parameters]
    signature = inspect.Signature(parameters)

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        graph = followed.opened.graph
        given = [bound.arguments[str(node.target)] for node in graph.nodes if node.op == "placeholder"]
        return _Interpreter(self, followed, tracer).run(*given)

    # The recorder names what arrives by the parameters.
    forward.__signature__ = signature  # type: ignore[attr-defined]
    module.__class__ = type(made.__name__, (made,), {"forward": forward, "__module__": made.__module__})
    try:
        yield
    finally:
        module.__class__ = made


class _Interpreter(fx.Interpreter):
    """Runs a graph, and notes which of its steps makes which calls."""

    def __init__(self, module: nn.Module, followed: Followed, tracer: Tracer) -> None:
        super().__init__(module, garbage_collect_values=False, graph=followed.opened.graph)
        self.followed, self.tracer = followed, tracer
        # A module that is called twice is followed once.
        self.silent = bool(followed.tensors)
        self.pending: dict[str, Step] = {}

    def run_node(self, n: fx.Node) -> Any:
        frame = self.tracer.frame
        assert frame is not None
        before = set(frame.steps)
        taken = [one for one in map(self.env.get, n.all_input_nodes) if isinstance(one, Tensor)]
        versions = [version_of(one) for one in taken]
        result = super().run_node(n)
        if self.silent:
            return result
        if versions != [version_of(one) for one in taken]:
            self.followed.overwriting.append(n)
        for name, step in frame.steps.items():
            if name not in before:
                self.followed.calls[name] = n
                self.pending[name] = step
        self.followed.tensors[n] = result
        if isinstance(result, Tensor):
            for name, step in self.pending.items():
                for key, tensor in step.results.items():
                    if tensor is result:
                        self.followed.values.setdefault((name, key), n)
        return result

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        return super().call_module(target, _plain(args), _plain(_expanded(kwargs)))

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        return super().call_method(target, _plain(args), _plain(kwargs))

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        return super().call_function(target, _plain(args), _plain(_expanded(kwargs)))


def _expanded(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: one for name, one in kwargs.items() if name != FURTHER}, **kwargs.get(FURTHER, {})}


def _plain(value: Any) -> Any:
    """Arguments with plain lists and mappings, as a forward passes them: a graph holds kinds of its own."""
    if isinstance(value, list) or type(value) is tuple:
        kind = list if isinstance(value, list) else tuple
        return kind(map(_plain, value))
    return {name: _plain(one) for name, one in value.items()} if isinstance(value, dict) else value
