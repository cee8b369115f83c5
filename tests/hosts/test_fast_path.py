"""What is inserted into PyTorch's transformer layers also runs where one kernel does a whole layer."""

from __future__ import annotations

import contextlib
import copy
import pickle

import pytest
import torch
from torch import nn

import composer

RULES = (
    {"use": "se", "after": "layers.*"},
    {"use": "se", "after": "layers.*.norm2"},
    {"use": "se", "after": "layers.*.norm1"},
    {"use": "se", "after": "layers.0"},
)


def encoder() -> nn.TransformerEncoder:
    torch.manual_seed(0)
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, batch_first=True), 2).eval()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["after"])
def test_it_runs_with_and_without_gradients(rule: dict[str, str]) -> None:
    model, x = encoder(), torch.randn(2, 9, 32)
    mask = torch.tensor([[False] * 9, [False] * 5 + [True] * 4])
    with torch.no_grad():
        before = model(x)
    composer.insert(model, rule, x)
    for words in ({}, {"src_key_padding_mask": mask}):
        slow = model(x, **words)
        with torch.no_grad():
            fast = model(x, **words)
        torch.testing.assert_close(fast, slow)
        assert not torch.allclose(fast, before, atol=0.1)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        with torch.no_grad():
            assert torch.equal(twin(x), model(x))
    composer.remove(model)
    assert type(model.layers[0]) is nn.TransformerEncoderLayer
    assert model.layers[0].activation_relu_or_gelu == 1
    with torch.no_grad():
        assert torch.equal(model(x), before)


class Images(nn.Module):
    """A transformer of images, in whose layers the last step is a sum or a norm."""

    def __init__(self, *, norm_first: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(32, 4, batch_first=True, norm_first=norm_first)
        self.patch = nn.Conv2d(3, 32, 8, 8)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(self.patch(x).flatten(2).transpose(1, 2)).mean(1)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"use": "cbam", "after": "block"}, "encoder.layers.0.out_cbam"),
        ({"use": "se", "before": "encoder.layers.*"}, "encoder.layers.0.in_se"),
        ({"use": "se", "after": "encoder.layers.*.linear1"}, "encoder.layers.0.linear1.se"),
    ],
)
def test_it_goes_before_and_behind_layers_and_into_them(norm_first: bool, rule: dict[str, str], path: str) -> None:
    model, x = Images(norm_first=norm_first).eval(), torch.randn(2, 3, 32, 32)
    with (
        pytest.warns(UserWarning, match="inserted into Linear itself")
        if "linear1" in path
        else contextlib.nullcontext()
    ):
        report = composer.insert(model, rule, x)
    assert path in report.places
    with torch.no_grad():
        torch.testing.assert_close(model(x), model.train(False)(x.requires_grad_()).detach())
        plain = Images(norm_first=norm_first).eval()(x)
        assert not torch.allclose(model(x), plain, atol=1e-3)


def test_a_layer_without_insertions_keeps_its_fast_path() -> None:
    model = encoder()
    composer.insert(model, {"use": "se", "after": "layers.0.norm1"}, torch.randn(2, 9, 32))
    assert model.layers[0].activation_relu_or_gelu == 0
    assert model.layers[1].activation_relu_or_gelu == 1


def test_what_replaces_a_module_and_cannot_be_called_like_it_says_so() -> None:
    class Calls(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mixer = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.mixer(input=x)

    model = Calls()
    with pytest.raises(composer.GraphError, match="what replaces `mixer` is called as that was"):
        composer.insert(model, {"use": "se", "replace": "mixer"}, torch.randn(2, 8, 4, 4))
    assert type(model.mixer) is nn.Identity
