import pytest
import torch
from mechanisms.oracle import SIZES, agree
from timm.layers import create_attn
from torch import nn

import composer
from composer import contract, registry
from composer.contract import Subject
from composer.mechanisms.all_positions.gc import GlobalContext
from composer.mechanisms.all_positions.gca import GlobalContextAttention


class Authors(nn.Module):
    """The context block of xvjiarui/GCNet, written again."""

    def __init__(self, channels, hidden, fuse):
        super().__init__()
        self.fuse = fuse
        self.conv_mask = nn.Conv2d(channels, 1, 1)
        layers = (nn.Conv2d(channels, hidden, 1), nn.LayerNorm([hidden, 1, 1]), nn.ReLU())
        self.channel = nn.Sequential(*layers, nn.Conv2d(hidden, channels, 1))

    def forward(self, x):
        mask = self.conv_mask(x).flatten().reshape(len(x), -1).softmax(1).reshape(len(x), 1, *x.shape[2:])
        term = self.channel((x * mask).sum((2, 3), keepdim=True))
        return x + term if self.fuse == "add" else x * term.sigmoid()


def to_authors(state):
    names = {"conv_attn": "conv_mask", "fc1": "channel.0", "norm": "channel.1", "fc2": "channel.3"}
    return {
        f"{names[layer]}.{part}": one[:, None, None] if layer == "norm" else one
        for (layer, part), one in ((name.split("."), one) for name, one in state.items())
    }


@pytest.mark.parametrize("fuse", ["add", "mul"])
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_authors(size, fuse):
    ours, x = GlobalContext(16, reduction=4, fuse=fuse), torch.randn(2, 16, *size)
    agree(ours, Authors(16, 4, fuse), x, carry=to_authors)


@pytest.mark.parametrize(("fuse", "name", "inside"), [("add", "gca", "mlp_add"), ("mul", "gc", "mlp_scale")])
@pytest.mark.parametrize("size", SIZES)
def test_equals_timm(size, fuse, name, inside):
    def carry(state):
        return {(key if key.startswith("conv_attn") else f"{inside}.{key}"): one for key, one in state.items()}

    ours = GlobalContextAttention(20, fuse=fuse)
    agree(ours, create_attn(name, 20), torch.randn(2, 20, *size), carry=carry)


def test_has_timms_width_at_every_number_of_channels():
    with torch.device("meta"):
        for channels in range(12, 400):
            theirs = create_attn("gca", channels).mlp_add.fc1.weight
            assert GlobalContextAttention(channels).fc1.weight.shape == theirs.shape, channels


def test_starts_as_the_identity():
    x = torch.randn(2, 64, 7, 7)
    assert torch.equal(GlobalContext(64)(x), x)
    torch.testing.assert_close(GlobalContext(64, fuse="mul")(x), x / 2)
    assert not torch.equal(GlobalContextAttention(64)(x), x)


def test_by_hand():
    """Logits 0 and ln 3 weigh 1/4 and 3/4."""
    module = GlobalContext(2, reduction=1)
    with torch.no_grad():
        module.conv_attn.weight.copy_(torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1))
    x = torch.tensor([[[[0.0, 3.0]], [[4.0, 8.0]]]])
    x[0, 0, 0, 1] = torch.tensor(3.0).log()
    torch.testing.assert_close(module.attention(x), torch.tensor([0.25, 0.75]).expand(1, 1, 2, 2))


def test_works_on_sequences_and_videos():
    image = GlobalContext(8, 2, reduction=2)
    with torch.no_grad():
        for one in image.parameters():
            one.normal_()
    x = torch.randn(2, 8, 4, 15)
    for dims, shape in ((1, (60,)), (3, (4, 3, 5))):
        other = GlobalContext(8, dims, reduction=2)
        state = {name: one.reshape(other.state_dict()[name].shape) for name, one in image.state_dict().items()}
        other.load_state_dict(state)
        found = other(x.reshape(2, 8, *shape)).reshape(x.shape)
        torch.testing.assert_close(found, image(x))


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (13, 17)])
def test_trains_on_one_image_of_any_size(size):
    x = torch.randn(1, 32, *size, requires_grad=True)
    GlobalContext(32).train()(x).square().sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("module", "count"), [(GlobalContext(64), 653), (GlobalContextAttention(64), 1177), (GlobalContext(64, 3), 653)]
)
def test_parameters(module, count):
    assert sum(p.numel() for p in module.parameters()) == count


@pytest.mark.parametrize("kind", [GlobalContext, GlobalContextAttention])
def test_few_channels_still_speak(kind):
    """The layer norm of one hidden number would be constant."""
    module = kind(3)
    assert module.fc1.weight.shape[0] == 2
    nn.init.ones_(module.fc2.weight[:, :1])
    nn.init.zeros_(module.fc1.bias)
    nn.init.eye_(module.fc1.weight[..., 0, 0])
    x = torch.randn(2, 3, 5, 5) + torch.tensor([3.0, 0.0, 0.0]).reshape(3, 1, 1)
    assert ((module(x) - x) - (module(-x) + x)).abs().max() > 0.1


@pytest.mark.parametrize("name", ["gc", "gca"])
def test_the_number_that_never_learns_never_matters(name):
    """Its docstring says so, and the contract passes it; another without a gradient fails."""
    entry = registry.get(name)
    module, x = entry.factory(32), torch.randn(2, 32, 5, 5)
    nn.init.normal_(module.fc2.weight)
    before = module(x)
    nn.init.constant_(module.conv_attn.bias, 3)
    torch.testing.assert_close(module(x), before)
    found = contract.verdict(Subject(entry), "every parameter learns", contract.CHECKS["every parameter learns"])
    assert found.status == "ok"


def test_in_resnet50_behind_every_branch_but_those_of_the_first_stage():
    """GCNet's place, c3 to c5: 13 blocks of 2cd + 2c + 3d + 1 numbers."""
    rule = {"use": "gc", "after": "branch", "where": "stage >= 2", "expect": 13}
    assert composer.graph({"backbone": "resnet50", "attention": [rule]}).num_parameters == 28_078_773


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
@pytest.mark.parametrize("name", ["gc", "gca"])
def test_at_its_default_place(backbone, name):
    spec = {"backbone": backbone, "attention": [{"use": name, "after": "branch"}]}
    if backbone == "resnet18":
        network = composer.build({**spec, "input": [3, 64, 64]}).eval()
        assert network(torch.randn(2, 3, 64, 64)).isfinite().all()
    else:
        assert composer.graph(spec).num_parameters > composer.graph(backbone).num_parameters
