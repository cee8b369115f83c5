"""Modules of other libraries as specs: equal keys and numbers, and blocks and repeats as a person writes them."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

import composer
from composer.errors import GraphError, Source
from composer.importing.recorded.model import Import, Variant, spec_of
from composer.spec.yaml import read
from tests.importing.families import row, sources

SMALL: dict[str, Any] = {
    "resnet18": {},
    "vit_tiny_patch16_224": {"depth": 2},
    "convnext_atto": {"depths": (1, 2, 1, 1)},
    "mobilenetv3_small_050": {},
}


def written(model: nn.Module, *shape: int) -> dict[str, Any]:
    text = spec_of(model.eval(), torch.zeros(2, *shape), name="net")
    found: dict[str, Any] = read(Source("net", text)).plain()
    return found


def scaled(model: nn.Module) -> nn.Module:
    """The model with random scales and statistics, so that no branch is hidden by a scale of 0."""
    torch.manual_seed(0)
    with torch.no_grad():
        for one in (*model.parameters(), *model.buffers()):
            if one.ndim == 1 and one.is_floating_point():
                one.add_(torch.rand(one.shape))
    return model.eval()


@pytest.mark.parametrize("name", SMALL)
def test_the_network_of_the_spec_is_the_model(name: str) -> None:
    model = scaled(timm.create_model(name, num_classes=10, **SMALL[name]))
    network = composer.build(written(model, 3, 224, 224), weights="none").eval()
    state = model.state_dict()
    assert list(state) == list(network.state_dict())
    network.load_state_dict(state)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(model(images), network(images))


def test_a_model_of_torchvision_is_the_same_network() -> None:
    model = scaled(torchvision.models.resnet18(num_classes=10))
    network = composer.build(written(model, 3, 64, 64), weights="none").eval()
    network.load_state_dict(model.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(images), network(images))


def test_equal_blocks_are_one_with_arguments_in_repeats() -> None:
    with torch.device("meta"):
        model, other = (timm.create_model("resnet50", num_classes=number).eval() for number in (1000, 7))
    args = (torch.zeros(2, 3, 224, 224),)
    text = Import(model, args, "resnet50", variants=[Variant(other, {"num_classes": (1000, 7)})]).written()
    assert Import(model, args, "resnet50", variants=[Variant(other, {"num_classes": (1000, 7)})]).written() == text
    spec: Any = read(Source("net", text)).plain()
    assert list(spec["blocks"]) == ["downsample", "bottleneck"]
    assert spec["vars"] == {"num_classes": 1000}
    assert spec["nodes"]["fc"] == {"op": "linear", "out_features": "$num_classes"}
    assert spec["blocks"]["bottleneck"]["args"] == {"out_channels": None, "stride": 1, "downsample": False}
    assert spec["nodes"]["layer3"] == {
        "block": "bottleneck",
        "repeat": 6,
        "args": {"out_channels": 256, "stride": "${2 if index == 0 else 1}", "downsample": "${index == 0}"},
    }


def test_sites_stand_where_rules_find_them() -> None:
    with torch.device("meta"):
        model = timm.create_model("resnet18").eval()
    sites: dict[str, tuple[str, ...]] = {"conv1": ("stem",), "layer1": ("stage",), "fc": ("head",)}
    for stage in range(1, 5):
        sites |= {f"layer{stage}.{block}": ("block",) for block in range(2)}
        sites |= {f"layer{stage}.{block}.bn2": ("branch",) for block in range(2)}
    text = Import(model, (torch.zeros(2, 3, 64, 64),), "net", sites=sites).written()
    spec: Any = read(Source("net", text)).plain()
    assert spec["blocks"]["basic_block"]["site"] == "block"
    assert spec["blocks"]["basic_block"]["nodes"]["bn2"] == {"op": "batch_norm", "site": "branch"}
    assert spec["nodes"]["layer1"]["site"] == "stage"
    spec["attention"] = [{"use": "eca", "after": "branch", "expect": 8}, {"use": "se", "after": "stage", "expect": 1}]
    composer.compose(spec)


def test_what_only_training_does_is_not_lost() -> None:
    with pytest.raises(GraphError, match=r"`Dropout\(p=0.1, inplace=False\)` cannot be written: drops in training"):
        spec_of(timm.create_model("vit_tiny_patch16_224", depth=1, attn_drop_rate=0.1), torch.zeros(1, 3, 224, 224))
    spec = written(timm.create_model("vit_tiny_patch16_224", depth=2, drop_path_rate=0.2, drop_rate=0.3), 3, 224, 224)
    assert spec["nodes"]["head_drop"] == {"op": "dropout", "p": 0.3}
    assert spec["blocks"]["block"]["nodes"]["drop_path1"]["op"] == "drop_path"


class Grid(nn.Module):
    """Tokens that become a map again, whose rows follow from the image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8)
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        height, width = x.shape[2:]
        x = self.mix(x.flatten(2).transpose(1, 2))
        result: Tensor = self.conv(x.transpose(1, 2).reshape(len(x), 8, height, width))
        return result


