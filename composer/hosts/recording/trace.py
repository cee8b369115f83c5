"""Runs a module once and notes every call that it makes: of its modules, and of functions on tensors."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from composer.dag.host import Call
from composer.hosts.recording.frames import Frame, Origin, Step
from composer.hosts.recording.nested import free_key, key_of, tensors_in, word_of
from composer.hosts.recording.replay import Replay, function_name, in_place
from composer.torch_private import version_of

# Reading a tensor's attributes is no step of a network.
_SILENT = frozenset({"size", "dim", "numel", "stride", "is_contiguous", "requires_grad_", "__hash__", "__repr__"})


@dataclass(eq=False)
class Failure:
    """The call that raised: the frame that made it, its name there, what it calls, and what it takes."""

    frame: Frame
    name: str
    op: str
    inputs: list[str]


@dataclass
class Tracer:
    """Notes what a model does while `running`.

    model    the module to run
    is_leaf  whether a module is one node; the others are looked into
    """

    model: nn.Module
    is_leaf: Callable[[nn.Module], bool]
    root: Frame = field(init=False)
    frame: Frame | None = None
    muted: bool = False
    made: dict[int, Origin] = field(default_factory=dict)
    # Keeps every tensor, so that no number of an object is used twice.
    alive: list[Tensor] = field(default_factory=list)
    # What raised last, if nothing was noted since: a forward may catch it and go on.
    failure: Failure | None = None

    def __post_init__(self) -> None:
        self.paths: dict[int, str] = {}
        for path, module in self.model.named_modules():
            self.paths.setdefault(id(module), path)
        self.owned: dict[int, str] = {}
        for path, tensor in (*self.model.named_parameters(), *self.model.named_buffers()):
            self.owned.setdefault(id(tensor), path)
        self.first: dict[int, tuple[Frame, str]] = {}

    def run(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Frame:
        """The root's frame after one call of the model. Raises what the model raises."""
        with torch.no_grad(), _calls_seen(self), _Functions(self):
            self.model(*args, **kwargs)
        return self.root

    def call(
        self, module: nn.Module, original: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """A call of a module of the model, noted."""
        path = self.paths.get(id(module))
        if self.muted or path is None or (self.frame is not None and path == self.frame.path):
            return original(*args, **kwargs)
        if self.frame is not None and self.is_leaf(module):
            return self.leaf(module, path, original, args, kwargs)
        return self.inside(module, path, original, args, kwargs)

    def leaf(
        self, module: nn.Module, path: str, original: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        frame = self.frame
        assert frame is not None
        taken = [tensor for _, tensor in tensors_in((args, kwargs))]
        inputs = [self.reference(tensor, frame) for tensor in taken]
        before = {id(tensor): version_of(tensor) for tensor in taken}
        try:
            with self.silent():
                result = original(*args, **kwargs)
        except BaseException:
            word = path.removeprefix(f"{frame.path}.").replace(".", "_")
            self.failure = Failure(frame, f"{word}_2" if word in frame.steps else word, type(module).__name__, inputs)
            raise
        if isinstance(result, Tensor) and before.get(id(result)) == version_of(result):
            # The same object back: another one tells its users apart from those of the input.
            with self.silent():
                result = result.view_as(result)
        name, call = self.called(frame, path)
        replay = Replay(module, args, kwargs)
        given = list(tensors_in(result))
        for number, (where, tensor) in enumerate(given):
            one = name if number == 0 else frame.free(name)
            again = self.again(module, frame, one) if number == 0 else name
            item = where if len(given) > 1 else ()
            self.add(
                frame,
                Step(
                    one,
                    path,
                    Call(call.frame, call.target, call.number, item=item),
                    module,
                    inputs,
                    {"": tensor},
                    again=again,
                    given=replay.of(where),
                    counted=number == 0,
                ),
            )
            if id(tensor) not in before or version_of(tensor) != before[id(tensor)]:
                self.note(tensor, Origin(frame, one))
        return result

    def inside(
        self, module: nn.Module, path: str, original: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        parent = self.frame
        name, call = ("", None) if parent is None else self.called(parent, path)
        frame = Frame(module, path, parent, name)
        inputs = self.arrive(frame, parent, args, kwargs)
        step = None
        if parent is None:
            self.root = frame
        else:
            step = Step(name, path, call, module, inputs, {}, inner=frame, again=self.again(module, parent, name))
            self.add(parent, step)
        self.frame = frame
        try:
            result = original(*args, **kwargs)
        except BaseException:
            self.failure = self.failure or Failure(frame, frame.free("raises"), "raise", list(frame.steps)[-1:])
            raise
        finally:
            self.frame = parent
        return self.leave(frame, parent, step, result)

    def arrive(self, frame: Frame, parent: Frame | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[str]:
        """The inputs of a frame, and their references in the frame around it."""
        inputs = []
        for where, tensor in tensors_in(_by_name(frame.module, args, kwargs)):
            if id(tensor) in frame.origins:
                continue
            # What comes first is called `input`, as in specs.
            name = frame.free(word_of(where)) if frame.inputs else "input"
            if parent is not None:
                inputs.append(self.reference(tensor, parent))
            frame.inputs[name], frame.arguments[name] = tensor, where
            self.alive.append(tensor)
            frame.origins[id(tensor)] = name, self.made.get(id(tensor))
        return inputs

    def leave(self, frame: Frame, parent: Frame | None, step: Step | None, result: Any) -> Any:
        given = list(tensors_in(result))
        for where, tensor in given:
            key = "output" if len(given) == 1 else key_of(where, frame.outputs)
            frame.outputs[key], frame.results[key] = self.reference(tensor, frame), where
        if parent is None or step is None:
            return result
        passed = {id(tensor) for tensor in frame.inputs.values()}
        if isinstance(result, Tensor) and frame.outputs["output"] in frame.inputs:
            with self.silent():
                result = result.view_as(result)
            given = [((), result)]
        for key, (_, tensor) in zip(list(frame.outputs), given, strict=True):
            step.results[key] = tensor
            if len(given) == 1 or id(tensor) not in passed or frame.outputs[key] not in frame.inputs:
                self.note(tensor, Origin(parent, step.name, key if len(given) > 1 else ""))
        return result

    def function(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """A function on tensors that a frame called, noted."""
        frame, word = self.frame, function_name(func)
        assert frame is not None
        given = [((), args[0])] if word == "setitem" else list(tensors_in(result))
        taken = [tensor for _, tensor in tensors_in((args, kwargs))]
        if not given:
            return
        known = {id(tensor) for tensor in taken}
        if len(given) == 1 and id(given[0][1]) in known and not in_place(func, kwargs, given[0][1]):
            return
        inputs = [self.reference(tensor, frame) for tensor in taken]
        number = frame.calls[word]
        frame.calls[word] += 1
        replay = Replay(func, args, dict(kwargs))
        for where, tensor in given:
            name = frame.free(word)
            item = where if len(given) > 1 else ()
            call = Call(frame.path, word, number, function=True, item=item)
            path = f"{frame.path}.{name}" if frame.path else name
            self.add(frame, Step(name, path, call, replay.of(item), inputs, {"": tensor}, function=func))
            self.note(tensor, Origin(frame, name))

    def failed(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """A function on tensors that raised, noted."""
        frame, word = self.frame, function_name(func)
        assert frame is not None
        # A forward may catch it and go on, so nothing is noted of the tensors.
        origins = [self.made.get(id(tensor)) for _, tensor in tensors_in((args, kwargs))]
        inputs = [origin.reference for origin in origins if origin is not None and origin.frame is frame]
        self.failure = Failure(frame, frame.free(word), word, inputs)

    def add(self, frame: Frame, step: Step) -> None:
        """A step at the end of a frame."""
        self.failure = None
        frame.steps[step.name] = step

    def note(self, tensor: Tensor, origin: Origin) -> None:
        """Where a tensor comes from, from now on."""
        self.made[id(tensor)] = origin
        self.alive.append(tensor)

    def called(self, frame: Frame, path: str) -> tuple[str, Call]:
        """The name of the node of a called module, and the call."""
        target = path.removeprefix(f"{frame.path}.") if frame.path and path.startswith(f"{frame.path}.") else path
        number = frame.calls[f"module {target}"]
        frame.calls[f"module {target}"] += 1
        word = target.replace(".", "_")
        if (
            number == 0
            and (word == target or word not in frame.taken)
            and word not in frame.steps
            and word not in frame.inputs
        ):
            return word, Call(frame.path, target, number)
        return frame.free(word), Call(frame.path, target, number)

    def again(self, module: nn.Module, frame: Frame, name: str) -> str | None:
        """The node of the frame that called the module before; empty if another frame did, None for the first call."""
        around, first = self.first.setdefault(id(module), (frame, name))
        if around is not frame:
            return ""
        return None if first == name else first

    def reference(self, tensor: Tensor, frame: Frame) -> str:
        """How nodes of a frame refer to a tensor. What is not known becomes a node: a parameter, or a constant."""
        origin = self.made.get(id(tensor))
        if (arrived := frame.origins.get(id(tensor))) is not None and arrived[1] is origin:
            return arrived[0]
        if origin is None:
            if any(id(tensor) in one.origins for one in frame.around()):
                return self.bring(tensor, frame, None)
            return self.held(tensor, frame)
        if origin.frame is frame:
            return origin.reference
        return self.bring(tensor, frame, origin)

    def bring(self, tensor: Tensor, frame: Frame, origin: Origin | None) -> str:
        """A tensor of another frame, passed from there to the frame that takes it."""
        around = list(frame.around())
        inner: list[Frame] = []
        if origin is None:
            home = next(one for one in around if id(tensor) in one.origins)
            reference = home.origins[id(tensor)][0]
        else:
            home, reference = origin.frame, origin.reference
            while home not in around:
                assert home.parent is not None
                key = free_key(home.outputs, reference)
                if reference not in home.outputs.values():
                    home.outputs[key] = reference
                    home.exposed.add(key)
                else:
                    key = next(one for one, other in home.outputs.items() if other == reference)
                step = home.parent.steps[home.name]
                step.results[key] = tensor
                reference = f"{home.name}.{key}" if len(home.outputs) > 1 or key in home.exposed else home.name
                home = home.parent
        for one in around:
            if one is home:
                break
            inner.append(one)
        for one in reversed(inner):
            assert one.parent is not None
            name = one.free(re.sub(r"\W", "_", reference))
            one.inputs[name], one.origins[id(tensor)] = tensor, (name, self.made.get(id(tensor)))
            one.brought.add(name)
            one.parent.steps[one.name].inputs.append(reference)
            reference = name
        return reference

    def held(self, tensor: Tensor, frame: Frame) -> str:
        """A node for a tensor that no call made: a parameter or buffer of the model, or a constant of its code."""
        path = self.owned.get(id(tensor))
        prefix = f"{frame.path}." if frame.path else ""
        word = "constant" if path is None else path.removeprefix(prefix).replace(".", "_")
        name = word if word not in frame.steps and word not in frame.inputs else frame.free(word)
        self.add(frame, Step(name, path or f"{prefix}{name}", None, tensor, [], {"": tensor}))
        # For this frame only: another has a node of its own.
        frame.origins[id(tensor)] = name, self.made.get(id(tensor))
        self.alive.append(tensor)
        return name

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        before, self.muted = self.muted, True
        try:
            yield
        finally:
            self.muted = before


def _by_name(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of a module's forward by name; those of `*args` as a tuple."""
    try:
        return inspect.signature(module.forward).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return {**{str(number): one for number, one in enumerate(args)}, **kwargs}


class _Functions(TorchFunctionMode):
    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self.tracer = tracer

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        tracer = self.tracer
        if tracer.muted or tracer.frame is None or getattr(func, "__name__", "") in _SILENT:
            return func(*args, **given)
        try:
            result = func(*args, **given)
        except BaseException:
            tracer.failed(func, args, given)
            raise
        tracer.function(func, args, given, result)
        return result


@contextlib.contextmanager
def _calls_seen(tracer: Tracer) -> Iterator[None]:
    """While open, calls of modules go through the tracer, as in torch.fx."""
    original: Any = nn.Module.__call__

    def seen(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return tracer.call(module, lambda *given, **named: original(module, *given, **named), args, kwargs)

    nn.Module.__call__ = seen  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__call__ = original  # type: ignore[method-assign]
