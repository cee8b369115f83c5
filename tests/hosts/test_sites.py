"""Sites are recognised in recordings: in modules by hand, in known families, and as in composer's own networks."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml
from torch import Tensor, nn

import composer
from composer.dag.host import HostScope
from composer.dag.rules.places import Places
from composer.dag.scope import Scope
from composer.errors import Diagnostic, InputError, Source
from composer.hosts.recognised.findings import Findings
from composer.hosts.recognised.shipped import shipped
from composer.hosts.recognised.sites import recognised
from composer.hosts.recording.record import record
from composer.spec.document import Document, Value
from composer.spec.origin import Origin
from tests.hosts.agreement import SITES, disagreements, host, names_of_insertions, shared_names

FAMILIES: Mapping[str, Mapping[str, Any]] = yaml.safe_load((Path(__file__).parent / "families.yaml").read_text())
QUICK = ("cait", "davit", "convmixer", "dla", "maxxvit", "res2net", "vgg", "visformer")
IMAGE = (torch.empty(2, 3, 32, 32),)


def some(names: Iterable[str], *quick: str) -> list[Any]:
    """The names as parameters: all are slow but for the quick ones."""
    return [*quick, *(pytest.param(name, marks=pytest.mark.slow) for name in names if name not in quick)]


def tags(scope: Scope) -> dict[str, tuple[str, ...]]:
    return {node.path: node.sites for node in scope.walk() if node.sites}


def found_in(model: nn.Module, given: Any = None, example: Any = IMAGE) -> tuple[HostScope, Findings]:
    return recognised(record(model, example), given)


class Bottleneck(nn.Module):
    """Adds what its convolutions make to its input, or to a projection of it."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(width, 4, 1)
        self.spatial = nn.Conv2d(4, 4, 3, padding=1)
        self.expand = nn.Conv2d(4, out, 1)
        self.norm = nn.BatchNorm2d(out)
        self.drop = nn.Identity()
        self.down = nn.Conv2d(width, out, 1) if width != out else None

    def forward(self, x: Tensor) -> Tensor:
        short = x if self.down is None else self.down(x)
        return (short + self.drop(self.norm(self.expand(self.spatial(self.reduce(x)))))).relu()


