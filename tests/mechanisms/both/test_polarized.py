import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.polarized import PolarizedSelfAttention


class Authors(nn.Module):
    """PSA.py of DeLightCMU/PSA, both forms, written again: every product as a map."""

    def __init__(self, channels, form):
        super().__init__()
        self.form, hidden = form, channels // 2
        for name, width in (("q_right", 1), ("v_right", hidden), ("q_left", hidden), ("v_left", hidden)):
            setattr(self, f"conv_{name}", nn.Conv2d(channels, width, 1, bias=False))
        self.conv_up = nn.Conv2d(hidden, channels, 1, bias=False)
        if form == "sequential":
            m = hidden // 4
            layers = (nn.Conv2d(hidden, m, 1), nn.LayerNorm([m, 1, 1]), nn.ReLU(), nn.Conv2d(m, channels, 1))
            self.conv_up = nn.Sequential(*layers)

    def channels(self, x):
        mask = self.conv_q_right(x).reshape(len(x), 1, -1).softmax(2)
        v = self.conv_v_right(x).reshape(len(x), -1, mask.shape[2])
        return x * self.conv_up((v * mask).sum(2)[:, :, None, None]).sigmoid()

    def positions(self, x):
        q = self.conv_q_left(x).mean((2, 3))[:, :, None]
        t = self.conv_v_left(x).reshape(len(x), q.shape[1], -1)
        s = (q * t).sum(1).softmax(1) if self.form == "parallel" else (q * t.softmax(2)).sum(1)
        return x * s.sigmoid().reshape(len(x), 1, *x.shape[2:])

    def forward(self, x):
        if self.form == "parallel":
            return self.positions(x) + self.channels(x)
        return self.positions(self.channels(x))


def carry(state):
    return {name: one[:, None, None] if name.startswith("conv_up.1") else one for name, one in state.items()}


@pytest.mark.parametrize("form", ["parallel", "sequential"])
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size, form):
    agree(PolarizedSelfAttention(16, form=form), Authors(16, form), torch.randn(2, 16, *size), carry=carry)


@pytest.mark.parametrize("form", ["parallel", "sequential"])
@pytest.mark.parametrize("size", [(1, 1), (7, 7), (13, 17)])
def test_trains_on_one_image_of_any_size(size, form):
    x = torch.randn(1, 16, *size, requires_grad=True)
    PolarizedSelfAttention(16, form=form).train()(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("form", ["parallel", "sequential"])
def test_works_on_sequences_and_videos(form):
    image, x = PolarizedSelfAttention(16, form=form), torch.randn(2, 16, 4, 15)
    for dims, shape in ((1, (60,)), (3, (4, 3, 5))):
        other = PolarizedSelfAttention(16, dims, form=form)
        state = {name: one.reshape(other.state_dict()[name].shape) for name, one in image.state_dict().items()}
        other.load_state_dict(state)
        torch.testing.assert_close(other(x.reshape(2, 16, *shape)).reshape(x.shape), image(x))


@pytest.mark.parametrize(("form", "count"), [("parallel", 8256), ("sequential", 7064)])
def test_parameters(form, count):
    assert sum(p.numel() for p in PolarizedSelfAttention(64, form=form).parameters()) == count


def test_refuses_a_single_channel():
    with pytest.raises(
        ValueError, match="polarized: it halves the channels, found 1; put it where there are 2 or more"
    ):
        PolarizedSelfAttention(1)


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "polarized", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
