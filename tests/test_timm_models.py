"""composer's backbones made by timm.create_model."""

from __future__ import annotations

import pytest
import timm
import torch

import composer


@pytest.fixture(scope="module", autouse=True)
def registered():
    names = composer.register_with_timm()
    assert set(names) <= set(timm.list_models())
    assert composer.register_with_timm() == names


def test_a_network_is_composers():
    model = timm.create_model("composer_resnet18", num_classes=7, in_chans=1)
    assert isinstance(model, composer.ComposedModule)
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 7)


def test_features_only_is_timms_list():
    ours = timm.create_model("composer_resnet18", features_only=True, out_indices=(1, 3)).eval()
    peer = timm.create_model("resnet18", features_only=True, out_indices=(1, 3)).eval()
    ours.body.load_state_dict(peer.state_dict(), strict=False)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        found, wanted = ours(x), peer(x)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert ours.feature_info.channels() == peer.feature_info.channels()
    assert ours.feature_info.reduction() == peer.feature_info.reduction()


@pytest.mark.parametrize("indices", [None, (1, 2)])
@torch.no_grad()
def test_features_only_of_a_dilated_network_is_timms(indices):
    options = {"features_only": True, "output_stride": 8} | ({} if indices is None else {"out_indices": indices})
    ours = timm.create_model("composer_resnet18", **options).eval()
    peer = timm.create_model("resnet18", **options).eval()
    ours.body.load_state_dict(peer.state_dict(), strict=False)
    x = torch.randn(1, 3, 64, 64)
    assert all(torch.equal(a, b) for a, b in zip(ours(x), peer(x), strict=True))
    for key in ("channels", "reduction"):
        assert getattr(ours.feature_info, key)() == getattr(peer.feature_info, key)()


@pytest.mark.parametrize("indices", [None, 2, (0, 3, -1)])
@torch.no_grad()
def test_features_only_of_a_vit_is_timms_maps(indices):
    options = {} if indices is None else {"out_indices": indices}
    ours = timm.create_model("composer_vit_tiny_patch16_224", features_only=True, img_size=64, **options).eval()
    peer = timm.create_model("vit_tiny_patch16_224", features_only=True, img_size=64, **options).eval()
    ours.body.load_state_dict(peer.model.state_dict(), strict=False)
    x = torch.randn(2, 3, 64, 64)
    found, wanted = ours(x), peer(x)
    assert [one.shape for one in found] == [one.shape for one in wanted]
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    for key in ("channels", "reduction", "module_name"):
        assert getattr(ours.feature_info, key)() == getattr(peer.feature_info, key)()
    assert ours.output_fmt == peer.output_fmt


def test_what_it_cannot_do_is_said():
    with pytest.raises(composer.InputError, match="has no weights of its own"):
        timm.create_model("composer_resnet18", pretrained=True)
    with pytest.raises(composer.InputError, match="there are 5 levels"):
        timm.create_model("composer_resnet18", features_only=True, out_indices=(9,))
