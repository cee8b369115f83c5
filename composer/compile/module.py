"""The composed network: a plain nn.Module that knows what it was composed from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from composer.compile.checkpointing import set_checkpointed
from composer.compile.classifier import change_classes, head_nodes
from composer.compile.edits import edits_of
from composer.compile.features import FeatureInfo
from composer.compile.groups import block_nodes, group_matcher, undecayed
from composer.compile.links import Links
from composer.compile.origin import Composed
from composer.compile.trace import explain
from composer.dag.composition import Composition
from composer.dag.levels import end_of_features, features_of
from composer.dag.scope import Scope, num_parameters
from composer.errors import Diagnostic, InputError
from composer.load_report import LoadReport
from composer.spec.spec import Spec


class ComposedModule(nn.Module):
    """A network built from a spec. `forward` is the generated code of its root scope; see `code`.

    Shape:  as the spec's inputs and outputs say, e.g. b c h w -> b classes; a dict if the spec names several outputs

    The modules are the truth: pickling, copies, `composer.features` and `reset_classifier` use them as they are, with
    all changes made by hand. `graph` and `spec` describe what was composed.
    """

    # The text of the file that defines this network's class.
    code: str
    composed: Composed
    # The report of the last `weights:`, `--weights` or `composer.load_weights`.
    weights_report: LoadReport | None = None
    # In a view (`composer.features`): links to the live modules that it follows.
    links: Links | None = None
    # Paths of the batch norms that keep their statistics; see `composer.freeze`.
    frozen_norms: frozenset[str] = frozenset()

    if not TYPE_CHECKING:

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            # Compilers and exporters do not read notes on exceptions.
            if torch.compiler.is_compiling():
                return super().__call__(*args, **kwargs)
            if self.links is not None:
                self.links.follow()
            try:
                return super().__call__(*args, **kwargs)
            except Exception as error:
                explain(error, self, self.composed.graph)
                raise

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all modules; frozen batch norms stay in eval mode, in which they keep their statistics."""
        super().train(mode)
        if mode and self.frozen_norms:
            for path, module in self.named_modules():
                if path in self.frozen_norms:
                    module.eval()
        return self

    @property
    def graph(self) -> Composition:
        """The graph that was composed; `graph.edits` lists the modules that were changed since."""
        return self.composed.edited(edits_of(self, self.composed))

    @property
    def spec(self) -> Spec:
        """The spec from which the network was composed."""
        return self.composed.graph.spec

    @property
    def seed(self) -> int:
        """The seed from which the first weights were drawn."""
        return self.composed.seed

    def _repr_html_(self) -> str | None:
        """The picture of the graph, for a notebook. `repr` is torch's."""
        picture = getattr(self.graph, "_repr_html_", None)
        return picture and picture()

    @property
    def num_features(self) -> int:
        """Channels of the result of `forward_features`. Raises InputError if the network has no features."""
        channels = _channels_of_features(self.composed.graph.root)
        if channels is None:
            raise _no_features(self)
        return channels

    def __dir__(self) -> list[str]:
        # torch.jit.trace reads every attribute that is listed.
        hidden = "num_features" if _channels_of_features(self.composed.graph.root) is None else None
        listed: list[str] = super().__dir__()  # type: ignore[no-untyped-call]
        return [name for name in listed if name != hidden]

    @property
    def num_classes(self) -> int:
        """Outputs of the classifier; 0 without a classifier."""
        head = self.get_classifier()
        if isinstance(head, nn.Identity):
            return 0
        place = self.composed.graph.head
        composed = place.node.tensor.channels if place else None
        return int(getattr(head, "out_features", composed or 0))

    @property
    def head_hidden_size(self) -> int:
        """Channels that arrive at the classifier; without a classifier, channels of the output."""
        graph = self.composed.graph
        tensor = next(iter(graph.outputs.values())) if graph.head is None else graph.head.input
        return (tensor.channels if tensor else None) or 0

    @property
    def feature_info(self) -> FeatureInfo:
        """The features at each scale, as timm lists them: num_chs, reduction and module."""
        return FeatureInfo(self.composed.graph.levels)

    def forward_features(self, x: Tensor) -> Tensor:
        """The features before pooling: b c h w, or b n c for a network of tokens.

        x  images, b c h w

        Raises InputError if the graph has no known end of its features, or if this view leaves it out.
        """
        raise _no_features(self)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits b c, computed from the result of `forward_features`; see there for its shape.

        x           the features, b c h w or b n c
        pre_logits  return the input of the classifier instead of the logits

        Raises InputError as `forward_features` does.
        """
        raise _no_head(self)

    def get_classifier(self) -> nn.Module:
        """The classifier, the last if there are several; an nn.Identity if there is none."""
        heads = head_nodes(self.composed.graph.root)
        return self.get_submodule(heads[-1].path) if heads else nn.Identity()

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put in a new classifier, on the device and in the dtype of the other weights, which stay as they are.

        num_classes  number of its outputs; 0 leaves an nn.Identity
        global_pool  `avg`, or an empty string for no pooling; None keeps the pooling

        Raises InputError if the spec has no var `num_classes`, for another pooling, or if the module around the
        classifier was replaced.
        """
        self.composed = change_classes(self, self.composed, num_classes, global_pool)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Save memory in training: keep only the inputs of blocks, and run each block again for its gradients.

        enable  False switches checkpointing off again

        Raises InputError for a network without blocks or stages.
        """
        nodes = block_nodes(self.composed.graph.root)
        if not nodes:
            help = ("tag the blocks of its spec: `site: block`",)
            raise InputError(
                Diagnostic("checkpointing", f"`{self.spec.name}` has neither blocks nor stages", help=help)
            )
        there = {path for path, _ in self.named_modules()}
        for node in nodes:
            # A block may have been removed by hand.
            if node.path in there:
                set_checkpointed(self.get_submodule(node.path), enable)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns of parameter names for layer decay, in timm's form: the stem, then a group per block.

        coarse  a group per stage instead of per block
        """
        return group_matcher(self.composed.graph.root, coarse)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters without weight decay: learnt tokens, positions, tables of positions."""
        return undecayed(self.composed.graph.root, [name for name, _ in self.named_parameters()])

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """What the network was made for, in the words of timm's configurations."""
        spec = next(iter(self.spec.inputs.values()))
        heads = head_nodes(self.composed.graph.root)
        first = next((one for one, _ in self.composed.graph.operations if num_parameters(one)), None)
        return {
            "architecture": self.spec.name,
            "input_size": tuple(spec.shape),
            "mean": spec.mean and tuple(spec.mean),
            "std": spec.std and tuple(spec.std),
            "interpolation": spec.interpolation,
            "crop_pct": spec.crop,
            "num_classes": self.num_classes,
            "classifier": heads[-1].path if heads else None,
            "first_conv": first.path if first else None,
        }

    default_cfg = pretrained_cfg

    def __prepare_scriptable__(self) -> ComposedModule:
        # torch.jit.script calls this first; without an error here it fails on other attributes, less clearly.
        raise _no_script(self.spec.name)

    def init_non_persistent_buffers(self) -> None:
        """Compute again the buffers that no state_dict holds, such as Swin's window masks.

        For use after `to_empty`, which leaves them uninitialised.
        """
        for module in self.modules():
            recompute: Callable[[], None] | None = getattr(module, "init_non_persistent_buffers", None)
            if module is not self and recompute is not None:
                recompute()


