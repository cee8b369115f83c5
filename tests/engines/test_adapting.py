"""PEFT adapts a composed network, merges back, and quantisers find as much to quantise as in timm's."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import peft
import pytest
import torch
from engines.networks import NETWORKS, assert_same, images, ours, their_name, theirs
from torch import Tensor, nn


def _targets(model: nn.Module, kind: type[nn.Module]) -> list[str]:
    return [path for path, one in model.named_modules() if type(one) is kind and getattr(one, "groups", 1) == 1]


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.Linear], ids=["convolutions", "linears"])
def test_lora_trains_and_merges(network, kind):
    names = _targets(ours(network), kind)
    found = _adapted(ours(network), names, images(network))
    for one, wanted in zip(found, _adapted(theirs(network), map(their_name, names), images(network)), strict=True):
        assert_same(network, one, wanted)


def _adapted(model: nn.Module, names: Iterable[str], x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs with random adapters at these layers, and after they were merged into them."""
    torch.manual_seed(0)
    # Frozen, as peft freezes it: torch's fused attention rounds otherwise where a gradient is wanted of what it adds.
    wanted = copy.deepcopy(model).requires_grad_(False)(x)
    adapted = peft.get_peft_model(copy.deepcopy(model), peft.LoraConfig(r=2, target_modules=list(names))).eval()
    assert torch.equal(adapted(x), wanted)
    adapted(x).square().mean().backward()
    trained = [one for name, one in adapted.named_parameters() if "lora_B" in name]
    assert trained
    assert all(one.grad is not None for one in trained)
    with torch.no_grad():
        for one in trained:
            one.normal_(std=0.01)
        changed = adapted(x)
        merged = adapted.merge_and_unload()
        assert not torch.equal(changed, wanted)
        torch.testing.assert_close(merged(x), changed, rtol=0, atol=1e-5 * wanted.std().item())
        assert list(merged.state_dict()) == list(model.state_dict())
        return changed, merged(x)


def _dynamic(model: nn.Module) -> tuple[int, nn.Module]:
    quantised = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    return sum(type(one) is torch.ao.nn.quantized.dynamic.Linear for one in quantised.modules()), quantised


def test_dynamic_quantisation_takes_every_linear(network):
    x = images(network)
    count, found = _dynamic(ours(network))
    wanted, peer = _dynamic(theirs(network))
    linears = [one for one in theirs(network).modules() if isinstance(one, nn.Linear)]
    assert count == len(linears)
    # It goes by exact class, and passes over what timm derives from torch's.
    assert wanted == sum(type(one) is nn.Linear for one in linears)
    if count == wanted and not network.rounding:
        assert torch.equal(found(x), peer(x))


@torch.no_grad()
def _pt2e(model: nn.Module, x: Tensor) -> tuple[int, Tensor]:
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(torch.export.export(model, (x,)).module(), quantizer)
    prepared(x)
    quantised = convert_pt2e(prepared)
    return sum("quantize" in str(node.target) for node in quantised.graph.nodes), quantised(x)


def test_pt2e_quantises_as_many_nodes_as_in_timms(network):
    x, model, control = images(network), ours(network), theirs(network)
    count, found = _pt2e(model, x)
    assert count > 0
    if "cbam" in network.name:
        # The quantiser refuses a layer that runs twice, as the perceptron does in timm's CBAM.
        with pytest.raises(ValueError, match="more than one output node"):
            _pt2e(control, x)
        for path, block in model.named_modules():
            if hasattr(block, "cbam"):
                control.get_submodule(path).se = copy.deepcopy(block.cbam)
    if (last := getattr(control, "classifier", None)) is not None and type(last) is not nn.Linear:
        # It goes by class too, and leaves the weight of such a classifier in float.
        assert _pt2e(control, x)[0] == count - 1
        for one in model, control:
            one.reset_classifier(0)
        count, found = _pt2e(model, x)
    wanted, peer = _pt2e(control, x)
    assert count == wanted
    assert torch.equal(found, peer)


@torch.no_grad()
def test_torchao_int8(network):
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    x, model, control = images(network), ours(network), theirs(network)
    for one in model, control:
        quantize_(one, Int8WeightOnlyConfig())
        linears = [part.weight for part in one.modules() if isinstance(part, nn.Linear)]
        assert all(type(weight).__name__ == "Int8Tensor" for weight in linears)
    assert not torch.equal(model(x), ours(network)(x))
    assert_same(network, model(x), control(x))


@torch.no_grad()
def test_eager_fusion():
    network = NETWORKS[0]
    model, x = ours(network), images(network)
    names = [
        ["conv1", "bn1", "act1"],
        *(
            [f"{path}.conv1", f"{path}.bn1", f"{path}.act1"]
            for path, one in model.named_modules()
            if hasattr(one, "act2")
        ),
    ]
    fused = torch.ao.quantization.fuse_modules(copy.deepcopy(model), names)
    assert type(fused.conv1).__name__ == "ConvReLU2d"
    torch.testing.assert_close(fused(x), model(x), rtol=1e-4, atol=1e-4)
