"""Grad-CAM. Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks, ICCV 2017."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from composer.compile.steps import evaluating, frozen, run_steps
from composer.errors import Diagnostic, InputError, UnavailableError
from composer.looking.nodes import map_node

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule
    from composer.dag.scope import Node


def grad_cam(model: ComposedModule, image: Tensor, path: str, class_index: int | None = None) -> Tensor:
    """How much a node's features speak for a class: h w, of the image's size, in 0..1, on the CPU.

    model        the network; runs in eval mode and is then as it was
    image        1 c h w, prepared for the network
    path         a node that gives a feature map or tokens; nodes that rules put after it belong to it
    class_index  the class; by default the likeliest

    0 everywhere if no feature speaks for the class; so too for patches after the last block of a network that reads
    only its class token. Raises InputError, and UnavailableError without the extra `look`.
    """
    _check(model, image, class_index)
    _, *own = next(iter(model.graph.root.inputs.values())).without_batch
    node = map_node(model.graph, path).at_size((own[0], own[1]), (image.shape[2], image.shape[3]))
    cam_type, target_type = _package()
    stepped = _Stepped(model, node.path)
    with evaluating(model), frozen(model), torch.inference_mode(False), torch.enable_grad():
        cam = cam_type(stepped, [stepped.watched], reshape_transform=node.as_map)
        targets = None if class_index is None else [target_type(class_index)]
        found = cam(image.detach().clone(), targets)
    return torch.from_numpy(found[0])


class _Stepped(nn.Module):
    """The network, with a node's value passed through the module `watched`, whose hooks see functions' values too."""

    def __init__(self, model: ComposedModule, path: str) -> None:
        super().__init__()
        self.watched = nn.Identity()
        # The package reads the device of a parameter and clears all gradients that it finds. This parameter keeps it
        # away from the network's.
        self.device = nn.Parameter(next(model.parameters(), torch.empty(0)).detach()[:0], requires_grad=False)
        self.network, self.path = (model,), path

    def forward(self, x: Tensor) -> Tensor:
        (logits,) = run_steps(self.network[0], x, self._watch).values()
        return logits

    def _watch(self, node: Node, value: Tensor) -> Tensor:
        if node.path != self.path:
            return value
        # A leaf, so that nothing before it is differentiated. Activations may overwrite the copy that goes on.
        watched: Tensor = self.watched(value.detach().requires_grad_())
        return watched.clone()


def _package() -> tuple[Any, Any]:
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError as error:
        text, help = f"Grad-CAM needs the extra `look`: {error}", ("pip install 'attention-composer[look]'",)
        raise UnavailableError(Diagnostic("extra", text, label="the package grad-cam", help=help)) from error
    return GradCAM, ClassifierOutputTarget


def _check(model: ComposedModule, image: Tensor, class_index: int | None) -> None:
    """Raises InputError if the network gives no classes, or if the image or the class does not fit it."""
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
