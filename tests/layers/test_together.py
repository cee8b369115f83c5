"""Layers of decoders, necks and mixers in one network: its code reads, and all that is done to a network works."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torch.fx

import composer

SPEC = """\
name: together
input: [6, 5, 7]
nodes:
  up: {op: conv_transpose2d, out_channels: 8, kernel_size: 2, stride: 2}
  norm: {op: group_norm, num_groups: 2}
  act: {op: prelu, num_parameters: 8}
  pad: {op: pad_to_multiple, multiple: 8}
  gathered: {op: pixel_unshuffle, downscale_factor: 2}
  spread: {op: pixel_shuffle, upscale_factor: 2}
  cut: {op: crop, from: [spread, up], align: center}
  pooled: {op: adaptive_avg_pool, output_size: [7, null]}
  like: {op: upsample, mode: bilinear, from: [pooled, up]}
  grn: grn_2d
  scaled: layer_scale_2d
  rolled: {op: roll, shifts: [1, 2], dims: [2, 3]}
  ramp: {op: constant, value: [1, 2, 3, 4, 5, 6, 7, 8], shape: [1, 8, 1, 1]}
  times: {op: mul, from: [rolled, ramp], broadcast: true}
  fused: {op: weighted_sum, num_inputs: 3, from: [times, up, cut]}
  unit: l2_norm
  apart: {op: sub, from: [unit, up]}
  tokens: map_to_tokens
  patches: {op: slice_tokens, start: 1}
  across: {op: rearrange, pattern: "b n c -> b c n"}
  logits: {op: matmul, from: [patches, across]}
  weights: softmax
  mixed: {op: matmul, from: [weights, patches]}
  fewer: {op: axis_linear, out_features: 3, from: across}
  back: {op: rearrange, pattern: "b c n -> b n c"}
  both: {op: concat, axis: n, from: [mixed, back]}
  mean: mean_tokens
"""
CODE = """\
        y = self.spread(y)
        y = crop(y, x, align='center')  # cut
        pooled = self.pooled(y)
        pooled = self.like(pooled, x)
        pooled = self.grn(pooled)
        pooled = self.scaled(pooled)
        pooled = torch.roll(pooled, (1, 2), (2, 3))  # rolled
        ramp = self.ramp()
        pooled = pooled * ramp  # times
        pooled = self.fused(pooled, x, y)
        pooled = torch.nn.functional.normalize(pooled, dim=1)  # unit
        pooled = pooled - x  # apart
        pooled = map_to_tokens(pooled)  # tokens
        pooled = pooled[:, 1:]  # patches
        across = pooled.permute(0, 2, 1)  # across
        y = pooled @ across  # logits
        y = self.weights(y)
        y = y @ pooled  # mixed
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "together.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def model(spec):
    return composer.build(spec).eval()


@pytest.fixture
def images():
    return torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(0))


def test_its_code_reads(model):
    assert CODE in model.code


def test_it_is_copied_and_traced(model, images):
    y = model(images)
    assert torch.equal(pickle.loads(pickle.dumps(model))(images), y)
    assert torch.equal(copy.deepcopy(model)(images), y)
    assert torch.equal(torch.fx.symbolic_trace(model)(images), y)
    assert torch.allclose(torch.func.vmap(lambda x: model(x[None])[0])(images), y, atol=1e-5)
    assert copy.deepcopy(model).bfloat16()(images.bfloat16()).isfinite().all()


def test_it_is_exported_for_any_batch(model, images):
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(model, (images,), dynamic_shapes={"x": {0: batch}}).module()
    larger = torch.cat([images, images, images])
    assert torch.allclose(exported(larger), model(larger), atol=1e-6)


def test_weights_fill_a_network_that_was_made_without_numbers(spec, model, images):
    with torch.device("meta"):
        empty = composer.build(spec)
    empty.to_empty(device="cpu").load_state_dict(model.state_dict())
    assert torch.equal(empty.eval()(images), model(images))


def test_every_weight_is_trained(model, images):
    model.train()(images).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_its_costs_are_known(model):
    # 64 to 8 values by 2x2 kernels; two products of 139 x 139 x 8; 139 tokens to 3, for each of 8 channels.
    expected = {"up": 6 * 8 * 4 * 35, "logits": 139 * 139 * 8, "mixed": 139 * 139 * 8, "fewer": 139 * 3 * 8}
    assert {name: macs for name, macs in model.graph.macs.items() if macs} == expected
    parameters = 6 * 8 * 4 + 16 + 8 + 16 + 8 + 3 + 139 * 3 + 3
    assert model.graph.num_parameters == parameters == sum(p.numel() for p in model.parameters())
    assert "unknown" not in str(model.graph.summary())
