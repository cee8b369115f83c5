"""What is put into a view by hand is put into the live network too, and the other way round."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import composer

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> composer.ComposedModule:
    return composer.build("resnet18").eval()


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one)


@torch.no_grad()
def test_a_module_put_into_a_view_is_in_the_network(model):
    view = composer.features(model)
    before = view(X)
    view.conv1 = mine = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
    after = view(X)
    assert view.conv1 is model.conv1 is mine
    assert not same(before, after)
    assert same(after, composer.features(model)(X))
    model.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
    view(X)
    assert view.conv1 is model.conv1 is not mine


@torch.no_grad()
def test_a_tool_that_goes_through_a_view_changes_all_of_it(model):
    view = nn.SyncBatchNorm.convert_sync_batchnorm(composer.features(model)).eval()
    view(X)
    norms = [one for one in model.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    assert len(norms) == 20
    assert all(type(one) is nn.SyncBatchNorm for one in norms)


@torch.no_grad()
def test_a_parameter_put_into_a_view_is_in_the_network():
    model = composer.build({"backbone": "vit_tiny_patch16_224", "input": [3, 64, 64]}).eval()
    view = composer.features(model, {"x": "blocks.0"})
    view.cls_token = mine = nn.Parameter(torch.ones_like(model.cls_token))
    view(X)
    assert view.cls_token is model.cls_token is mine


def test_what_a_view_reads_inside_cannot_be_replaced_there():
    model = composer.build("mobilenetv3_small_100").eval()
    view = composer.features(model)
    view.blocks = nn.Sequential(view.blocks)
    with pytest.raises(composer.ComposerError, match="`blocks` is a Sequential that was put in by hand"):
        view(X)
    del view.blocks
    with pytest.raises(composer.ComposerError, match="`blocks` is gone"):
        view(X)


@torch.no_grad()
def test_a_network_compiled_in_place_gives_its_features():
    model = composer.build("mobilenetv3_small_100").eval()
    wanted = composer.features(model)(X)
    model.blocks.compile(backend="eager")
    model.compile(backend="eager")
    model(X)
    assert same(wanted, composer.features(model)(X))
