"""Grad-CAM. Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks, ICCV 2017."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from composer.compile.steps import evaluating, run_steps
from composer.errors import Diagnostic, InputError, UnavailableError
from composer.looking.nodes import map_node

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule
    from composer.dag.scope import Node


def grad_cam(model: ComposedModule, image: Tensor, path: str, class_index: int | None = None) -> Tensor:
    """Where a node's features speak for a class: h w at the image's size, from 0 to 1, on the CPU.

    image        1 c h w, prepared for the network
    path         a node that gives a feature map or tokens; what rules put behind it belongs to it
    class_index  the likeliest class unless given
    Features that nowhere speak for the class give 0 everywhere, so do patches behind the last block of a network that
    reads its class token alone. The network is run in eval mode and left as it was. Raises InputError, and
    UnavailableError without the extra `look`.
    """
    _check(model, image, class_index)
    _, *own = next(iter(model.graph.root.inputs.values())).without_batch
    node = map_node(model.graph, path).at_size((own[0], own[1]), (image.shape[2], image.shape[3]))
    cam_type, target_type = _package()
    stepped = _Stepped(model, node.path)
    with evaluating(model), _frozen(model), torch.inference_mode(False), torch.enable_grad():
        cam = cam_type(stepped, [stepped.watched], reshape_transform=node.as_map)
        targets = None if class_index is None else [target_type(class_index)]
        found = cam(image.detach().clone(), targets)
    return torch.from_numpy(found[0])


class _Stepped(nn.Module):
    """The network with one node's value passing through a module, `watched`, whose hooks see it: functions too."""

    def __init__(self, model: ComposedModule, path: str) -> None:
        super().__init__()
        self.watched = nn.Identity()
        # The package asks a parameter for its device, and clears gradients of all that it finds: none of the network's.
        self.device = nn.Parameter(next(model.parameters(), torch.empty(0)).detach()[:0], requires_grad=False)
        self.network, self.path = (model,), path

    def forward(self, x: Tensor) -> Tensor:
        (logits,) = run_steps(self.network[0], x, self._watch).values()
        return logits

    def _watch(self, node: Node, value: Tensor) -> Tensor:
        if node.path != self.path:
            return value
        # A leaf, so that nothing before it is differentiated; a copy goes on, which activations may overwrite.
        watched: Tensor = self.watched(value.detach().requires_grad_())
        return watched.clone()


@contextlib.contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """No weight asks for a gradient, so that none is added to what it has."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def _package() -> tuple[Any, Any]:
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError as error:
        text, help = f"Grad-CAM needs the extra `look`: {error}", ("pip install 'attention-composer[look]'",)
        raise UnavailableError(Diagnostic("extra", text, label="the package grad-cam", help=help)) from error
    return GradCAM, ClassifierOutputTarget


def _check(model: ComposedModule, image: Tensor, class_index: int | None) -> None:
    """Raises InputError where the network gives no classes, or the image or the class does not fit it."""
    name, inputs, outputs = model.spec.name, list(model.graph.root.inputs.values()), list(model.graph.outputs.values())
    if [one.layout for one in inputs] != ["b c h w"] or [one.layout for one in outputs] != ["b c"]:
        text = f"`{name}` takes {', '.join(map(str, inputs))} and gives {', '.join(map(str, outputs))}"
        raise InputError(Diagnostic("classes", text, label="a network of one image that gives classes"))
    if image.ndim != 4 or image.shape[:2] != (1, inputs[0].channels):
        text, label = f"the image is {'×'.join(map(str, image.shape))}", f"1×{inputs[0].channels}×height×width"
        raise InputError(Diagnostic("image", text, label=label))
    count = outputs[0].channels or 0
    if class_index is not None and not 0 <= class_index < count:
        text = f"`{name}` has no class {class_index}"
        raise InputError(Diagnostic("class", text, label=f"from 0 to {count - 1}"))
