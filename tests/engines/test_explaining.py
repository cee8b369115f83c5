"""captum and grad-cam explain a composed network as they explain timm's."""

from __future__ import annotations

import numpy
import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam
from engines.networks import Network, images, ours, theirs
from pytorch_grad_cam import EigenCAM, GradCAM, HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

LAST = {
    "mobilenetv3_small_100": "blocks.5",
    "vit_tiny_patch16_224": "blocks.11.norm1",
    "swin_tiny_patch4_window7_224": "layers.3.blocks.1.norm1",
}


def both(network: Network) -> list[nn.Module]:
    return [ours(network), theirs(network)]


def last(model: nn.Module, network: Network) -> nn.Module:
    """The layer that Grad-CAM looks at."""
    return model.get_submodule(LAST.get(network.name, "layer4"))


def to_map(tokens: Tensor) -> Tensor:
    """A class token and the tokens of a square map, or a map with its channels last -> b c h w."""
    if tokens.dim() == 3:
        tokens = tokens[:, 1:]
        side = round(tokens.shape[1] ** 0.5)
        tokens = tokens.unflatten(1, (side, side))
    return tokens.permute(0, 3, 1, 2)


def test_integrated_gradients(network):
    # In double precision: a last bit opens a relu or not.
    x = images(network).double()
    found, peer = (IntegratedGradients(one.double()).attribute(x, target=3, n_steps=4) for one in both(network))
    assert found.shape == x.shape
    assert found.abs().max() > 0
    torch.testing.assert_close(found, peer, rtol=1e-9, atol=1e-9 * found.abs().max().item())


def test_layer_grad_cam(network):
    x = images(network)
    found, peer = (LayerGradCam(one, last(one, network)).attribute(x, target=3) for one in both(network))
    assert found.abs().max() > 0
    torch.testing.assert_close(found, peer, rtol=1e-3, atol=1e-4 * found.abs().max().item())


@pytest.mark.parametrize("method", [GradCAM, HiResCAM, EigenCAM], ids=lambda one: one.__name__.lower())
def test_pytorch_grad_cam(network, method):
    x, maps = images(network), []
    reshape = to_map if "norm1" in LAST.get(network.name, "") else None
    for model in both(network):
        with method(model, [last(model, network)], reshape_transform=reshape) as explain:
            maps.append(explain(x, [ClassifierOutputTarget(3)] * len(x)))
    assert maps[0].shape == (len(x), *x.shape[2:])
    assert maps[0].max() > 0.9
    # Each map is scaled to 1, which a last bit of a nearly constant map outgrows.
    numpy.testing.assert_allclose(maps[0], maps[1], atol=1e-3)
