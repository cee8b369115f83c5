import pytest
import torch
from mechanisms.oracle import SIZES, agree
from torch import nn

import composer
from composer.mechanisms.both.shuffle import ShuffleAttention


class Authors(nn.Module):
    """sa_layer of wofmanaf/SA-Net, written again, a group at a time."""

    def __init__(self, channels, groups):
        super().__init__()
        self.groups, width = groups, channels // (2 * groups)
        for name, start in (("cweight", 0.0), ("cbias", 1.0), ("sweight", 0.0), ("sbias", 1.0)):
            setattr(self, name, nn.Parameter(torch.full((1, width, 1, 1), start)))
        self.gn = nn.GroupNorm(width, width)

    def forward(self, x):
        parts = []
        for group in x.chunk(self.groups, 1):
            first, second = group.chunk(2, 1)
            pooled = nn.functional.adaptive_avg_pool2d(first, 1)
            parts.append(first * (self.cweight * pooled + self.cbias).sigmoid())
            parts.append(second * (self.sweight * self.gn(second) + self.sbias).sigmoid())
        y = torch.cat(parts, 1)
        half = x.shape[1] // 2
        return torch.stack([y[:, i // 2 + half * (i % 2)] for i in range(2 * half)], 1)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size, groups):
    agree(ShuffleAttention(12, groups=groups), Authors(12, groups), torch.randn(2, 12, *size))


def test_at_birth_it_shuffles_and_multiplies_by_one_number():
    x = torch.arange(8.0).reshape(1, 8, 1, 1).expand(1, 8, 3, 3)
    y = ShuffleAttention(8, groups=2)(x) / torch.tensor(1.0).sigmoid()
    torch.testing.assert_close(y[0, :, 1, 1], torch.tensor([0.0, 4, 1, 5, 2, 6, 3, 7]))


def test_values_multiply_the_shuffled_input():
    module, x = ShuffleAttention(16, groups=4), torch.randn(2, 16, 5, 7)
    for one in module.parameters():
        nn.init.normal_(one)
    gates = module.attention(x)
    assert gates.shape == x.shape
    assert gates.min() > 0
    assert gates.max() < 1
    torch.testing.assert_close(module(x), module.gated(x) * gates)


@pytest.mark.parametrize(("channels", "groups"), [(256, 64), (128, 64), (64, 32), (192, 48), (16, 8), (74, 37), (2, 1)])
def test_groups(channels, groups):
    assert ShuffleAttention(channels).groups == groups


@pytest.mark.parametrize(
    ("channels", "groups", "said"),
    [
        (64, 64, "shuffle: half of 64 channels does not divide into 64 groups; set groups to 32"),
        (192, 64, "shuffle: half of 192 channels does not divide into 64 groups; set groups to 48 or 96"),
        (37, None, "shuffle: 37 channels have no two halves; put it where their number is even"),
    ],
)
def test_refuses_groups_that_do_not_divide(channels, groups, said):
    with pytest.raises(ValueError, match=said):
        ShuffleAttention(channels, groups=groups)


@pytest.mark.parametrize("groups", [1, 8])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 7), (13, 17)])
def test_trains_on_one_image_of_any_size(size, groups):
    x = torch.randn(1, 16, *size, requires_grad=True)
    y = ShuffleAttention(16, groups=groups).train()(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(("channels", "options", "count"), [(64, {"groups": 8}, 24), (2048, {}, 96)])
def test_parameters(channels, options, count):
    assert sum(p.numel() for p in ShuffleAttention(channels, **options).parameters()) == count


def test_in_resnet50():
    """708 more than 25,557,032; the abstract prints 300."""
    rule = {"use": "shuffle", "after": "branch", "expect": 16}
    assert composer.graph({"backbone": "resnet50", "attention": [rule]}).num_parameters == 25_557_740


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_after_every_block(backbone):
    spec = {"backbone": backbone, "attention": [{"use": "shuffle", "after": "block"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 32, 32]}).eval()
        assert network(torch.randn(1, 3, 32, 32)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
