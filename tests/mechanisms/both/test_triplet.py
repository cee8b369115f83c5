import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.triplet import TripletAttention


class Gate(nn.Module):
    def __init__(self, kernel_size):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=(kernel_size - 1) // 2, bias=False)
        self.bn = nn.BatchNorm2d(1, eps=1e-5, momentum=0.01)

    def forward(self, x):
        pooled = torch.cat([torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)], 1)
        return x * torch.sigmoid(self.bn(self.conv(pooled)))


class Authors(nn.Module):
    """triplet_attention.py of landskape-ai/triplet-attention, written again: it turns the map for each gate."""

    def __init__(self, kernel_size=7, spatial=True):
        super().__init__()
        self.cw, self.hc = Gate(kernel_size), Gate(kernel_size)
        if spatial:
            self.hw = Gate(kernel_size)

    def forward(self, x):
        turned = [self.cw(x.permute(0, 2, 1, 3)).permute(0, 2, 1, 3)]
        turned.append(self.hc(x.permute(0, 3, 2, 1)).permute(0, 3, 2, 1))
        if hasattr(self, "hw"):
            turned.append(self.hw(x))
        return sum(turned) / len(turned)


@pytest.mark.parametrize(("kernel_size", "spatial"), [(7, True), (3, True), (7, False)])
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size, kernel_size, spatial):
    ours = TripletAttention(kernel_size=kernel_size, spatial=spatial)
    agree(ours, Authors(kernel_size, spatial), torch.randn(2, 6, *size))


def test_by_hand():
    """A kernel with only its centre, 1 for the maximum; the statistics of the norm are 0 and 1."""
    module = TripletAttention().double().eval()
    with torch.no_grad():
        for gate in (module.cw, module.hc, module.hw):
            gate.conv.weight.zero_()
            gate.conv.weight[0, 0, 3, 3] = 1
            gate.bn.weight.fill_((1 + 1e-5) ** 0.5)
    x = torch.tensor([[[[1.0, -2.0], [0.5, 3.0]], [[2.0, 0.0], [-1.0, 1.0]]]], dtype=torch.float64)
    for c, h, w in torch.cartesian_prod(*[torch.arange(2)] * 3):
        maxima = torch.stack([x[0, c, :, w].max(), x[0, c, h].max(), x[0, :, h, w].max()])
        torch.testing.assert_close(module(x)[0, c, h, w], x[0, c, h, w] * maxima.sigmoid().mean())


def test_the_spatial_gate_starts_at_a_half():
    x = torch.randn(2, 8, 5, 5)
    module = TripletAttention()
    assert torch.equal(module.hw(torch.randn(2, 2, 5, 5)), torch.full((2, 1, 5, 5), 0.5))
    assert module.hw.bn.momentum == module.cw.bn.momentum == 0.01
    assert module(x).shape == x.shape


@pytest.mark.parametrize(("batch", "size"), [(1, (7, 7)), (1, (1, 7)), (1, (13, 17)), (2, (1, 1))])
def test_trains_on_small_maps(batch, size):
    x = torch.randn(batch, 8, *size, requires_grad=True)
    TripletAttention().train()(x).sum().backward()
    assert x.grad.isfinite().all()


def test_one_image_of_one_position_trains_without_the_spatial_gate():
    x = torch.randn(1, 8, 1, 1)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        TripletAttention().train()(x)
    assert TripletAttention(spatial=False).train()(x).isfinite().all()


@pytest.mark.parametrize(("options", "count"), [({}, 300), ({"kernel_size": 3}, 60), ({"spatial": False}, 200)])
def test_parameters(options, count):
    assert sum(p.numel() for p in TripletAttention(**options).parameters()) == count


def test_refuses_an_even_kernel():
    with pytest.raises(ValueError, match="triplet: kernel_size=4 is even; use an odd number"):
        TripletAttention(kernel_size=4)


def test_in_resnet50():
    """Published: 25.56 M."""
    rule = {"use": "triplet", "after": "branch", "expect": 16}
    assert composer.graph({"backbone": "resnet50", "attention": [rule]}).num_parameters == 25_561_832


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "triplet", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
