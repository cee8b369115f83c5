"""The composed network: a plain nn.Module that knows its spec and its graph."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from composer.compile.emit import emit, forward_over
from composer.dag.levels import Level, end_of_features, split
from composer.dag.scope import TensorSpec
from composer.errors import Diagnostic, InputError

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

    @property
    def num_features(self) -> int:
        """Channels of what `forward_features` gives."""
        end = end_of_features(self.graph.root)
        if end is None or end.tensor.channels is None:
            raise _no_features(self.spec.name)
        return end.tensor.channels

    @property
    def num_classes(self) -> int:
        """Outputs of the classifier; 0 without one."""
        head = self.graph.head
        return 0 if head is None else head.node.tensor.channels or 0

    @property
    def head_hidden_size(self) -> int:
        """Channels that the classifier takes; without one, those of the output."""
        head = self.graph.head
        tensor = next(iter(self.graph.outputs.values())) if head is None else head.input
        return (tensor.channels if tensor else None) or 0

    @property
    def feature_info(self) -> FeatureInfo:
        """Features at each scale, as timm lists them: num_chs, reduction and module."""
        return FeatureInfo(self.graph.levels)

    def forward_features(self, x: Tensor) -> Tensor:
        """What is pooled: b c h w, or b n c of a network of tokens. Raises InputError where nothing says what it is."""
        raise _no_features(self.spec.name)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """From what `forward_features` gives on: logits b c, or with `pre_logits` what arrives at the classifier."""
        if not pre_logits:
            return self._forward_head(x)
        found: list[Tensor] = []
        handle = self.get_classifier().register_forward_pre_hook(lambda module, inputs: found.append(inputs[0]))
        try:
            result = self._forward_head(x)
        finally:
            handle.remove()
        return found[0] if found else result

    def _forward_head(self, x: Tensor) -> Tensor:
        raise _no_features(self.spec.name)

    def get_classifier(self) -> nn.Module:
        """The classifier; an nn.Identity without one."""
        head = self.graph.head
        return nn.Identity() if head is None else self.get_submodule(head.node.path)

    def reset_classifier(self, num_classes: int) -> None:
        """Put in a new classifier with this many outputs, on the device and in the precision of the rest; 0 for none.

        Every other weight stays. Raises InputError for a network whose spec has no var `num_classes`.
        """
        from composer.compile.classifier import change_classes

        change_classes(self, num_classes)

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


class FeatureInfo(list[dict[str, Any]]):
    """A list of levels as timm gives it, from the finest on."""

    def __init__(self, levels: list[Level]) -> None:
        super().__init__({"num_chs": one.channels, "reduction": one.reduction, "module": one.path} for one in levels)

    def channels(self) -> list[int]:
        """Channels of each level."""
        return [one["num_chs"] for one in self]

    def reduction(self) -> list[int]:
        """How many input pixels a position stands for, in each direction."""
        return [one["reduction"] for one in self]

    def module_name(self) -> list[str]:
        """Paths of the modules that give them."""
        return [one["module"] for one in self]


def _no_features(name: str) -> InputError:
    help = ("tag the node of the root that is pooled: `site: features`",)
    return InputError(Diagnostic("features", f"nothing says where the features of `{name}` end", help=help))


def _rebuild(spec: Spec, limits: Any, seed: int) -> ComposedModule:
    from composer.dag.graph import compose

    return compile_graph(compose(spec, limits), seed)


def compile_graph(graph: Graph, seed: int = 0) -> ComposedModule:
    """A graph -> the module, on the CPU, its weights drawn from the seed and each node's path."""
    root = emit(graph.root, seed)
    # The generated forward becomes the class's own, so that the root prints and calls like any other module.
    namespace = {"forward": type(root).forward, "__module__": __name__, "__doc__": f"{graph.spec.name}, composed."}
    composed_type = type(type(root).__name__, (ComposedModule,), {**namespace, **_parts(graph, root)})
    module: ComposedModule = composed_type()
    for name, child in root.named_children():
        module.add_module(name, child)
    for name, parameter in root.named_parameters(recurse=False):
        module.register_parameter(name, parameter)
    module.spec, module.graph, module.seed, module.code = graph.spec, graph, seed, root.code
    return module


def _parts(graph: Graph, root: nn.Module) -> dict[str, Any]:
    """Forwards of the network up to its features, and from there on."""
    end = end_of_features(graph.root)
    if end is None or not isinstance(end.output, TensorSpec):
        return {}
    before, after = split(graph.root, end.tail or end.name)
    parts = {"forward_features": forward_over(before, root)}
    return parts if after is None else {**parts, "_forward_head": forward_over(after, root)}


def dtype_of(name: str) -> torch.dtype | None:
    """A floating-point dtype by its torch name; None for any other name."""
    found = getattr(torch, name, None)
    return found if isinstance(found, torch.dtype) and found.is_floating_point else None
