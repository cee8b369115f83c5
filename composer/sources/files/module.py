"""From the graph of a file to a module without numbers, nested as the file says, which can be recorded like any other."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from composer.dag.tensor import BATCH
from composer.sources.files.functions import FileFunction
from composer.sources.files.graph import FileGraph, FileProblem, Ref, Step, Value, refs_in
from composer.sources.files.leaves import layer_of_step, with_tensors

# Layers that hold no weights and that a file without classes still says enough of.
_WEIGHTED = frozenset({"conv1d", "conv2d", "conv3d", "linear", "batch_norm", "layer_norm", "group_norm"})
_PLAIN = "torch.nn."


@dataclass
class _Item:
    """A call in a run: of a module or a function, with the names of the tensors that it takes and gives."""

    called: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[str | None, ...]


@dataclass
class _Run:
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    items: list[_Item] = field(default_factory=list)


class FileModule(nn.Module):
    """A module of a file: what each call of it runs. Its class has the name that the file gives.

    inside   name of a tensor in the file -> its path below this module
    outside  name of a tensor in the file -> the tensor, if another module of the network holds it
    """

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[_Run] = []
        self.inside: dict[str, str] = {}
        self.outside: dict[str, Tensor] = {}

    def forward(self, *input: Tensor, run: int = 0) -> Any:
        """The results of one of its calls."""
        steps = self.runs[run]
        known = {**self.outside, **{name: self.held(path) for name, path in self.inside.items()}}
        known |= dict(zip(steps.inputs, input, strict=True))
        for item in steps.items:
            args, kwargs = _filled((item.args, item.kwargs), known)
            result = item.called(*args, **kwargs)
            results = (result,) if len(item.outputs) == 1 else result
            known |= {name: one for name, one in zip(item.outputs, results, strict=True) if name is not None}
        found = tuple(known[name] for name in steps.outputs)
        return found[0] if len(found) == 1 else found

    def held(self, path: str) -> Tensor:
        """A tensor of the module, or of one inside it."""
        where, _, word = path.rpartition(".")
        found: Tensor = getattr(self.get_submodule(where), word)
        return found


def module_of(graph: FileGraph) -> nn.Module:
    """The module of a graph, on the meta device. Raises FileProblem if the names in the file cannot be those of one."""
    with torch.device("meta"):
        return _Builder(graph).build()


class _Builder:
    def __init__(self, graph: FileGraph) -> None:
        self.graph = graph
        self.root = _of_class(graph.root, [word_of_input(name) for name in graph.inputs])
        self.skeletons: dict[str, FileModule] = {"": self.root}
        self.said_of: dict[str, list[tuple[str, list[str]]]] = {}
        self.classes: dict[str, type[FileModule]] = {}
        self.tensors: dict[str, Tensor] = {}
        for name, owned in graph.owned.items():
            value = graph.values[name]
            tensor = torch.empty(value.shape, dtype=value.dtype)
            learned = owned.is_parameter and value.dtype.is_floating_point
            self.tensors[name] = nn.Parameter(tensor) if learned else tensor
        self.last: dict[str, int] = dict.fromkeys(graph.outputs, len(graph.steps))
        for number, step in enumerate(graph.steps):
            for name in step.taken:
                self.last[name] = max(self.last.get(name, -1), number)
        self.varying = {*graph.inputs}
        for step in graph.steps:
            if not self.varying.isdisjoint(step.taken):
                self.varying.update(name for name in step.outputs if name is not None)
        self.places = places_of(graph)
        self.layers: dict[str, tuple[str, nn.Module]] = {}
        self.counts: dict[str, int] = {}
        for step in graph.steps:
            for path, *_ in step.stack:
                self.counts[path] = self.counts.get(path, 0) + 1

    def build(self) -> nn.Module:
        steps = list(enumerate(self.graph.steps))
        run = _Run(self.graph.inputs, self.graph.outputs)
        self.fill(run, steps, 0, "")
        self.root.runs.append(run)
        self.hold()
        places = {id(one): path for path, one in (*self.root.named_parameters(), *self.root.named_buffers())}
        for path, module in self.skeletons.items():
            self.point(module, f"{path}." if path else "", places)
        return self.root

    def point(self, module: FileModule, prefix: str, places: Mapping[int, str]) -> None:
        """Say where the network's tensors are that the calls of a module name."""
        for ref in refs_in([(item.args, item.kwargs) for run in module.runs for item in run.items]):
            if ref.name in self.tensors:
                path = places[id(self.tensors[ref.name])]
                if path.startswith(prefix):
                    module.inside[ref.name] = path.removeprefix(prefix)
                else:
                    module.outside[ref.name] = self.tensors[ref.name]

    def hold(self) -> None:
        """Register what is used and belongs to no layer, under its name in the file."""
        held = {id(one) for one in (*self.root.parameters(), *self.root.buffers())}
        used = {name for step in self.graph.steps for name in step.taken}
        for name, owned in self.graph.owned.items():
            tensor = self.tensors[name]
            if id(tensor) in held or (name not in used and not owned.is_parameter):
                continue
            path, _, word = self.places[name].rpartition(".")
            parent = self.container(path)
            word = _word(word)
            while hasattr(parent, word):
                word += "_"
            if isinstance(tensor, nn.Parameter):
                parent.register_parameter(word, tensor)
            else:
                parent.register_buffer(word, tensor)

    def fill(self, run: _Run, steps: Sequence[tuple[int, Step]], depth: int, path: str) -> None:
        """The calls of a run: neighbours with the same module around them are one call of it."""
        position = 0
        while position < len(steps):
            number, step = steps[position]
            stack = self.around(step)
            if len(stack) <= depth:
                run.items.append(self.item(step, path))
                position += 1
                continue
            end = position
            while end < len(steps) and self.around(steps[end][1])[depth : depth + 1] == stack[depth : depth + 1]:
                end += 1
            run.items.append(self.inner(steps[position:end], depth, stack[depth]))
            position = end

    def around(self, step: Step) -> tuple[tuple[str, str, str], ...]:
        """The modules around a step: without the last, if the step is that module itself."""
        layer = self.layer_path(step)
        if layer is None:
            return step.stack
        return tuple(one for one in step.stack if layer.startswith(f"{one[0]}."))

    def layer_path(self, step: Step) -> str | None:
        """Where the layer is that a step alone is; None for a function."""
        if layer_of_step(step, {}, self.shapes(step)) is None or not step.args or not isinstance(step.args[0], Ref):
            return None
        if step.args[0].name in self.graph.owned or any(one.name not in self.graph.owned for one in _further(step)):
            return None
        path, made, _ = step.stack[-1] if step.stack else ("", "", "")
        alone = bool(path) and self.counts[path] == len(self.calls(path))
        plain = alone and (not made or made.startswith(_PLAIN))
        weights = [self.places[one.name] for one in _further(step)]
        own = weights[0].removesuffix(".weight") if weights and weights[0].endswith(".weight") else path
        # What an exporter fused, such as a convolution with the norm behind it, stands in the norm's place.
        near = not path or own.startswith(f"{path}.") or own.rpartition(".")[0] == path.rpartition(".")[0]
        if own != path and near:
            return own
        return path if plain else None

    def calls(self, path: str) -> set[str]:
        if not hasattr(self, "_calls"):
            self._calls: dict[str, set[str]] = {}
            for number, step in enumerate(self.graph.steps):
                for one, _, call in step.stack:
                    self._calls.setdefault(one, set()).add(call)
        return self._calls[path]

    def shapes(self, step: Step) -> list[Any]:
        return [self.graph.values[one.name].shape if isinstance(one, Ref) else one for one in step.args[1:]]

    def item(self, step: Step, path: str) -> _Item:
        own = self.layer_path(step)
        if own is None and step.op in _WEIGHTED and self.is_weighted(step):
            own = f"{path}.{_word(step.name)}" if path else _word(step.name)
        if own is not None:
            layer = self.layer(step, own)
            if layer is not None:
                return _Item(layer, (step.args[0],), {}, step.outputs)
        taken = [self.graph.values[name] for name in step.taken]
        given = [self.given(step, name) for name in step.outputs if name is not None]
        package = self.graph.package
        function = FileFunction(step.op.strip("_"), step.op, step.overload, package, taken, given, step.costs)
        return _Item(function, step.args, dict(step.kwargs), tuple(one for one in step.outputs if one is not None))

    def given(self, step: Step, name: str) -> Value:
        """A tensor as the file has it; of one that is widened to the file's number of examples, to ours."""
        value, first = self.graph.values[name], self.graph.values[self.graph.inputs[0]]
        if step.op != "expand" or name in self.varying or value.shape[:1] != first.shape[:1]:
            return value
        return replace(value, shape=(BATCH, *value.shape[1:]))

    def is_weighted(self, step: Step) -> bool:
        further = _further(step)
        return bool(further) and all(one.name in self.graph.owned for one in further)

    def layer(self, step: Step, path: str) -> nn.Module | None:
        """The layer of a step, registered at its path; the same as before if it was called before."""
        said = f"{step.op} {step.args[1:]}"
        while path in self.layers and self.layers[path][0] != said:
            path += "_2"
        if path in self.layers:
            return self.layers[path][1]
        layer = layer_of_step(step, {}, self.shapes(step))
        if layer is None or path in self.skeletons:
            return None
        start = 2 if step.op in ("layer_norm", "group_norm") else 1
        tensors = [self.tensors[one.name] if isinstance(one, Ref) else None for one in step.args[start:]]
        with_tensors(layer, tensors)
        parent, _, word = path.rpartition(".")
        self.register(self.container(parent), word, layer)
        self.layers[path] = said, layer
        return layer

    def inner(self, steps: Sequence[tuple[int, Step]], depth: int, called: tuple[str, str, str]) -> _Item:
        """A call of a module that contains these steps."""
        path, made, _ = called
        module = self.skeleton(self.free(path, [step for _, step in steps]), made)
        defined = [name for _, step in steps for name in step.outputs if name is not None]
        # A weight of another module arrives as any tensor does.
        known = {*defined, *(name for name, place in self.places.items() if place.startswith(f"{path}."))}
        inputs = list(dict.fromkeys(name for _, step in steps for name in step.taken if name not in known))
        end = steps[-1][0]
        outputs = [name for name in defined if self.last.get(name, -1) > end]
        run = _Run(tuple(inputs), tuple(outputs))
        self.fill(run, steps, depth + 1, path)
        module.runs.append(run)
        number = len(module.runs) - 1
        return _Item(module, tuple(map(Ref, inputs)), {"run": number} if number else {}, tuple(outputs))

    def free(self, path: str, steps: Sequence[Step]) -> str:
        """The path, unless another call of it runs other steps: an exporter may have torn a module apart."""
        said = [(step.op, [self.said(one) for one in step.args]) for step in steps]
        found, number = path, 1
        while self.said_of.setdefault(found, said) != said:
            number += 1
            found = f"{path}_{number}"
        return found

    def said(self, value: Any) -> str:
        own = isinstance(value, Ref) and value.name not in self.graph.owned
        return "·" if own else repr(value)

    def skeleton(self, path: str, made: str) -> FileModule:
        if path not in self.skeletons:
            parent, _, word = path.rpartition(".")
            module = self.classes.setdefault(made, type(_of_class(made)))()
            self.register(self.container(parent), word, module)
            self.skeletons[path] = module
        return self.skeletons[path]

    def container(self, path: str) -> nn.Module:
        """The module at a path, made if there is none yet."""
        if path in self.skeletons:
            return self.skeletons[path]
        if path in self.layers:
            return self.layers[path][1]
        made = next((made for step in self.graph.steps for one, made, _ in step.stack if one == path), "ModuleList")
        return self.skeleton(path, made)

    def register(self, parent: nn.Module, word: str, module: nn.Module) -> None:
        try:
            parent.add_module(word, module)
        except (KeyError, TypeError) as error:
            raise FileProblem(f"no part of a network can be called `{word}`") from error