def _no_script(name: str) -> InputError:
    help = ("use `torch.export.export`, `torch.compile` or `torch.jit.trace`",)
    return InputError(Diagnostic("script", f"`{name}` cannot be scripted: PyTorch has deprecated it", help=help))


def _channels_of_features(root: Scope) -> int | None:
    reference = features_of(root)
    return None if reference is None else root.tensor(reference).channels


def _no_features(model: ComposedModule) -> InputError:
    root = model.composed.graph.root
    end = end_of_features(root)
    missing = end.path if end is not None else root.end
    if end is not None and end.result is None:
        text = f"the features of `{model.spec.name}` end at `{end.path}`, which gives several tensors"
        return InputError(Diagnostic("features", text, help=("`composer.features` gives them by name",)))
    if missing is not None:
        text = f"the features of `{model.spec.name}` end at `{missing}`, which its outputs leave out"
        return InputError(Diagnostic("features", text, help=("ask the network that this one is a part of",)))
    help = ("tag the node of the root that is pooled: `site: features`",)
    return InputError(Diagnostic("features", f"nothing says where the features of `{model.spec.name}` end", help=help))


def _no_head(model: ComposedModule) -> InputError:
    if features_of(model.composed.graph.root) is None:
        return _no_features(model)
    text = f"what follows the features of `{model.spec.name}` is not one tensor that needs them alone"
    return InputError(Diagnostic("features", text, help=("ask the network that this one is a part of",)))


def dtype_of(name: str) -> torch.dtype | None:
    """The floating-point dtype with this torch name; None for any other name."""
    found = getattr(torch, name, None)
    return found if isinstance(found, torch.dtype) and found.is_floating_point else None
