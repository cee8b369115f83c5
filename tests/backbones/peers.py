"""A backbone of the zoo beside the same network of timm or torchvision: same keys, same weights in, same outputs out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

import composer

Create = Callable[[], nn.Module]


def check_parity(name: str, create: Create, *, size: int = 64, exact: bool = True, train: bool = True) -> None:
    """The same keys, count and outputs as the peer's for its weights, and a classifier of any size.

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
        for key, tensor in peer.state_dict().items():
            assert_close(ours.state_dict()[key], tensor, key, exact=exact)
    check_num_classes(name)


def check_outputs(ours: nn.Module, peer: nn.Module, images: Tensor, *, exact: bool = True) -> None:
    """What both make of the images, which must not drown in the biases on its way through the network."""
    with torch.no_grad():
        found, wanted = ours(images), peer(images)
    first, second = wanted[:2]
    assert (first - second).abs().max() > 1e-2 * wanted.abs().max()
    assert_close(found, wanted, "output", exact=exact)


def assert_close(found: Tensor, wanted: Tensor, what: str, *, exact: bool) -> None:
    """Equal bit for bit, or to 1e-5 of the largest number (of 1, if all are smaller)."""
    assert torch.isfinite(wanted).all(), what
    difference = (found - wanted).abs().max().item()
    assert difference <= (0 if exact else 1e-5 * max(1.0, wanted.abs().max().item())), f"{what}: {difference:.1e}"


def check_count(name: str, create: Create) -> None:
    """The peer's number of parameters, without allocating either network."""
    with torch.device("meta"):
        peer = create()
    assert composer.graph(name).num_parameters == sum(parameter.numel() for parameter in peer.parameters())


def check_num_classes(name: str) -> None:
    """`num_classes` sets the classifier's width alone, and 0 leaves it out."""
    graphs = [composer.graph(name, vars=vars) for vars in ({}, {"num_classes": 7}, {"num_classes": 0})]
    whole, seven, none = (graph.num_parameters for graph in graphs)
    classes, *_ = (next(iter(graph.outputs.values())).channels for graph in graphs)
    assert next(iter(graphs[1].outputs.values())).channels == 7
    assert seven > none
    assert (whole - seven) * 7 == (seven - none) * (classes - 7)


def check_input(name: str, create: Create) -> None:
    """An image becomes the network's input as the peer's default configuration says (timm's)."""
    with torch.device("meta"):
        peer = create().default_cfg
    ours = next(iter(composer.load(name).inputs.values()))
    assert tuple(ours.shape) == tuple(peer["input_size"])
    assert tuple(ours.mean), tuple(ours.std) == (tuple(peer["mean"]), tuple(peer["std"]))
    assert (ours.interpolation, ours.crop) == (peer["interpolation"], peer["crop_pct"])


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
