"""The composed network: a plain nn.Module that knows its spec and its graph."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from composer.compile.emit import emit_graph

if TYPE_CHECKING:
    from composer.dag.graph import Graph
    from composer.spec.load import Spec
    from composer.weights.report import LoadReport


class ComposedModule(nn.Module):
    """A network built from a spec. `forward` is the generated code of its root scope; see `code`.

    Shape:  what the spec's inputs and outputs say, e.g. b c h w -> b classes; a dict when it names several outputs.

    It pickles as its spec and the tensors and modes of the modules that the spec asks for: a module put in by hand
    does not survive that (nor would its spec be true any more); `state_dict` and `copy.deepcopy` keep it.
    """

    spec: Spec
    graph: Graph
    seed: int
    code: str
    # What `weights:` or `--weights` filled it with, when it was built.
    weights_report: LoadReport | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> ComposedModule:
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        # The spec and the graph never change, so copies share them.
        memo.update({id(shared): shared for shared in (self.spec, self.graph)})
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        tensors = dict(self.state_dict())
        state = {
            "tensors": tensors,
            "loose_buffers": {name: buffer for name, buffer in self.named_buffers() if name not in tensors},
            "frozen": [name for name, parameter in self.named_parameters() if not parameter.requires_grad],
            "training": {name: module.training for name, module in self.named_modules()},
        }
        return _rebuild, (self.graph.spec, self.graph.limits, self.seed), state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.load_state_dict(state["tensors"], assign=True)
        for name, buffer in state["loose_buffers"].items():
            owner, _, own_name = name.rpartition(".")
            setattr(self.get_submodule(owner), own_name, buffer)
        for name in state["frozen"]:
            self.get_parameter(name).requires_grad_(False)
        for name, module in self.named_modules():
            module.training = state["training"][name]


def _rebuild(spec: Spec, limits: Any, seed: int) -> ComposedModule:
    from composer.dag.graph import compose

    return compile_graph(compose(spec, limits), seed)


def compile_graph(graph: Graph, seed: int = 0) -> ComposedModule:
    """A graph -> the module, on the CPU, its weights drawn from the seed and each node's path."""
    root = emit_graph(graph.root, seed)
    # The generated forward becomes the class's own, so that the root prints and calls like any other module.
    namespace = {"forward": type(root).forward, "__module__": __name__, "__doc__": f"{graph.spec.name}, composed."}
    composed_type = type(type(root).__name__, (ComposedModule,), namespace)
    module: ComposedModule = composed_type()
    for name, child in root.named_children():
        module.add_module(name, child)
    for name, parameter in root.named_parameters(recurse=False):
        module.register_parameter(name, parameter)
    module.spec, module.graph, module.seed, module.code = graph.spec, graph, seed, root.code
    return module


def dtype_of(name: str) -> torch.dtype | None:
    """A floating-point dtype by its torch name; None for any other name."""
    found = getattr(torch, name, None)
    return found if isinstance(found, torch.dtype) and found.is_floating_point else None
