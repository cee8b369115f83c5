"""External attention beside the authors' double normalisation, in plain steps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import composer
from composer.mechanisms.token.external import ExternalAttention
from tests.mechanisms.oracle import agree


class Authors(nn.Module):
    """The middle of External_attention in EANet's model_torch.py, which works on b c n."""

    def __init__(self, channels: int, memory: int) -> None:
        super().__init__()
        self.linear_0 = nn.Conv1d(channels, memory, 1, bias=False)
        self.linear_1 = nn.Conv1d(memory, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        attn = torch.softmax(self.linear_0(x.transpose(1, 2)), dim=-1)
        attn = attn / (1e-9 + attn.sum(dim=1, keepdim=True))
        return self.linear_1(attn).transpose(1, 2)


def carry(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"linear_0.weight": state["mk.weight"][..., None], "linear_1.weight": state["mv.weight"][..., None]}


@pytest.mark.parametrize("count", [1, 40, 49, 221, 3136])
@pytest.mark.parametrize("memory", [1, 8, 64])
def test_it_is_the_authors(count: int, memory: int) -> None:
    x = torch.randn(2, count, 12, generator=torch.Generator().manual_seed(0))
    agree(ExternalAttention(12, memory=memory), Authors(12, memory), x, carry=carry)


def test_keys_and_values_start_as_the_same_numbers() -> None:
    module = ExternalAttention(12, memory=8)
    assert torch.equal(module.mk.weight, module.mv.weight.T)
    assert module.mk.weight.data_ptr() != module.mv.weight.data_ptr()


def test_in_place_of_a_mixer_and_on_a_map() -> None:
    for network, size in (("vit_tiny_patch16_224", 32), ("swin_tiny_patch4_window7_224", 64)):
        rule = {"use": "external", "replace": "mixer"}
        model = composer.build({"backbone": network, "input": [3, size, size], "attention": [rule]}).eval()
        assert model(torch.randn(1, 3, size, size)).isfinite().all()
    rule = {"use": "external", "beside": "layer4.1.conv2", "with": {"memory": 8}}
    model = composer.build({"backbone": "resnet18", "input": [3, 32, 32], "attention": [rule]}).eval()
    assert model(torch.randn(2, 3, 32, 32)).isfinite().all()
