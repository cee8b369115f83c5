"""A checkpoint of the plain model fills a model with insertions: what is missing is exactly what was inserted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import composer
from composer import WeightsError
from tests.hosts.nets import IDENTITY, IMAGES, Net, equal


@pytest.mark.parametrize("start", ["", "module.", "model.net."])
def test_missing_is_what_was_inserted(tmp_path: Path, start: str) -> None:
    torch.manual_seed(1)
    plain = Net().eval()
    file = tmp_path / "plain.pt"
    torch.save({"state_dict": {f"{start}{name}": tensor for name, tensor in plain.state_dict().items()}}, file)
    torch.manual_seed(2)
    model = Net().eval()
    report = composer.insert(model, {"use": "se", "after": ["blocks.*", "stem"], **IDENTITY}, IMAGES)
    loaded = composer.load_weights(model, file)
    assert loaded.inserted == tuple(name for name in model.state_dict() if name in report.keys)
    assert (loaded.missing, loaded.unexpected) == ((), ())
    assert equal(model(IMAGES), plain(IMAGES))


def test_a_block_with_two_names_lacks_what_was_inserted_under_both() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blk = nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU())
            self.alias = self.blk

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.blk(x)

    plain = Twice()
    model = Twice()
    composer.insert(model, {"use": "se", "after": "blk"}, torch.zeros(2, 3, 8, 8))
    report = composer.load_weights(model, plain.state_dict())
    assert torch.equal(model.blk[0].weight, plain.blk[0].weight)
    assert any(name.startswith("alias.") for name in report.inserted)


def test_what_an_insertion_took_out_is_left_out_of_the_file() -> None:
    plain, model = Net(), nn.Sequential(Net())
    net = model[0]
    composer.insert(
        net, {"use": "conv2d", "replace": "blocks.0.conv1", "with": {"out_channels": 8, "kernel_size": 1}}, IMAGES
    )
    composer.insert(net, {"remove": "blocks.1.bn1"}, IMAGES)
    report = composer.load_weights(net, plain.state_dict())
    assert "blocks.0.conv1.weight" in report.left_out
    assert any(name.startswith("blocks.1.bn1") for name in report.left_out)
    # Of a model around it, as a trainer saves it.
    again = composer.load_weights(model, {f"0.{name}": tensor for name, tensor in plain.state_dict().items()})
    assert len(again.loaded) == len(report.loaded)


def test_what_does_not_fit_is_refused_and_nothing_is_loaded() -> None:
    model = Net()
    composer.insert(model, {"use": "se", "after": "stem", **IDENTITY}, IMAGES)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    wrong = {name: tensor for name, tensor in Net().state_dict().items() if "conv2" not in name}
    with pytest.raises(WeightsError, match=r"do not fit `Net`; nothing was loaded"):
        composer.load_weights(model, wrong)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_model_without_insertions_takes_its_own_file() -> None:
    model, source = Net(), Net()
    report = composer.load_weights(model, source.state_dict())
    assert len(report.loaded) == len(source.state_dict())
    assert not report.missing + report.inserted
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(WeightsError, match="`DataParallel` holds a network"):
        composer.load_weights(torch.nn.DataParallel(model), source.state_dict())