def test_sizes_follow_from_the_image_where_two_recordings_show_it() -> None:
    model = Grid().eval()
    args, more = (torch.zeros(2, 3, 32, 32),), (torch.zeros(2, 3, 48, 16),)
    alone: Any = read(Source("net", Import(model, args, "net").text())).plain()
    assert alone["nodes"]["rearrange_2"]["sizes"] == {"h": 8}
    text = Import(model, args, "net", variants=[Variant(model, args=more, input=[3, 48, 16])]).text()
    spec: Any = read(Source("net", text)).plain()
    assert spec["nodes"]["rearrange_2"]["sizes"] == {"h": "${input.height // 4}"}
    network = composer.build({**spec, "input": [3, 64, 24]}, weights="none").eval()
    network.load_state_dict(model.state_dict())
    images = torch.randn(2, 3, 64, 24)
    with torch.no_grad():
        torch.testing.assert_close(network(images), model(images))


class Odd(nn.Module):
    """Parts that no layer is, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.fold = nn.ModuleList(nn.Unfold(2, stride=2) for _ in range(2))
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        sums = [one(x).cumsum(1) for one in self.fold]
        return sums[0] + sums[1]


def test_everything_that_no_layer_is_is_named_at_once() -> None:
    with pytest.raises(GraphError) as caught:
        spec_of(Odd(), torch.zeros(1, 3, 4, 4))
    found = str(caught.value)
    assert "torch's `Unfold(kernel_size=2, dilation=1, padding=0, stride=2)` cannot be written: no layer" in found
    assert "the function `cumsum` cannot be written: no layer is this function" in found
    assert "at: cumsum\n" in found
    assert "also at `cumsum_2`" in found
    assert "`backbone: {timm: NAME}`" in found


class Reshaped(nn.Module):
    """Attention written by hand: axes are split, reordered and merged, which is no operation of a spec."""

    def __init__(self) -> None:
        super().__init__()
        self.to_q, self.to_kv, self.out = nn.Linear(8, 8), nn.Linear(8, 16), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        q = self.to_q(x).reshape(batch, count, 2, 4).transpose(1, 2)
        k, v = self.to_kv(x).reshape(batch, count, 2, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        result: Tensor = self.out(y.transpose(1, 2).reshape(batch, count, width))
        return result


def test_axes_are_written_only_where_an_operation_needs_them() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.mix = nn.Conv2d(3, 8, 2, 2), Reshaped()

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.mix(self.embed(x).flatten(2).transpose(1, 2)).mean(1)
            return result

    spec = written(Net(), 3, 8, 8)
    assert [node if isinstance(node, str) else node["op"] for node in spec["blocks"]["reshaped"]["nodes"].values()] == [
        "linear",
        "linear",
        "channels",
        "channels",
        "scaled_dot_product_attention",
        "linear",
    ]
    assert spec["nodes"]["rearrange"] == {"op": "rearrange", "pattern": "b c h w -> b (h w) c"}


def test_a_module_that_is_called_twice_is_shared() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act = nn.Conv2d(3, 3, 1), nn.ReLU()
            self.block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            x = self.act(self.conv(self.act(self.conv(x))))
            result: Tensor = self.block(self.block(x))
            return result

    nodes = written(Twice(), 3, 8, 8)["nodes"]
    assert nodes["conv_2"] == {"share": "conv"}
    assert nodes["act_2"] == "relu"
    assert nodes["block_2"] == {"share": "block"}


def test_members_of_a_list_that_a_forward_calls_stand_in_a_scope_of_the_list() -> None:
    class Sums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.paths = nn.ModuleList(nn.Conv2d(3, 4, size, padding=size // 2) for size in (1, 3))

        def forward(self, x: Tensor) -> Tensor:
            y = self.paths[0](x)
            y = y + 1
            return y + self.paths[1](x)

    spec = written(Sums(), 3, 8, 8)
    assert list(spec["blocks"]["paths"]["nodes"]) == ["0", "1"]


def test_the_command_writes_the_spec(run: Any, tmp_path: Any) -> None:
    target = tmp_path / "net.yaml"
    done = run("import", "timm:resnet18", "-o", target)
    assert (done.code, done.err.splitlines()[-1]) == (0, "resnet18: 11,689,512 parameters")
    assert run("validate", target).code == 0
    assert run("import", "timm:nothing", "-o", tmp_path / "other.yaml").code == 1
    assert not (tmp_path / "other.yaml").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("family", "source"), list(sources()))
def test_families(family: str, source: str) -> None:
    from tests.importing.families import TABLE

    found = row(family, source)
    name = source.partition(":")[2]
    assert f"| {family} | `{name}` | {'yes' if found.lines else 'no'} |" in TABLE.read_text()