def _further(step: Step) -> list[Ref]:
    return list(refs_in((step.args[1:], dict(step.kwargs))))


def places_of(graph: FileGraph) -> dict[str, str]:
    """Name of a tensor that the network holds -> its path. An exporter's own name is put where the tensor is used."""
    homes: dict[str, list[str]] = {}
    for step in graph.steps:
        paths = ["", *(path for path, *_ in step.stack)]
        for name in step.taken:
            if name in graph.owned:
                homes[name] = [one for one in homes.get(name, paths) if one in paths]
    found = {}
    for name, owned in graph.owned.items():
        home = homes.get(name, [""])[-1]
        is_path = "." in owned.path and re.fullmatch(r"[\w.]+", owned.path)
        found[name] = owned.path if is_path or not home else f"{home}.{_word(owned.path)}"
    return found


def word_of_input(name: str) -> str:
    """The name of an input as a word of Python."""
    word = _word(name)
    return word if word.isidentifier() and not keyword.iskeyword(word) else f"_{word}"


def _of_class(name: str, inputs: Sequence[str] = ()) -> FileModule:
    """A module whose class has the name of one of the file, without being it; of the network, with named inputs."""
    word = re.sub(r"\W", "_", name.rpartition(".")[2]) or "Module"
    own = {"forward": _forward(inputs)} if inputs else {}
    made: Any = type(word, (FileModule,), {"__module__": "file", **own})
    module: FileModule = made()
    return module


def _forward(inputs: Sequence[str]) -> Any:
    words = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *inputs)]
    signature = inspect.Signature(words)

    def forward(*args: Any, **kwargs: Any) -> Any:
        return FileModule.forward(*signature.bind(*args, **kwargs).args)

    forward.__signature__ = signature  # type: ignore[attr-defined]
    return forward


def _word(text: str) -> str:
    return re.sub(r"\W", "_", text) or "_"


def _filled(value: Any, known: dict[str, Tensor]) -> Any:
    return _mapped(value, lambda one: known[one.name])


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, Ref):
        return change(value)
    if type(value) in (tuple, list):
        return type(value)(_mapped(one, change) for one in value)
    return {key: _mapped(one, change) for key, one in value.items()} if type(value) is dict else value
