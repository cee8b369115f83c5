"""From the graph of a file to a module without numbers, nested as the file says: it can be recorded like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from composer.dag.tensor import BATCH
from composer.sources.files.functions import FileFunction
from composer.sources.files.graph import FileGraph, FileProblem, Ref, Step, Value, refs_in
from composer.sources.files.leaves import layer_of_step, with_tensors
from composer.sources.files.places import further, places_of, word_in_python, word_of_input
from composer.sources.files.skeleton import FileModule, Item, Run, of_class

# Layers with weights: whatever else stands around them in the file, they are layers.
_WEIGHTED = frozenset({"conv1d", "conv2d", "conv3d", "linear", "batch_norm", "layer_norm", "group_norm"})
_PLAIN = "torch.nn."


def module_of(graph: FileGraph) -> nn.Module:
    """The module of a graph, on the meta device. Raises FileProblem if the names in the file cannot be those of one."""
    with torch.device("meta"):
        return _Builder(graph).build()


class _Builder:
    """Makes the modules of a graph.

    tensors  name of what the network holds -> the tensor, and `places` its path
    last     name of a tensor -> the number of the last step that takes it
    varying  names of the tensors that depend on an input
    counts, calls  path of a module -> how many steps are inside it, and in which calls of it
    """

    def __init__(self, graph: FileGraph) -> None:
        self.graph = graph
        self.root = of_class(graph.root, [word_of_input(name) for name in graph.inputs])
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
        self.calls: dict[str, set[str]] = {}
        for step in graph.steps:
            for path, _, call in step.stack:
                self.counts[path] = self.counts.get(path, 0) + 1
                self.calls.setdefault(path, set()).add(call)

    def build(self) -> nn.Module:
        steps = list(enumerate(self.graph.steps))
        run = Run(self.graph.inputs, self.graph.outputs)
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
            word = word_in_python(word)
            while hasattr(parent, word):
                word += "_"
            if isinstance(tensor, nn.Parameter):
                parent.register_parameter(word, tensor)
            else:
                parent.register_buffer(word, tensor)

    def fill(self, run: Run, steps: Sequence[tuple[int, Step]], depth: int, path: str) -> None:
        """The calls of a run: neighbours with the same module around them are one call of it."""
        position = 0
        while position < len(steps):
            step = steps[position][1]
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
        if layer_of_step(step, self.shapes(step)) is None or not step.args or not isinstance(step.args[0], Ref):
            return None
        if step.args[0].name in self.graph.owned or any(one.name not in self.graph.owned for one in further(step)):
            return None
        path, made, _ = step.stack[-1] if step.stack else ("", "", "")
        alone = bool(path) and self.counts[path] == len(self.calls[path])
        plain = alone and (not made or made.startswith(_PLAIN))
        weights = [self.places[one.name] for one in further(step)]
        own = weights[0].removesuffix(".weight") if weights and weights[0].endswith(".weight") else path
        # What an exporter fused, such as a convolution with the norm behind it, stands in the norm's place.
        near = not path or own.startswith(f"{path}.") or own.rpartition(".")[0] == path.rpartition(".")[0]
        if own != path and near:
            return own
        return path if plain else None

    def shapes(self, step: Step) -> list[Any]:
        return [self.graph.values[one.name].shape if isinstance(one, Ref) else one for one in step.args[1:]]

    def item(self, step: Step, path: str) -> Item:
        own = self.layer_path(step)
        if own is None and step.op in _WEIGHTED and self.is_weighted(step):
            own = f"{path}.{word_in_python(step.name)}" if path else word_in_python(step.name)
        if own is not None:
            layer = self.layer(step, own)
            if layer is not None:
                return Item(layer, (step.args[0],), {}, step.outputs)
        taken = [self.graph.values[name] for name in step.taken]
        given = [self.given(step, name) for name in step.outputs if name is not None]
        package = self.graph.package
        function = FileFunction(step.op, step.overload, package, taken, given, costs=step.costs)
        return Item(function, step.args, dict(step.kwargs), tuple(one for one in step.outputs if one is not None))

    def given(self, step: Step, name: str) -> Value:
        """A tensor as the file has it; of one that is widened to the file's number of examples, to ours."""
        value, first = self.graph.values[name], self.graph.values[self.graph.inputs[0]]
        if step.op != "expand" or name in self.varying or value.shape[:1] != first.shape[:1]:
            return value
        return replace(value, shape=(BATCH, *value.shape[1:]))

    def is_weighted(self, step: Step) -> bool:
        weights = further(step)
        return bool(weights) and all(one.name in self.graph.owned for one in weights)

    def layer(self, step: Step, path: str) -> nn.Module | None:
        """The layer of a step, registered at its path; the same as before if it was called before."""
        said = f"{step.op} {step.args[1:]}"
        while path in self.layers and self.layers[path][0] != said:
            path += "_2"
        if path in self.layers:
            return self.layers[path][1]
        layer = layer_of_step(step, self.shapes(step))
        if layer is None or path in self.skeletons:
            return None
        start = 2 if step.op in ("layer_norm", "group_norm") else 1
        tensors = [self.tensors[one.name] if isinstance(one, Ref) else None for one in step.args[start:]]
        with_tensors(layer, tensors)
        parent, _, word = path.rpartition(".")
        self.register(self.container(parent), word, layer)
        self.layers[path] = said, layer
        return layer

    def inner(self, steps: Sequence[tuple[int, Step]], depth: int, called: tuple[str, str, str]) -> Item:
        """A call of a module that contains these steps."""
        path, made, _ = called
        module = self.skeleton(self.free(path, [step for _, step in steps]), made)
        defined = [name for _, step in steps for name in step.outputs if name is not None]
        # A weight of another module arrives as any tensor does.
        known = {*defined, *(name for name, place in self.places.items() if place.startswith(f"{path}."))}
        inputs = list(dict.fromkeys(name for _, step in steps for name in step.taken if name not in known))
        end = steps[-1][0]
        outputs = [name for name in defined if self.last.get(name, -1) > end]
        run = Run(tuple(inputs), tuple(outputs))
        self.fill(run, steps, depth + 1, path)
        module.runs.append(run)
        number = len(module.runs) - 1
        return Item(module, tuple(map(Ref, inputs)), {"run": number} if number else {}, tuple(outputs))

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
            module = self.classes.setdefault(made, type(of_class(made)))()
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