class Small(nn.Module):
    """A stem, two stages of bottlenecks, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.one = nn.Sequential(Bottleneck(8, 8), Bottleneck(8, 8))
        self.two = nn.Sequential(Bottleneck(8, 16), Bottleneck(16, 16))
        self.last = nn.Conv2d(16, 24, 1)
        self.fc = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.fc(self.last(self.two(self.one(self.conv(x)))).mean((2, 3)))
        return result


def test_the_sites_of_a_module_by_hand() -> None:
    scope, findings = found_in(Small())
    assert tags(scope) == {
        "conv": ("stem",),
        **{f"{stage}.{block}": ("block",) for stage in ("one", "two") for block in (0, 1)},
        **{f"{stage}.{block}.norm": ("branch",) for stage in ("one", "two") for block in (0, 1)},
        **{f"{stage}.{block}.spatial": ("spatial_conv",) for stage in ("one", "two") for block in (0, 1)},
        "two.0.down": ("shortcut",),
        "last": ("features",),
        "fc": ("head",),
    }
    assert scope.end == "last"
    assert str(findings["block"]) == (
        "block: 4: 2 × `one.*`, 2 × `two.*` (Bottleneck): numbered, each adds to its own input"
    )
    assert [str(level) for level in findings.levels] == ["2 × `one.*` (Bottleneck)", "2 × `two.*` (Bottleneck)"]
    assert findings["block"].level == 1
    assert str(findings["shortcut"]) == "shortcut: 1 × `two.0.down` (conv2d): the other operand of the add"


def test_what_is_given_replaces_what_was_recognised_and_what_follows_from_it() -> None:
    scope, findings = found_in(Small(), {"block": "one.*", "stage": ["one", "two"], "mine": "*.*.expand", "head": []})
    sites = tags(scope)
    assert [path for path, own in sites.items() if "block" in own] == ["one.0", "one.1"]
    assert [path for path, own in sites.items() if "branch" in own] == ["one.0.norm", "one.1.norm"]
    assert (sites["one"], sites["two"], sites["two.1.expand"]) == (("stage",), ("stage",), ("mine",))
    assert not any("head" in own for own in sites.values())
    assert findings["block"].why == "as given"
    assert [place.stage for place in Places.of(scope).select("block")] == [1, 1]
    assert [finding.site for finding in findings][:3] == ["stem", "stage", "block"]
    scope, _ = found_in(Small(), {"stem": ["conv", "one.0.reduce"]})
    assert [path for path, own in tags(scope).items() if "stem" in own] == ["conv", "one.0.reduce"]


def test_a_glob_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match=r"`ones\.\*` of site `block` matches no node of the network") as caught:
        found_in(Small(), {"block": ["two.*", "ones.*"]})
    assert [problem.code for problem in caught.value.diagnostics] == ["no-match"]
    source = Source("net.yaml", "sites: {block: ones.*}\n")
    written = Value({"block": Value("ones.*")})
    with pytest.raises(InputError) as caught:
        recognised(record(Small(), IMAGE), {"block": "ones.*"}, Origin(Document(source, written)))
    (problem,) = caught.value.diagnostics
    assert isinstance(problem, Diagnostic)
    assert problem.path == "block"


class Tokens(nn.Module):
    """Two branches; the first ends in a function, so both end behind the module after it."""

    def __init__(self, late: bool) -> None:
        super().__init__()
        self.late = late
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.drop1, self.drop2 = nn.Dropout(0.1), nn.Dropout(0.1)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        y = self.attn(y, y, y)[0]
        x = x + self.drop1(y.flip(1) if self.late else y)
        result: Tensor = x + self.drop2(self.mlp(self.norm2(x)))
        return result


@pytest.mark.parametrize(("late", "ends"), [(False, ["attn", "mlp"]), (True, ["drop1", "drop2"])])
def test_a_branch_ends_before_its_drop_path_unless_a_function_stands_there(late: bool, ends: list[str]) -> None:
    model = nn.Sequential(nn.Linear(4, 8), *(Tokens(late) for _ in range(3)))
    scope, _ = found_in(model, example=(torch.empty(2, 6, 4),))
    sites = tags(scope)
    branches = [path for path, own in sites.items() if "branch" in own]
    assert branches == [f"{number}.{end}" for number in (1, 2, 3) for end in ends]
    assert ("mixer" in sites["2.attn"], "mlp" in sites["2.mlp"]) == (True, True)


class Split(nn.Module):
    """As in Res2Net: parts of the channels are added to one another beside the main way."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        first = self.one(first)
        result: Tensor = x + self.last(torch.cat([first, self.two(first + second)], 1))
        return result


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.fn = inner

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.fn(x)
        return result


class Wrapping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = Wrapped(nn.Conv2d(8, 8, 3, padding=1))
        self.ffn = Wrapped(nn.Conv2d(8, 8, 1))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.ffn(self.conv(x))
        return result


@pytest.mark.parametrize(("block", "branches"), [(Split, ["last"]), (Wrapping, ["conv.fn", "ffn.fn"])])
def test_adds_beside_the_main_way_and_adds_of_wrappers(block: type[nn.Module], branches: list[str]) -> None:
    scope, _ = found_in(nn.Sequential(nn.Conv2d(3, 8, 1), block(), block()))
    sites = tags(scope)
    assert [path for path, own in sites.items() if "block" in own] == ["1", "2"]
    assert [path for path, own in sites.items() if "branch" in own] == [
        f"{at}.{end}" for at in "12" for end in branches
    ]


def test_branches_of_blocks_in_a_container_that_is_named_as_a_block_end_alike() -> None:
    pairs = [nn.Sequential(Tokens(True), Tokens(True)) for _ in range(2)]
    scope, _ = found_in(nn.Sequential(nn.Linear(4, 8), *pairs), {"block": ["1", "2"]}, (torch.empty(2, 6, 4),))
    branches = [path for path, own in tags(scope).items() if "branch" in own]
    assert branches == [f"{pair}.{half}.drop{number}" for pair in (1, 2) for half in (0, 1) for number in (1, 2)]


UP = (torch.empty(2, 4, 8, 8),)


class Layer(nn.Module):
    """A convolution, and what follows it."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv, self.norm = conv, nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(self.conv(x)).relu()
        return result


class Up(nn.Module):
    """Runs modules one after another."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def test_layers_one_after_another_have_blocks_that_end_at_nodes() -> None:
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3)]
    scope, _ = found_in(nn.Sequential(*layers, nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(1152, 5)))
    assert tags(scope) == {
        "0": ("stem",),
        "1": ("block", "branch"),
        "2": ("spatial_conv",),
        "3": ("block", "stage", "branch"),
        "5": ("spatial_conv",),
        "7": ("block", "stage", "branch"),
        "9": ("head",),
    }
    assert [(place.stage, place.block) for place in Places.of(scope).select("block")] == [(1, 1), (1, 2), (2, 1)]


