"""ODConv beside its authors' layer, written again one sample at a time."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import composer
from composer.mechanisms.kernel.odconv import OmniDimensionalDynamicConv
from tests.mechanisms.oracle import SIZES, agree


class Authors(nn.Module):
    """ODConv2d: every kernel of every sample is written out, scaled along its four axes."""

    def __init__(self, inputs: int, outputs: int, k: int, stride: int, groups: int, n: int, d: int) -> None:
        super().__init__()
        self.shape, self.stride, self.groups = (outputs, inputs // groups, k, k), stride, groups
        self.weight = nn.Parameter(torch.empty(n, outputs * inputs // groups * k * k))
        self.register_buffer("temperature", torch.tensor(1.0))
        self.fc, self.bn = nn.Conv2d(inputs, d, 1, bias=False), nn.BatchNorm2d(d)
        self.channel_fc = nn.Conv2d(d, inputs, 1)
        self.filter_fc = None if inputs == groups == outputs else nn.Conv2d(d, outputs, 1)
        self.spatial_fc = None if k == 1 else nn.Conv2d(d, k * k, 1)
        self.kernel_fc = None if n == 1 else nn.Conv2d(d, n, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = F.relu(self.bn(self.fc(F.adaptive_avg_pool2d(x, 1))))
        along = [
            None if one is None else one(z).flatten(1) / self.temperature for one in (self.channel_fc, self.filter_fc)
        ]
        taps = None if self.spatial_fc is None else torch.sigmoid(self.spatial_fc(z).flatten(1) / self.temperature)
        mix = None if self.kernel_fc is None else torch.softmax(self.kernel_fc(z).flatten(1) / self.temperature, dim=1)
        maps = []
        for index, sample in enumerate(x):
            kernel = torch.zeros(self.shape, dtype=x.dtype)
            for number, expert in enumerate(self.weight):
                kernel = kernel + (1 if mix is None else mix[index, number]) * expert.reshape(self.shape)
            if taps is not None:
                kernel = kernel * taps[index].reshape(1, 1, *self.shape[2:])
            gated = sample * torch.sigmoid(along[0][index])[:, None, None]
            y = F.conv2d(gated[None], kernel, None, self.stride, self.shape[2] // 2, 1, self.groups)[0]
            maps.append(y if along[1] is None else y * torch.sigmoid(along[1][index])[:, None, None])
        return torch.stack(maps)


def pair(k: int, stride: int, groups: int, n: int, outputs: int = 8) -> tuple[nn.Module, nn.Module]:
    options = {"num_experts": n, "reduction": 4, "floor": 3}
    ours = OmniDimensionalDynamicConv(8, outputs, k, stride, groups=groups, **options)
    return ours, Authors(8, outputs, k, stride, groups, n, 3)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("k", "stride", "groups", "n", "outputs"),
    [(3, 1, 1, 4, 8), (3, 2, 2, 3, 12), (1, 1, 1, 4, 6), (1, 1, 1, 1, 6), (3, 1, 8, 4, 8), (5, 1, 1, 1, 8)],
)
def test_it_is_the_authors_layer(size: tuple[int, int], k: int, stride: int, groups: int, n: int, outputs: int) -> None:
    ours, theirs = pair(k, stride, groups, n, outputs)
    agree(ours, theirs, torch.randn(3, 8, *size, generator=torch.Generator().manual_seed(0)))


def test_parameters_and_those_of_the_authors_networks() -> None:
    assert sum(p.numel() for p in OmniDimensionalDynamicConv(64, 64).parameters()) == 150_909
    for experts, count in ((1, 11_943_944), (4, 44_901_640)):
        rule = {"use": "odconv", "replace": "layer*.*.conv[12]", "with": {"num_experts": experts}, "expect": 16}
        assert composer.graph({"backbone": "resnet18", "attention": [rule]}).num_parameters == count


def test_it_anneals_and_keeps_its_temperature() -> None:
    rule = {"use": "odconv", "replace": "layer4.1.conv2", "with": {"num_experts": 2}}
    model = composer.build({"backbone": "resnet18", "input": [3, 32, 32], "attention": [rule]})
    assert composer.anneal(model, epoch=5) == {"layer4.1.conv2": 15.5}
    assert model.state_dict()["layer4.1.conv2.temperature"] == 15.5
    x = torch.randn(4, 512, 3, 3)
    spread = []
    for epoch in (0, 10):
        composer.anneal(model, epoch=epoch)
        spread.append(model.layer4[1].conv2.eval().attention(x).sub(0.5).abs().max().item())
    assert spread[0] < spread[1]


def test_one_image_in_training() -> None:
    x = torch.randn(1, 8, 5, 5)
    with pytest.raises(ValueError, match="more than 1 value"):
        OmniDimensionalDynamicConv(8, 8)(x)
    for norm in ("layer", "none"):
        assert OmniDimensionalDynamicConv(8, 8, norm=norm)(x).shape == x.shape


@pytest.mark.parametrize("experts", [1, 3])
def test_biases_are_mixed_and_gated(experts: int) -> None:
    module = OmniDimensionalDynamicConv(4, 6, num_experts=experts, bias=True).double().eval()
    nn.init.normal_(module.bias)
    x = torch.zeros(2, 4, 5, 5, dtype=torch.float64)
    _, outputs, _, mix = module.gates(x)
    wanted = (module.bias if mix is None else mix.double() @ module.bias)[..., None, None] * outputs
    torch.testing.assert_close(module(x), wanted.expand(2, 6, 5, 5))


def test_all_sizes_and_what_it_refuses() -> None:
    module = OmniDimensionalDynamicConv(4, 6).eval()
    for size in ((1, 1), (7, 7), (13, 17)):
        assert module(torch.randn(2, 4, *size)).isfinite().all()
    assert module(torch.randn(0, 4, 7, 7)).shape == (0, 6, 7, 7)
    with pytest.raises(ValueError, match="8 output channels do not divide into 3 groups; set groups to 2"):
        OmniDimensionalDynamicConv(6, 8, groups=3)
