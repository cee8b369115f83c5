"""A ResNet-18, or a small ViT, with any mechanism goes through torchao's quantisers and computes nearly what it did."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import composer
from composer.dag.rules.default_place import default_places
from tests.mechanisms.cases import ENTRIES, case_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(params=ENTRIES, ids=lambda entry: entry.name)
def case(request) -> tuple[nn.Module, Tensor, float]:
    """A network with the mechanism in its third stage, images for it, and the noise that PT2E may make."""
    name = request.param.name
    rule = {**default_places(request.param)[-1], "use": name, "where": "stage == 3", "with": case_of(name).small}
    # Further tensors, such as a guide, are what a block is given that keeps the size; an addition gives its own.
    if request.param.inputs[0] > 1 and "replace" not in rule:
        rule["where"] += " and block > 1"
        rule["from"] = dict.fromkeys(request.param.tensors[1:], "input")
    spec = {"backbone": "resnet18"}
    if case_of(name).class_token:
        spec, rule["where"] = {"backbone": "vit_tiny_patch16_224", "vars": {"depth": 2}}, "last"
    # The third stage has a sixteenth of the side.
    side = 64 if case_of(name).least <= 4 else 128
    network = composer.build({**spec, "input": [3, side, side], "attention": [rule]})
    images = torch.randn(8, 3, side, side, generator=torch.Generator().manual_seed(0))
    for one in network.modules():
        if isinstance(one, nn.BatchNorm2d):
            # Branches speak, and the statistics are those of these images.
            nn.init.ones_(one.weight)
            one.momentum = 1.0
    with torch.no_grad():
        network(images)
    return network.eval(), images[:2], case_of(name).noise


def _noise(found: Tensor, expected: Tensor) -> float:
    """The difference as a share; of a plain ResNet-18 born like these it is 0.09 by PT2E, and 0.004 by int8 weights."""
    return ((found - expected).square().mean() / expected.square().mean()).sqrt().item()


@torch.no_grad()
def test_pt2e(case):
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    network, images, noise = case
    expected = network(images)
    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(torch.export.export(network, (images,)).module(), quantizer)
    prepared(images)
    # Half a minute where a norm follows what is no plain convolution: torchao looks for a training run's patterns.
    quantised = convert_pt2e(prepared)
    weights = sum("dequantize_per_channel" in str(node.target) for node in quantised.graph.nodes)
    # Of every convolution and linear map; kernels that are mixed for each image stay in float.
    assert weights == sum(type(one) in (nn.Conv2d, nn.Linear) for one in network.modules())
    assert _noise(quantised(images), expected) < noise


@torch.no_grad()
def test_torchao_int8(case):
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    network, images, noise = case
    expected = network(images)
    quantize_(network, Int8WeightOnlyConfig())
    linears = [one.weight for one in network.modules() if type(one) is nn.Linear]
    assert all(type(weight).__name__ == "Int8Tensor" for weight in linears)
    assert 0 < _noise(network(images), expected) < noise / 4
