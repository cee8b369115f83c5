"""Key maps: what one is, that composer's own lead to the outputs of the library they are of, and how they are found."""

from __future__ import annotations

import re
import runpy
import warnings
from pathlib import Path

import pytest
import timm
import torch
import torchvision
import yaml

import composer
from composer.spec import zoo
from composer.weights import Checkpoint
from composer.weights.fit import by_name
from composer.weights.keys import KeyMap, read_key_map
from composer.weights.names import shapes_of
from composer.weights.search import Choice
from composer.weights.wanted import Wanted

derive = runpy.run_path(str(Path(__file__).with_name("derive.py")))


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Weights and running statistics that are nobody's default, so that a swapped pair shows."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(noise + 0.5 if "running_var" in name else (noise - 0.5) * 0.1)
    return model.eval()


def peer_of(name: str) -> torch.nn.Module:
    """Torchvision's network."""
    options = {"init_weights": False} if name in ("inception_v3", "googlenet") else {}
    return randomised(torchvision.models.get_model(name, weights=None, **options))


def norms_of(peer: torch.nn.Module) -> dict[str, float]:
    """The vars that give a network the norms of a peer."""
    norm = next(module for module in peer.modules() if isinstance(module, torch.nn.BatchNorm2d))
    # MNASNet's momentum is written as 1 - 0.9997.
    return {"norm_eps": norm.eps, "norm_momentum": round(norm.momentum, 9)}


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "spec", "size", "keys"),
    [
        ("resnet18", "resnet18", 64, ""),
        ("resnext50_32x4d", "resnext50_32x4d", 64, ""),
        ("densenet121", "densenet121", 64, ""),
        ("shufflenet_v2_x1_0", "shufflenet_v2_x1_0", 64, ""),
        ("mobilenet_v2", "mobilenetv2_100", 64, "torchvision_mobilenet_v2"),
        ("mobilenet_v3_large", "mobilenetv3_large_100", 64, "torchvision_mobilenet_v3_large"),
        ("mobilenet_v3_small", "mobilenetv3_small_100", 64, "torchvision_mobilenet_v3_small"),
        ("mnasnet1_0", "mnasnet_100", 64, "torchvision_mnasnet"),
        ("efficientnet_b0", "efficientnet_b0", 64, "torchvision_efficientnet"),
        ("efficientnet_v2_s", "efficientnetv2_s", 64, "torchvision_efficientnet_v2"),
        ("regnet_y_400mf", "regnety_004", 64, "torchvision_regnet"),
        ("regnet_x_800mf", "regnetx_008", 64, "torchvision_regnet"),
        ("googlenet", "googlenet", 64, ""),
        ("inception_v3", "inception_v3", 107, ""),
        ("convnext_tiny", "convnext_tiny", 64, "torchvision_convnext"),
        pytest.param("vgg11_bn", "vgg11_bn", 224, "torchvision_vgg", marks=SLOW),
        pytest.param("swin_t", "swin_tiny_patch4_window7_224", 224, "torchvision_swin", marks=SLOW),
        pytest.param("vit_b_16", "vit_base_patch16_224", 224, "torchvision_vit", marks=SLOW),
    ],
)
def test_torchvisions_weights_give_torchvisions_outputs(name, spec, size, keys, tmp_path):
    peer = peer_of(name)
    torch.save(peer.state_dict(), tmp_path / "theirs.pth")
    vars = norms_of(peer) if name.startswith(("mobilenet_v3", "efficientnet_v2", "mnasnet")) else {}
    model = composer.build({"backbone": spec, "input": [3, size, size], "vars": vars}).eval()
    report = composer.load_weights(model, tmp_path / "theirs.pth")
    assert (report.keys, report.notes) == (keys, ())
    assert set(report.loaded) == set(model.state_dict())
    assert report.left_out == ()
    assert all("aux" in name.lower() for name in report.left_over)
    assert all(name.endswith("position_index") for name in report.computed)
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(2))
    # Linear layers for convolutions, and attention in other kernels, round otherwise.
    rounded = name.startswith(("vit", "swin", "vgg", "mobilenet_v3"))
    if rounded:
        model, peer, x = model.double(), peer.double(), x.double()
    with torch.no_grad():
        ours, theirs = model(x), peer(x)
    assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12) if rounded else torch.equal(ours, theirs)


