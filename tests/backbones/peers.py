"""A backbone of the zoo beside the same network of timm or torchvision: same weights in, same outputs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

import composer
from composer.dag.scope import num_parameters
from composer.kernels import set_kernels
from composer.kernels.choice import has_kernel
from composer.network import Graph

Create = Callable[[], nn.Module]


def check_parity(
    name: str, create: Create, *, size: int = 64, exact: bool = True, train: bool = True
) -> tuple[Graph, nn.Module]:
    """The same keys, count and outputs as the peer's for its weights, and a classifier of any size; returns both.

    size   side of the square images that both see
    exact  outputs are equal bit for bit; otherwise to 1e-5 of the largest
    train  compared in training mode too, with the running statistics after the step
    """
    peer, ours = randomised(create()), composer.build(name)
    assert {key: tensor.shape for key, tensor in ours.state_dict().items()} == {
        key: tensor.shape for key, tensor in peer.state_dict().items()
    }
    assert ours.graph.num_parameters == sum(parameter.numel() for parameter in peer.parameters())
    ours.load_state_dict(peer.state_dict())
    channels = ours.graph.root.inputs["input"].channels
    images = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(2))
    check_outputs(ours.eval(), peer.eval(), images, exact=exact)
    if train:
        check_outputs(ours.train(), peer.train(), images, exact=exact)
        after = ours.state_dict()
        for key, tensor in peer.state_dict().items():
            assert_close(after[key], tensor, key, exact=exact)
    check_num_classes(name, ours.graph)
    return ours.graph, peer


def check_outputs(ours: nn.Module, peer: nn.Module, images: Tensor, *, exact: bool = True) -> None:
    """What both make of the images, which must not drown in the biases on its way through the network."""
    with torch.no_grad():
        found, wanted = ours(images), peer(images)
    first, second = wanted[:2]
    assert (first - second).abs().max() > 1e-3 * wanted.abs().max()
    assert_close(found, wanted, "output", exact=exact)


def check_gradients(ours: nn.Module, peer: nn.Module, images: Tensor) -> None:
    """The gradients of the images and of every parameter, to 1e-4 of the largest of each."""
    found, wanted = gradients(ours, images), gradients(peer, images)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        largest = tensor.abs().max().item()
        assert largest > 0, name
        assert (found[name] - tensor).abs().max().item() <= 1e-4 * largest, name


def gradients(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Of the images, under an empty name, and of each parameter; of a sum that sees every output alike."""
    images = images.clone().requires_grad_()
    named = {"": images, **dict(model.named_parameters())}
    output = model(images)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(3))
    return dict(zip(named, torch.autograd.grad((output * weights).sum(), list(named.values())), strict=True))


def assert_close(found: Tensor, wanted: Tensor, what: str, *, exact: bool) -> None:
    """Equal bit for bit, or to 1e-5 of the largest number (of 1, if all are smaller)."""
    assert torch.isfinite(wanted).all(), what
    difference = (found - wanted).abs().max().item()
    assert difference <= (0 if exact else 1e-5 * max(1.0, wanted.abs().max().item())), f"{what}: {difference:.1e}"


def check_exact_gradients(ours: nn.Module, peer: nn.Module, images: Tensor) -> None:
    """The same gradients of all parameters, in float64, to 1e-9 of the largest of each, for the same weights in both.

    Where ours has other names, its parameters are those of equal values. Both networks are in float64 afterwards.
    Kernels add in another order: where the true gradient is 0 and what comes out is rounding (a bias before a batch
    norm), theirs differ by no more than rounding of the network's largest gradient.
    """
    has_kernels = any(has_kernel(type(one)) for one in ours.modules())
    for kernels in ("reference", "fused") if has_kernels else ("reference",):
        set_kernels(ours, kernels)
        for model in (ours, peer):
            model.double().zero_grad()
            model(images.double()).square().mean().backward()
        found = dict(ours.named_parameters())
        renamed = not found.keys() >= dict(peer.named_parameters()).keys()
        rounding = 1e-14 * max(one.grad.abs().max() for one in peer.parameters()) if kernels == "fused" else 0
        for name, parameter in peer.named_parameters():
            assert parameter.grad is not None, name
            scale = parameter.grad.abs().max()
            assert scale > 0, name
            own = next(one for one in found.values() if torch.equal(one, parameter)) if renamed else found[name]
            assert (own.grad - parameter.grad).abs().max() <= 1e-9 * scale + rounding, (name, kernels)