def test_a_transposed_convolution_is_no_spatial_one() -> None:
    def block() -> nn.Module:
        return nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ConvTranspose2d(4, 4, 4, 2, 1), nn.ReLU())

    scope, _ = found_in(Up(block(), block()), {"block": "blocks.*"}, UP)
    assert Places.of(scope).select("spatial_conv").paths == ("blocks.0.0", "blocks.1.0")


def test_single_layers_are_blocks_only_where_no_module_has_several() -> None:
    def layer(groups: int) -> nn.Module:
        return Layer(nn.Conv2d(4, 4, 3 if groups > 1 else 1, padding=int(groups > 1), groups=groups))

    layers = [layer(4), layer(1), layer(4), layer(1)]
    scope, findings = found_in(Up(*layers), None, UP)
    assert Places.of(scope).select("block").paths == ("blocks.0", "blocks.1", "blocks.2", "blocks.3")
    assert Places.of(scope).select("spatial_conv").paths == ("blocks.0.conv", "blocks.2.conv")
    assert "of one layer each" in findings["block"].why
    scope, _ = found_in(Up(*layers[:2]), None, UP)
    assert not Places.of(scope).select("block")
    scope, _ = found_in(Up(*layers, nn.Sequential(Bottleneck(4, 4), Bottleneck(4, 4))), None, UP)
    assert Places.of(scope).select("block").paths == ("blocks.4.0", "blocks.4.1")


def test_a_shared_parameter_and_an_output_without_layers_are_no_trouble() -> None:
    scope, findings = found_in(nn.Sequential(nn.ReLU(), nn.Flatten()))
    assert not tags(scope)
    assert not list(findings)
    assert str(findings["block"]).endswith("nothing was recognised")


@pytest.mark.parametrize("name", some(FAMILIES, *QUICK))
def test_the_blocks_of_families(name: str) -> None:
    expected = FAMILIES[name]
    with torch.device("meta"):
        model = timm.create_model(expected["model"])
    _, findings = found_in(model, example=(torch.empty(2, *model.default_cfg["input_size"], device="meta"),))
    assert dict(findings["block"].globs) == expected["block"]
    assert len(findings["stage"].paths) == expected["stage"]
    assert findings["branch"].paths
    assert findings["stem"].paths


def of_timm() -> list[str]:
    """timm's families, without those that another test has registered: composer's own."""
    return [name for name in timm.models.list_modules() if name != "timm_models"]


def test_every_family_of_timm_is_in_the_list() -> None:
    assert FAMILIES.keys() == {*of_timm()}


# Classes that are not timm's.
ELSEWHERE = ("torchvision.MaxVit", "transformers.FocalNetModulation")


def test_what_is_shipped_names_classes_and_known_sites() -> None:
    modules = [import_module(f"timm.models.{name}") for name in of_timm()]
    classes = {f"timm.{name}" for module in modules for name in vars(module)}
    for name, sites in shipped().items():
        assert name in classes or name in ELSEWHERE, name
        assert all(isinstance(globs, list) for globs in sites.values()), name
        assert sites.keys() <= {*SITES, "features"}, name


# torchvision's models: blocks and stages.
TORCHVISION = {
    "alexnet": (5, 3),
    "convnext_tiny": (18, 4),
    "densenet121": (58, 4),
    "efficientnet_b0": (16, 7),
    "efficientnet_v2_s": (40, 6),
    "googlenet": (9, 3),
    "inception_v3": (11, 3),
    "maxvit_t": (33, 4),
    "mnasnet0_5": (16, 6),
    "mobilenet_v2": (17, 5),
    "mobilenet_v3_small": (11, 4),
    "regnet_x_400mf": (22, 4),
    "resnet18": (8, 4),
    "resnext50_32x4d": (16, 4),
    "shufflenet_v2_x0_5": (16, 3),
    "squeezenet1_1": (8, 3),
    "swin_t": (12, 4),
    "swin_v2_t": (12, 4),
    "vgg11": (8, 5),
    "vit_b_16": (12, 0),
    "wide_resnet50_2": (16, 4),
}


