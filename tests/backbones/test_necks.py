"""Networks that put nodes on a backbone, against the library that has them too."""

from __future__ import annotations

import re

import pytest
import timm
import torch
import torch.nn.functional as F
from backbones.peers import assert_close, randomised
from torch import Tensor, nn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

import composer
from composer.spec import zoo


@pytest.mark.parametrize("name", zoo.others("necks"))
def test_each_composes_and_trains_a_step(name):
    model = composer.build(name)
    shape = next(iter(model.graph.root.inputs.values())).shape[1:]
    outputs = model(torch.randn(2, *shape))
    sum(value.square().mean() for value in outputs.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def ours(name: str) -> str:
    """Our name of one of torchvision's tensors."""
    name = name.removeprefix("body.")
    for theirs, own in (("inner_blocks", "inner"), ("layer_blocks", "p")):
        name = re.sub(rf"fpn\.{theirs}\.(\d)\.0", lambda found, own=own: f"{own}{int(found[1]) + 2}", name)
    return name


@pytest.mark.parametrize("training", [False, True])
def test_fpn_resnet50_is_torchvisions(training):
    theirs = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
    ).train(training)
    model = composer.build("necks/fpn_resnet50").train(training)
    report = composer.load_weights(
        model, {ours(name): value for name, value in theirs.state_dict().items()}, require="all"
    )
    assert not report.added
    images = torch.randn(2, 3, 128, 160, generator=torch.Generator().manual_seed(0))
    wanted, found = theirs(images), model(images)
    for theirs_name, own in zip(("0", "1", "2", "3", "pool"), ("p2", "p3", "p4", "p5", "p6"), strict=True):
        assert torch.equal(found[own], wanted[theirs_name])
    for outputs in (wanted, found):
        sum(value.square().mean() for value in outputs.values()).backward()
    gradients = dict(model.named_parameters())
    for name, parameter in theirs.named_parameters():
        assert torch.equal(gradients[ours(name)].grad, parameter.grad), name


def test_the_paper_s_width_is_a_var_and_rules_reach_every_node():
    rules = [{"use": "eca", "after": "pyramid", "expect": 4}, {"use": "se", "after": "branch", "expect": 16}]
    graph = composer.compose({"backbone": "necks/fpn_resnet50", "attention": rules}, vars={"width": 64})
    assert graph.outputs["p2"].channels == 64
    assert len(graph.mechanisms[0]) == 4


def test_weights_of_the_plain_backbone_fill_it(tmp_path):
    plain = composer.build("resnet50", seed=1)
    torch.save(plain.state_dict(), tmp_path / "resnet50.pth")
    model = composer.build("necks/fpn_resnet50", weights=tmp_path / "resnet50.pth")
    report = model.weights_report
    assert {name.partition(".")[0] for name in report.added} == {
        f"{kind}{level}" for kind in ("inner", "p") for level in (2, 3, 4, 5)
    }
    assert report.left_out == ("fc.weight", "fc.bias")


def separable(width: int) -> nn.Sequential:
    depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
    return nn.Sequential(nn.SiLU(), depthwise, nn.Conv2d(width, width, 1), nn.BatchNorm2d(width, 1e-3, 0.01))


class Fuse(nn.Module):
    """Fast normalized fusion: Tan et al., 2020, sec. 3.3."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.weights, self.conv = nn.Parameter(torch.ones(count)), separable(width)

    def forward(self, *maps: Tensor) -> Tensor:
        weights = self.weights.clamp(min=0)
        return self.conv(sum(w * x for w, x in zip(weights, maps, strict=True)) / (weights.sum() + 1e-4))


class BiFPN(nn.Module):
    """A cell of EfficientDet's neck: Tan et al., 2020, fig. 3d and the equations of sec. 3.3."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down = nn.ModuleDict({str(level): Fuse(width, 2) for level in (6, 5, 4)})
        self.up = nn.ModuleDict({str(level): Fuse(width, 2 if level in (3, 7) else 3) for level in range(3, 8)})

    def forward(self, maps: dict[int, Tensor], again: dict[int, Tensor]) -> dict[int, Tensor]:
        down = {7: maps[7]}
        for level in (6, 5, 4):
            down[level] = self.down[str(level)](maps[level], F.interpolate(down[level + 1], scale_factor=2))
        up = {3: self.up["3"](maps[3], F.interpolate(down[4], scale_factor=2))}
        for level in (4, 5, 6):
            finer = F.max_pool2d(up[level - 1], 3, 2, 1)
            up[level] = self.up[str(level)](again.get(level, maps[level]), down[level], finer)
        up[7] = self.up["7"](maps[7], F.max_pool2d(up[6], 3, 2, 1))
        return up