def test_a_small_vit_of_torchvisions(tmp_path):
    peer = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=3, hidden_dim=48, mlp_dim=192, num_classes=5
    )
    torch.save(randomised(peer).state_dict(), tmp_path / "theirs.pth")
    vars = {"dim": 48, "depth": 2, "num_heads": 3, "patch": 8, "num_classes": 5}
    model = composer.build({"backbone": "vit_base_patch16_224", "vars": vars, "input": [3, 32, 32]}).eval()
    assert composer.load_weights(model, tmp_path / "theirs.pth", require="all").keys == "torchvision_vit"
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.allclose(model(x), peer(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "spec"),
    [("efficientnet_b0", "efficientnet_b0"), ("efficientnet_b5", "efficientnet_b5"), ("mnasnet1_0", "mnasnet_100")],
)
def test_what_no_weight_says_is_said(name, spec, tmp_path):
    peer = torchvision.models.get_model(name, weights=None)
    torch.save(peer.state_dict(), tmp_path / "theirs.pth")
    usual = {"norm_eps": 1e-5, "norm_momentum": 0.1}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        composer.build(spec, weights=tmp_path / "theirs.pth")
    said = [
        f"{spec}: theirs has {name} {value}, not {usual[name]}: set `vars: {{{name}: {value}}}`"
        for name, value in norms_of(peer).items()
        if value != usual[name]
    ]
    assert [str(one.message) for one in caught] == said


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("efficientnet_b1", "efficientnet_b1"),
        ("efficientnet_b7", "efficientnet_b7"),
        ("vit_l_32", "vit_large_patch32_224"),
        ("vgg19", "vgg19"),
        ("convnext_small", "convnext_small"),
        ("swin_s", "swin_small_patch4_window7_224"),
        ("regnet_y_1_6gf", "regnety_016"),
    ],
)
def test_other_members_of_a_family(name, spec):
    # Torchvision computes RegNet's widths with tensors, which the meta device has no values for.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        theirs = torchvision.models.get_model(name, weights=None).state_dict()
    wanted = Wanted(shapes_of(graph := composer.graph(spec)), graph)
    fitted = by_name(Checkpoint(name, theirs), wanted, Choice())
    assert {key: tuple(tensor.shape) for key, tensor in fitted.tensors.items()} == wanted.own


def test_a_network_of_other_widths_is_told_by_its_shapes(refused):
    theirs = torchvision.models.regnet_x_400mf(weights=None).state_dict()
    message = refused(composer.build("regnetx_004"), theirs)
    assert "names by the key map `torchvision_regnet`" in message
    assert "s4.b1.conv1.conv.weight 400×160×1×1, not 384×160×1×1" in message


def test_a_linear_layer_for_a_convolution_only_under_a_key_map(refused):
    nodes = {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 1}}
    model = composer.build({"input": [3, 8, 8], "nodes": nodes})
    weight = torch.arange(12.0).reshape(4, 3)
    assert "conv.weight 4×3, not 4×3×1×1" in refused(model, {"conv.weight": weight})
    composer.load_weights(model, {"fc.weight": weight}, keys={"fc": "conv"}, require="all")
    assert torch.equal(model.state_dict()["conv.weight"][:, :, 0, 0], weight)
    turned = {"fc.weight": torch.zeros(3, 4)}
    assert "conv.weight 3×4, not 4×3×1×1" in refused(model, turned, keys={"fc": "conv"})


def test_the_names_in_torchvisions_files_of_vit():
    with torch.device("meta"):
        names = list(torchvision.models.vit_b_16(weights=None).state_dict())
    old = [name.replace("mlp.0", "mlp.linear_1").replace("mlp.3", "mlp.linear_2") for name in names]
    assert old != names
    keys = read_key_map("torchvision_vit")
    assert [keys.rename(name) for name in old] == [keys.rename(name) for name in names]