def check_num_classes(name: str, whole: Graph) -> None:
    """`num_classes` sets the classifier's width alone, and 0 leaves it out."""
    seven, none = (composer.graph(name, vars={"num_classes": number}) for number in (7, 0))
    usual, seen = (next(iter(graph.outputs.values())).channels for graph in (whole, seven))
    assert seen == 7
    cost_of_seven = seven.num_parameters - none.num_parameters
    assert cost_of_seven > 0
    assert (whole.num_parameters - none.num_parameters) * 7 == cost_of_seven * usual


def check_count(name: str, create: Create, vars: Mapping[str, Any] | None = None) -> Graph:
    """The peer's number of parameters, without allocating either network; returns ours."""
    with torch.device("meta"):
        peer = create()
    graph = composer.graph(name, vars=vars)
    assert graph.num_parameters == sum(parameter.numel() for parameter in peer.parameters())
    return graph


def check_published(graph: Graph, million_parameters: float | None, million_macs: float | None) -> None:
    """The sizes that a paper states, where it states them: to 5 %, for they round: EfficientNet-B4's 4.39 to 4.2."""
    if million_parameters is not None:
        assert graph.num_parameters / 1e6 == pytest.approx(million_parameters, rel=0.05)
    if million_macs is not None:
        assert graph.num_macs / 1e6 == pytest.approx(million_macs, rel=0.05)


def check_input(name: str, peer: str) -> None:
    """An image becomes the network's input as the default configuration of a network of timm says."""
    wanted = timm.get_pretrained_cfg(peer)
    ours = next(iter(composer.load(name).inputs.values()))
    assert tuple(ours.shape) == wanted.input_size
    assert (tuple(ours.mean), tuple(ours.std)) == (wanted.mean, wanted.std)
    assert (ours.interpolation, ours.crop) == (wanted.interpolation, wanted.crop_pct)


def check_features(graph: Graph, num_features: int) -> None:
    """The site `features`, or the root node that holds the last stage, gives a map of so many channels."""
    places = graph.places.select("features") or graph.places.select("stage")[-1:]
    (name,) = {place.node.path.split(".")[0] for place in places}
    features = graph.root.tensor(name)
    assert (features.channels, features.layout) == (num_features, "b c h w")


def check_grey(name: str, size: int = 96) -> None:
    """Images of one channel and another size: only the first convolution has other weights."""
    image = {"shape": [1, size, size], "mean": [0.5], "std": [0.5]}
    grey, plain = composer.graph({"backbone": name, "input": image}), composer.graph(name)
    assert {key: tensor.shape for key, tensor in grey.outputs.items()} == {
        key: tensor.shape for key, tensor in plain.outputs.items()
    }
    (stem, *_), (usual, *_) = grey.operations, plain.operations
    assert plain.num_parameters - grey.num_parameters == num_parameters(usual[0]) - num_parameters(stem[0]) > 0


def randomised(model: nn.Module) -> nn.Module:
    """Weights and running statistics that are nobody's default, at which an image's signal stays of its size."""
    generator = torch.Generator().manual_seed(1)
    for key, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        if tensor.ndim > 1:
            spread = (2 / tensor[0].numel()) ** 0.5
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * spread)
        else:
            centred = torch.rand(tensor.shape, generator=generator) - 0.5
            tensor.copy_(centred + 1 if key.endswith(("weight", "running_var")) else centred * 0.2)
    return model
