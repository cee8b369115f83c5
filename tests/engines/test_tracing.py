"""torch.fx, jit.trace, export and ONNX take a composed network as they take timm's."""

from __future__ import annotations

import copy
import io

import numpy
import pytest
import torch
import torch.fx.experimental.optimization
from engines.networks import NETWORKS, assert_same, images, ours, swin, theirs
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

import composer


@torch.no_grad()
def test_outputs_are_timms(network):
    x = images(network)
    assert_same(network, ours(network)(x), theirs(network)(x))
    # With room for them, the order of sums makes no difference.
    exact, wanted = ours(network).double()(x.double()), theirs(network).double()(x.double())
    torch.testing.assert_close(exact, wanted, rtol=0, atol=1e-14 * wanted.std().item() if network.rounding else 0)


@pytest.mark.slow
@torch.no_grad()
def test_outputs_are_those_of_timms_swin_as_it_comes():
    network = next(one for one in NETWORKS if one.name.startswith("swin"))
    model, control, x = ours(network), swin(experimental=False).eval(), images(network)
    control.load_state_dict(model.state_dict())
    wanted = control(x)
    torch.testing.assert_close(model(x), wanted, rtol=0, atol=1e-5 * wanted.std().item())
    wanted = control.double()(x.double())
    torch.testing.assert_close(model.double()(x.double()), wanted, rtol=0, atol=1e-13 * wanted.std().item())


@torch.no_grad()
def test_symbolic_trace(network):
    model, x = ours(network), images(network)
    traced = torch.fx.symbolic_trace(model)
    assert torch.equal(traced(x), model(x))
    assert torch.equal(copy.deepcopy(traced)(x), model(x))
    torch.manual_seed(1)
    wanted = model.train()(x)
    torch.manual_seed(1)
    assert torch.equal(torch.fx.symbolic_trace(ours(network).train())(x), wanted)


@torch.no_grad()
def test_torchvisions_feature_extractor(network):
    model, x = ours(network), images(network)
    # Swin and ViT end in a norm, the others before their pooling.
    node = "norm" if hasattr(model, "norm") else "global_pool"
    found = create_feature_extractor(model, [node])(x)[node]
    wanted = model.forward_features(x)
    assert torch.equal(found, wanted if node == "norm" else model.global_pool(wanted))


@torch.no_grad()
def test_fx_fuses_convolutions_with_norms(network):
    model, x = ours(network), images(network)
    fused = torch.fx.experimental.optimization.fuse(copy.deepcopy(model))
    norms = [one for one in fused.modules() if isinstance(one, nn.BatchNorm2d)]
    assert len(norms) <= sum("pixel_norm" in name for name, _ in model.named_modules())
    torch.testing.assert_close(fused(x), model(x), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_jit_trace(network):
    model, x = ours(network), images(network)
    assert torch.equal(torch.jit.trace(model, x)(x), model(x))


@torch.no_grad()
def test_export_at_any_batch_keeps_every_level_of_the_tree(network):
    model = ours(network)
    shapes = ({0: torch.export.Dim("batch", min=2, max=64)},)
    program = torch.export.export(model, (images(network),), dynamic_shapes=shapes)
    x = images(network, 3)
    torch.testing.assert_close(program.module()(x), model(x), rtol=0, atol=0)
    stacks = [node.meta["nn_module_stack"] for node in program.graph.nodes if "nn_module_stack" in node.meta]
    seen = {path for stack in stacks for path, _ in stack.values()}
    ran = {path for path, one in model.named_modules() if not isinstance(one, nn.Identity | nn.Dropout)}
    assert {path for path in ran if path.count(".") < 2} <= seen | {""}


@torch.no_grad()
def test_onnx(network):
    onnxruntime = pytest.importorskip("onnxruntime")
    model, x = ours(network), images(network)
    shapes = {"x": {0: torch.export.Dim("batch", min=2, max=64)}}
    program = torch.onnx.export(model, (x,), dynamo=True, dynamic_shapes=shapes, verbose=False)
    file = io.BytesIO()
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    x = images(network, 3)
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    numpy.testing.assert_allclose(found, model(x).numpy(), rtol=1e-3, atol=1e-4)


def test_script_is_refused_in_words(network):
    with pytest.raises(composer.InputError, match=r"use `torch\.export\.export`"):
        torch.jit.script(ours(network))


def test_equal_blocks_share_a_class_and_builds_their_types(network):
    one, other = ours(network), ours(network)
    assert [type(a) for a in one.modules()] == [type(b) for b in other.modules()]
    for kind in nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.LayerNorm:
        assert sum(type(a) is kind for a in one.modules()) == sum(
            isinstance(b, kind) for b in theirs(network).modules()
        )


@torch.no_grad()
def test_vmap_over_an_ensemble(network):
    models = [ours(network) for _ in range(2)]
    for parameter in models[1].parameters():
        parameter.mul_(1.01)
    stacked = torch.func.stack_module_state(models)
    x = images(network)

    def call(parameters, buffers):
        return torch.func.functional_call(models[0], (parameters, buffers), (x,))

    found = torch.vmap(call)(*stacked)
    for result, model in zip(found, models, strict=True):
        torch.testing.assert_close(result, model(x), rtol=1e-4, atol=1e-4)