@pytest.mark.parametrize("name", ["densenet121", "densenet161"])
def test_the_names_in_torchvisions_files_of_densenet(name):
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name, weights=None).state_dict()
        ours = timm.create_model(name).state_dict()
    in_files = [re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", key) for key in theirs]
    assert in_files != list(theirs)
    keys = read_key_map("torchvision_densenet")
    assert [keys.rename(key) for key in in_files] == list(ours)


@pytest.mark.parametrize(
    ("theirs", "spec", "keys"),
    [
        ("mobilenet_v2", "mobilenetv2_100", "torchvision_mobilenet_v2"),
        ("vit_b_16", "vit_base_patch16_224", "torchvision_vit"),
        ("efficientnet_b0", "efficientnet_b0", "torchvision_efficientnet"),
        ("resnet50", "resnet50", None),
    ],
)
def test_derived_maps_say_the_same(theirs, spec, keys):
    shapes = derive["shapes_in"](f"torchvision:{theirs}")
    derived = KeyMap("derived", derive["derive"](shapes, shapes_of(composer.graph(spec))))
    known = read_key_map(keys) if keys else KeyMap("none", {})
    assert [derived.rename(name) for name in shapes] == [known.rename(name) for name in shapes]
    assert keys or not derived.pairs


def test_deriving_needs_equal_shapes():
    with pytest.raises(ValueError, match="no tensor of ours is left for a"):
        derive["derive"]({"a": (2, 3)}, {"b": (3, 2)})
    with pytest.raises(ValueError, match="nothing of theirs is left for c"):
        derive["derive"]({"a": (2,)}, {"b": (2,), "c": (2,)})


@pytest.mark.parametrize("name", zoo.key_maps())
def test_every_map_says_whose_it_is_and_means_one_thing(name):
    text = zoo.key_map(name).read_text()
    assert text.startswith("# ")
    assert " -> " in text.splitlines()[0]
    keys = read_key_map(name)
    pairs = keys.pairs
    assert {**pairs, **({"vars": keys.vars} if keys.vars else {})} == yaml.safe_load(text)
    known = {backbone for pattern in keys.vars for backbone in zoo.backbones(pattern)}
    assert all(
        composer.load(one).vars[var] != value
        for one in known
        for vars in keys.vars.values()
        for var, value in vars.items()
    )
    assert all(
        re.fullmatch(r"[\w*-]+(\.[\w*-]+)*(\[[123]/3\])?", key)
        for pair in pairs.items()
        for key in pair
        if key is not None
    )


def test_the_longest_beginning_wins():
    keys = KeyMap("it", {"a": "x", "a.b": "y", "a.b.weight": "z", "a.*.c": "w.*", "gone": None, "net": ""})
    assert keys.rename("a.q") == "x.q"
    assert keys.rename("a.b.bias") == "y.bias"
    assert keys.rename("a.b.weight") == "z"
    assert keys.rename("a.b.c.d") == "w.b.d"
    assert keys.rename("ab.c") == "ab.c"
    assert keys.rename("gone.weight") is None
    assert keys.rename("net.conv.weight") == "conv.weight"


def test_a_plain_beginning_wins_over_one_with_a_star():
    assert KeyMap("it", {"l.*": "m.*", "l.0": "first"}).rename("l.0.weight") == "first.weight"


def under_other_names(model, change) -> dict[str, torch.Tensor]:
    return {change(name): tensor for name, tensor in model.state_dict().items()}


def test_a_map_of_ones_own(plain, refused, tmp_path):
    theirs = under_other_names(plain, lambda name: f"net.{name}".replace("layer1.0", "first"))
    path = tmp_path / "mine.yaml"
    path.write_text("net: ''\nnet.first: layer1.0\n")
    model = composer.build(plain.spec)
    for keys in (path, str(path), {"net": "", "net.first": "layer1.0"}):
        report = composer.load_weights(model, theirs, keys=keys)
        assert len(report.loaded) == 122
    assert report.keys == "the mapping"
    assert "did you mean `torchvision_vit`" in refused(model, theirs, keys="torchvision_vt")
    path.write_text("net: 3\nfirst: l.*\n")
    message = refused(model, theirs, keys=path)
    assert f"{path}:1:6" in message
    assert f"{path}:2:8" in message
    path.write_text("[net]")
    assert "a key map is a mapping" in refused(model, theirs, keys=path)
    path.write_text("net: a\nnet: b")
    assert f"{path}:2:1" in refused(model, theirs, keys=path)


def test_what_a_map_says_we_have_nothing_like_is_left_out(plain):
    theirs = {**plain.state_dict(), "aux.weight": torch.zeros(3)}
    report = composer.load_weights(composer.build(plain.spec), theirs, keys={"aux": None})
    assert report.left_out == ("aux.weight",)
    assert not report.unexpected


def test_two_names_that_become_one(plain, refused):
    theirs = {**plain.state_dict(), "second.weight": torch.zeros(3)}
    message = refused(composer.build(plain.spec), theirs, keys={"second": "conv1"})
    assert "`conv1.weight` and `second.weight` of the mapping are one" in message


@pytest.fixture
def mobilenet() -> dict[str, torch.Tensor]:
    return torchvision.models.mobilenet_v2(weights=None, num_classes=7).state_dict()


def test_a_map_is_found_for_composed_networks_features_and_other_classes(mobilenet):
    composed = composer.load_weights(composer.build("papers/cbam/mobilenetv2_100"), mobilenet)
    assert composed.keys == "torchvision_mobilenet_v2"
    assert not composed.missing
    assert (composed.heads[0].found, composed.heads[0].own) == (7, 1000)
    features = composer.build({"backbone": "mobilenetv2_100", "outputs": {"c1": "bn1"}})
    report = composer.load_weights(features, mobilenet)
    assert report.keys == "torchvision_mobilenet_v2"
    assert len(report.loaded) == 6
    assert len(report.left_out) == len(mobilenet) - 6


def test_a_map_is_not_taken_for_a_file_with_a_stranger_in_the_network(mobilenet, refused):
    beside = {**mobilenet, "criterion.weight": torch.zeros(1)}
    assert composer.load_weights(composer.build("mobilenetv2_100"), beside).left_over == ("criterion.weight",)
    deeper = {**mobilenet, "features.19.conv.weight": torch.zeros(1)}
    assert "1 tensor that the network has not: `features.19" in refused(composer.build("mobilenetv2_100"), deeper)


def test_where_only_shapes_differ_the_map_is_named_and_the_shapes(refused):
    half = torchvision.models.mobilenet_v2(weights=None, width_mult=0.5).state_dict()
    message = refused(composer.build("mobilenetv2_100"), half)
    assert "names by the key map `torchvision_mobilenet_v2`" in message
    assert "conv_stem.weight 16×3×3×3, not 32×3×3×3" in message
    model = composer.build("mobilenetv2_100", vars={"width": 0.5})
    assert len(composer.load_weights(model, half, require="all").loaded) == 314


def test_several_maps_that_fit(refused, monkeypatch):
    mobilenet = randomised(torchvision.models.mobilenet_v2(weights=None)).state_dict()
    pairs = read_key_map("torchvision_mobilenet_v2").pairs
    swapped = {**pairs, "features.3.conv.1.1": pairs["features.3.conv.0.1"]}
    swapped["features.3.conv.0.1"] = pairs["features.3.conv.1.1"]
    maps = [KeyMap("one", pairs), KeyMap("two", dict(pairs))]
    monkeypatch.setattr("composer.weights.search.known_key_maps", lambda: maps)
    model = composer.build("mobilenetv2_100")
    assert composer.load_weights(model, mobilenet).keys == "one"
    maps.append(KeyMap("three", swapped))
    assert "fit under several key maps: `one`, `three`" in refused(model, mobilenet)
    assert "one of them" in refused(model, mobilenet)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ({"backbone.": ""}, ""),
        ({"backbone": ""}, ""),
        ({"backbone.layer": "layer", "backbone": ""}, "`backbone.layer` ends within a name, of 114 tensors such as"),
        ({"backbone.l": "l", "backbone.": ""}, "`backbone.l` ends within a name"),
        ({"backbone": "", "head": "fc"}, "1 entry matches nothing in the file: `head`"),
        (
            {"backbone": "", "back": "", "backbone.layer9": "x"},
            "2 entries match nothing in the file: `back`, `backbone.layer9`",
        ),
    ],
)
def test_beginnings_of_names(plain, pairs, said):
    theirs = {f"backbone.{name}": tensor for name, tensor in plain.state_dict().items()}
    model = composer.build(plain.spec)
    report = composer.load_weights(model, theirs, keys=pairs)
    assert len(report.loaded) == 122
    assert said in "\n".join(report.remarks)
    assert bool(report.remarks) == bool(said)
    assert all(torch.equal(tensor, plain.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_an_entry_that_matches_nothing_is_said_with_its_line(plain, tmp_path):
    theirs = {f"net.{name}": tensor for name, tensor in plain.state_dict().items()}
    path = tmp_path / "mine.yaml"
    path.write_text("net: ''\nnett.fc: fc\n")
    report = composer.load_weights(composer.build(plain.spec), theirs, keys=path)
    assert f"1 entry matches nothing in the file: `nett.fc` ({path}:2)" in str(report)


def test_a_number_is_no_beginning_of_a_longer_one():
    keys = KeyMap("it", {"b.1": "x.1"}, where={"b.1": ""})
    assert keys.over(["b.10.weight"]).rename("b.10.weight") == "b.10.weight"
    assert keys.over(["b.1.weight", "b.1x.weight"]).rename("b.1x.weight") == "b.1x.weight"
    assert KeyMap("it", {"blk": "block"}, where={"blk": ""}).over(["blk1.a"]).rename("blk1.a") == "block1.a"


def test_three_tensors_that_are_one(plain, refused):
    theirs = {name: tensor for name, tensor in plain.state_dict().items() if name != "fc.weight"}
    parts = dict(zip("abc", plain.state_dict()["fc.weight"].split((2, 2, 1)), strict=True))
    keys = {f"part.{name}": f"fc.weight[{index}/3]" for index, name in enumerate("abc", 1)}
    model = composer.build(plain.spec)
    named = {f"part.{name}": tensor for name, tensor in parts.items()}
    assert len(composer.load_weights(model, {**theirs, **named}, keys=keys, require="all").loaded) == 122
    assert torch.equal(model.state_dict()["fc.weight"], plain.state_dict()["fc.weight"])
    del named["part.b"]
    assert "fc.weight" in refused(model, {**theirs, **named}, keys=keys, require="all")
    assert "is no part of one tensor" in refused(model, theirs, keys={"a": "fc.weight[4/3]"})


def test_many_stars_over_long_names_are_matched_at_once():
    assert KeyMap("it", {"*a" * 12 + "b": "x"}).rename("a" * 60) == "a" * 60
