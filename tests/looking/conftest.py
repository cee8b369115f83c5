"""Small networks with one mechanism, to look at."""

from __future__ import annotations

import pytest
import torch

import composer
from composer import registry
from composer.looking.gather import gather

NODES = {
    "stem": {"op": "conv2d", "out_channels": 32, "kernel_size": 3, "stride": 2, "site": "stem"},
    "conv": {"op": "conv2d", "out_channels": 32, "kernel_size": 3, "site": "spatial_conv"},
    "bn": {"op": "batch_norm", "site": "branch"},
    "act": {"op": "relu", "site": ["stage", "block"]},
    "pool": "global_avg_pool",
    "fc": {"op": "linear", "out_features": 4, "site": "head"},
}


def small(name, *, side=32, outputs=None, **options):
    """A spec with a mechanism in the place of the convolution, or behind the norm."""
    entry = registry.get(name)
    rule = {"use": name, **({"replace": "conv"} if entry.replaces else {"after": "bn"}), "with": options}
    if entry.inputs[0] > 1:
        rule["from"] = dict.fromkeys(entry.tensors[1:], "./stem")
    source = {"name": f"small_{name}", "input": {"shape": [3, side, side]}, "nodes": NODES, "attention": [rule]}
    return source if outputs is None else {**source, "outputs": outputs}


@pytest.fixture
def network():
    def build(name, **options):
        return composer.build(small(name, **options)).eval()

    return build


@pytest.fixture
def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def seen(images):
    def see(model, given=None):
        return gather(model, images if given is None else given)

    return see
