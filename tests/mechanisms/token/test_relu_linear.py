"""ReLU linear attention beside timm's, and beside its matrix of weights."""

from __future__ import annotations

import pytest
import torch
from timm.models.efficientvit_mit import LiteMLA

import composer
from composer.mechanisms.token.relu_linear import ReLULinearAttention
from tests.mechanisms.oracle import SIZES, SMALL, agree


def as_timms(state):
    names = {"qkv.": "qkv.conv.", "proj.bn.": "proj.norm."}
    for own, other in names.items():
        state = {name.replace(own, other) if name.startswith(own) else name: one for name, one in state.items()}
    return state


# timm computes in float32 whatever arrives.
@pytest.mark.parametrize("scales", [(5,), (3, 7), ()])
@pytest.mark.parametrize(("height", "width"), [(1, 1), *SIZES])
def test_equals_timms_in_float32(height, width, scales):
    torch.manual_seed(height + len(scales))
    ours = ReLULinearAttention(12, head_dim=4, scales=scales).eval()
    theirs = LiteMLA(12, 12, dim=4, scales=scales).eval()
    for one in ours.parameters():
        torch.nn.init.normal_(one, std=0.3)
    theirs.load_state_dict(as_timms(ours.state_dict()))
    x = torch.randn(2, 12, height, width)
    for one in (found := ours(x), theirs(x)):
        one.square().sum().backward()
    torch.testing.assert_close(found, theirs(x))
    gradients = as_timms({name: one.grad for name, one in ours.named_parameters()})
    for name, one in theirs.named_parameters():
        # In float32 both are up to 13 % from float64 on 56 × 56, by the same roundings: the two differ by 2e-5 at most.
        torch.testing.assert_close(gradients[name], one.grad, rtol=0, atol=1e-4 * one.grad.abs().max().item())


class Plain(torch.nn.Module):
    """The equation, head by head, with the matrix of all weights."""

    def __init__(self, channels, dim, scales, eps):
        super().__init__()
        like = ReLULinearAttention(channels, head_dim=dim, scales=scales)
        self.qkv, self.aggreg, self.proj, self.dim, self.eps = like.qkv, like.aggreg, like.proj, dim, eps

    def forward(self, x):
        qkv = self.qkv(x)
        heads = [head for one in (qkv, *(scale(qkv) for scale in self.aggreg)) for head in one.split(3 * self.dim, 1)]
        mixed = []
        for head in heads:
            q, k, v = head.flatten(2).split(self.dim, 1)
            products = torch.einsum("bdn,bdm->bnm", q.relu(), k.relu())
            weights = products / (products.sum(2, keepdim=True) + self.eps)
            mixed.append(torch.einsum("bnm,bdm->bdn", weights, v))
        return self.proj(torch.cat(mixed, 1).unflatten(2, x.shape[2:]))


@pytest.mark.parametrize(("height", "width"), SMALL)
def test_equals_the_equation(height, width):
    agree(ReLULinearAttention(8, head_dim=4, scales=(3,)), Plain(8, 4, (3,), 1e-5), torch.randn(2, 8, height, width))


def test_half_precision_does_not_overflow():
    module, x = ReLULinearAttention(8).eval(), 100 * torch.randn(1, 8, 40, 40)
    assert module.half()(x.half()).isfinite().all()


def test_fewer_channels_than_a_head_has():
    assert ReLULinearAttention(3, head_dim=8).eval()(torch.randn(2, 3, 5, 7)).shape == (2, 3, 5, 7)


def test_parameters():
    count = sum(p.numel() for p in LiteMLA(64, 64).parameters())
    assert sum(p.numel() for p in ReLULinearAttention(64).parameters()) == count == 26_944


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"replace": "mixer", "where": "stage == 2"}),
    ):
        spec = {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "relu_linear", **rule}]}
        model = composer.build(spec)
        assert any(isinstance(one, ReLULinearAttention) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