class EfficientDetNeck(nn.Module):
    def __init__(self, width: int, cells: int) -> None:
        super().__init__()
        self.backbone = timm.create_model("efficientnet_b0", features_only=True, out_indices=(2, 3, 4))
        inputs = dict(zip((3, 4, 5), self.backbone.feature_info.channels(), strict=True))
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inputs[level], width, 1), nn.BatchNorm2d(width, 1e-3, 0.01))
            for level in (3, 4, 5, 5, 4, 5)
        )
        self.cells = nn.ModuleList(BiFPN(width) for _ in range(cells))

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        c3, c4, c5 = self.backbone(x)
        p3, p4, p5, p6, q4, q5 = (
            lateral(c) for lateral, c in zip(self.laterals, (c3, c4, c5, c5, c4, c5), strict=True)
        )
        p6 = F.max_pool2d(p6, 3, 2, 1)
        maps = {3: p3, 4: p4, 5: p5, 6: p6, 7: F.max_pool2d(p6, 3, 2, 1)}
        again = {4: q4, 5: q5}
        for cell in self.cells:
            maps, again = cell(maps, again), {}
        return maps


def of_bifpn(name: str) -> str:
    """Our name of a tensor of `EfficientDetNeck`."""
    name = re.sub(r"^backbone\.", "", name)
    laterals = ["lateral3", "lateral4", "lateral5", "lateral6", "again4", "again5"]
    name = re.sub(r"^laterals\.(\d)", lambda found: laterals[int(found[1])], name)
    if name.startswith(("lateral", "again")):
        return name.replace(".0.", ".conv.").replace(".1.", ".bn.")
    name = re.sub(r"^cells\.(\d)\.(up|down)\.(\d)", r"cell.\1.\2\3", name)
    parts = {"1": "conv_dw", "2": "conv_pw", "3": "bn"}
    name = re.sub(r"\.conv\.([123])\.", lambda found: f".conv.{parts[found[1]]}.", name) if "cell." in name else name
    return re.sub(r"\.weights$", ".fuse.weights", name)


@pytest.mark.parametrize("training", [False, True])
def test_bifpn_is_that_of_the_paper(training):
    theirs = randomised(EfficientDetNeck(64, 3)).train(training)
    for name, value in theirs.named_parameters():
        if name.endswith("weights"):
            # One that is 0 and one that would be negative.
            value.data.copy_(torch.tensor([0.5, -0.1, 1.5])[: len(value)])
    ours = composer.build({"backbone": "necks/bifpn_efficientnet_b0", "input": [3, 128, 256]}).train(training)
    state = {of_bifpn(name): value for name, value in theirs.state_dict().items()}
    report = composer.load_weights(ours, state, require="all")
    assert not report.added
    images = torch.randn(2, 3, 128, 256, generator=torch.Generator().manual_seed(0))
    wanted, found = theirs.double()(images.double()), ours.double()(images.double())
    for level, value in wanted.items():
        assert_close(found[f"p{level}"], value, f"p{level}", exact=False)
    for outputs in (wanted, found):
        sum(value.square().mean() for value in outputs.values()).backward()
    gradients = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        assert_close(gradients[of_bifpn(name)].grad, parameter.grad, name, exact=False)


def test_bifpn_has_as_many_parameters_as_its_parts():
    """A cell has three fusions down and five up, each a separable convolution and a norm."""
    graph = composer.graph("necks/bifpn_efficientnet_b0")
    assert [(value.channels, value.axis("h")) for value in graph.outputs.values()] == [
        (64, 64),
        (64, 32),
        (64, 16),
        (64, 8),
        (64, 4),
    ]
    cell = 8 * (9 * 64 + 64 * 64 + 64 + 128) + 3 * 2 + 2 * 2 + 3 * 3
    assert graph.root.nodes["cell"].content.num_parameters == 3 * cell
    rules = [{"use": "eca", "after": "pyramid", "expect": 15}, {"use": "se", "replace": "gate", "expect": 16}]
    composed = composer.graph({"backbone": "necks/bifpn_efficientnet_b0", "attention": rules})
    assert len(composed.mechanisms[0]) == 15