@pytest.mark.parametrize("name", some(TORCHVISION, "resnet18", "swin_t"))
def test_the_blocks_of_torchvision(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    # Its regnets set their weights with numbers of their own.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        model = models.get_model(name, weights=None, **options)
    size = 299 if name == "inception_v3" else 224
    _, findings = found_in(model, example=(torch.empty(2, 3, size, size, device="meta"),))
    assert (len(findings["block"].paths), len(findings["stage"].paths)) == TORCHVISION[name]
    assert len(findings["head"].paths) == 1


# Vision models of transformers: configuration and class begin so; blocks, branches, stages.
TRANSFORMERS = {
    "ViT": (12, 24, 0),
    "DeiT": (12, 24, 0),
    "Beit": (12, 24, 0),
    "Swin": (12, 24, 4),
    "Swinv2": (12, 24, 4),
    "ConvNext": (18, 18, 4),
    "ConvNextV2": (18, 18, 4),
    "ResNet": (16, 16, 4),
    "RegNet": (22, 22, 4),
    "Dinov2": (12, 24, 0),
    "Pvt": (8, 16, 4),
    "PvtV2": (8, 16, 4),
    "Segformer": (8, 16, 4),
    "MobileViT": (13, 22, 5),
    "PoolFormer": (12, 24, 4),
    "Bit": (16, 16, 4),
    "Cvt": (13, 26, 3),
    "FocalNet": (12, 24, 4),
    "Hiera": (24, 48, 4),
    "MobileNetV2": (16, 16, 4),
}


@pytest.mark.parametrize("name", some(TRANSFORMERS, "ViT", "Cvt"))
def test_the_blocks_of_transformers(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{name}Config")()
    with torch.device("meta"):
        model = getattr(transformers, f"{name}ForImageClassification")(config)
    size = getattr(config, "image_size", 224)
    size = size if isinstance(size, int) else size[0]
    scope = record(model, kwargs={"pixel_values": torch.empty(2, 3, size, size, device="meta")})
    _, findings = recognised(scope)
    numbers = [len(findings[site].paths) for site in ("block", "branch", "stage")]
    assert tuple(numbers) == TRANSFORMERS[name]
    assert findings["head"].paths


NAMES = shared_names()
SAMPLE = (
    *("resnet50d", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "convnext_tiny", "mobilevit_xxs"),
    *("regnety_002", "hiera_tiny_224", "vgg11_bn", "efficientnet_b0"),
)
# Families in which timm has a function, or the drop path that both branches share, where the zoo has a node of its
# own: what rules insert into their branches has other names.
OTHER_NAMES = ("cait", "maxvit", "mixer", "twins_svt", "xcit")
# Families whose mixers are one node in the zoo, a mechanism, and modules with convolutions of their own in timm: sites
# at which what rules insert has other names.
WHOLE_MIXERS = {"focalnet": {"branch", "mixer", "spatial_conv"}, "lambda_resnet": {"mixer"}}


@pytest.mark.parametrize("name", some(NAMES, *SAMPLE))
def test_sites_are_those_of_the_zoo(name: str) -> None:
    peer = host(name)
    differs = list(disagreements(name, peer))
    if name.startswith("twins"):
        # timm has no module for a stage: one ends at its last block, and no stage holds the first patch embedding.
        assert [one.partition(":")[0] for one in differs] == ["stem", "stage"]
    elif name.startswith("focalnet"):
        assert [one.partition(" ")[0] for one in differs] == ["spatial_conv:"]
    else:
        assert not differs
    ours, theirs = Places.of(composer.graph(name, vars={"num_classes": 1000}).root), Places.of(peer)
    other = {site for site in SITES if names_of_insertions(ours, site) != names_of_insertions(theirs, site)}
    if name.startswith("twins"):
        other -= {"stage"}
    known = next((sites for start, sites in WHOLE_MIXERS.items() if name.startswith(start)), set())
    assert other == ({"branch"} if name.startswith(OTHER_NAMES) else known)


def test_recognition_costs_less_than_recording() -> None:
    with torch.device("meta"):
        model = timm.create_model("swin_tiny_patch4_window7_224")
    times = [math.inf, math.inf]
    for _ in range(3):
        start = time.process_time()
        scope = record(model, (torch.empty(2, 3, 224, 224, device="meta"),))
        middle = time.process_time()
        recognised(scope)
        times = [min(times[0], middle - start), min(times[1], time.process_time() - middle)]
    assert times[1] < 0.25 * times[0]
