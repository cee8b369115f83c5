"""A decoder step of a U-Net, of which both maps have odd sizes: built, trained, drawn and exported."""

from __future__ import annotations

import inspect

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import composer

SPEC = """\
name: unet_step
input: [3, 27, 37]
vars: {width: 8, num_classes: 4}
blocks:
  decoder:                                  # Ronneberger et al., U-Net, MICCAI 2015. arXiv:1505.04597
    site: stage
    inputs: [low, skip]
    args: {channels: }
    nodes:
      up: {op: upsample, mode: bilinear, from: [low, skip]}
      cat: {op: concat, from: [skip, up]}
      conv: {op: conv2d, out_channels: $channels, kernel_size: 3}
      bn: batch_norm
      act: relu
nodes:
  conv1: {op: conv2d, out_channels: $width, kernel_size: 3}
  act1: relu
  pool: {op: max_pool, kernel_size: 2}
  conv2: {op: conv2d, out_channels: "${2 * width}", kernel_size: 3}
  act2: relu
  dec: {block: decoder, from: [act2, act1], args: {channels: $width}}
  head: {op: conv2d, out_channels: $num_classes, kernel_size: 1, bias: true}
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "unet_step.yaml"
    path.write_text(SPEC)
    return path


def by_hand(model, x):
    """The same network, written with PyTorch's functions."""
    weight = {name: value.detach() for name, value in model.state_dict().items()}
    skip = F.conv2d(x, weight["conv1.weight"], padding=1).relu()
    low = F.conv2d(F.max_pool2d(skip, 2), weight["conv2.weight"], padding=1).relu()
    y = torch.cat([skip, F.interpolate(low, skip.shape[2:], mode="bilinear")], 1)
    y = F.conv2d(y, weight["dec.conv.weight"], padding=1)
    bn = [weight[f"dec.bn.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
    return F.conv2d(F.batch_norm(y, *bn).relu(), weight["head.weight"], weight["head.bias"])


def test_it_computes_what_is_written_by_hand(spec):
    model = composer.build(spec).eval()
    for size in ((27, 37), (33, 20)):
        x = torch.randn(2, 3, *size)
        assert torch.equal(model(x), by_hand(model, x))
    assert type(model.pool) is nn.MaxPool2d
    assert "self.up(low, skip)" in inspect.getsource(type(model.dec))


def test_it_trains(spec):
    model = composer.build(spec)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x, target = torch.randn(2, 3, 27, 37), torch.randint(4, (2, 27, 37))
    losses = []
    for _ in range(2):
        loss = F.cross_entropy(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


def test_it_is_drawn(spec, tmp_path, run):
    assert run("graph", spec, "--depth", 2, "-o", tmp_path / "unet.svg").code == 0
    drawn = (tmp_path / "unet.svg").read_text()
    assert "upsample" in drawn
    assert "concat" in drawn


def test_it_is_exported(spec):
    model = composer.build(spec).eval()
    x = torch.randn(2, 3, 27, 37)
    exported = torch.export.export(model, (x,))
    assert torch.allclose(exported.module()(x), model(x), atol=1e-6)


def test_attention_goes_into_a_decoder(spec):
    spec.write_text(SPEC + "attention:\n  - {use: cbam, after: stage}\n  - {use: se, after: dec.up}\n")
    model = composer.build(spec)
    assert model(torch.randn(2, 3, 27, 37)).shape == (2, 4, 27, 37)
    assert any("cbam" in name for name in model.state_dict())
    assert any("se" in name for name in model.state_dict())
