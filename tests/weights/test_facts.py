"""What weights bring besides tensors: said where the network is another one, and used for images."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import timm
import torch
import torchvision
import yaml
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_data_config

import composer
from composer.images import input_of, prepare
from composer.load_report import LoadReport
from composer.spec.model import InputSpec
from composer.spec.peers import image_of_timm
from composer.weights import Checkpoint, load_weights, read_checkpoint
from composer.weights.facts import Facts, read_facts, uses_in, write_facts
from composer.weights.peers import facts_of_timm, facts_of_torchvision
from composer.weights.remarks import with_remarks
from composer.weights.uses import uses_of


def timms(name: str, **options) -> tuple[torch.nn.Module, Checkpoint]:
    """A network of timm's with random weights, and the checkpoint that `timm:` would give of them."""
    torch.manual_seed(0)
    peer = timm.create_model(name, **options).eval()
    facts = facts_of_timm(lambda: timm.create_model(name, **options))
    return peer, Checkpoint(f"`timm:{name}`", peer.state_dict(), facts=facts)


def torchvisions(name: str) -> tuple[torch.nn.Module, Checkpoint]:
    """The same of torchvision's default weights."""
    torch.manual_seed(0)
    # As its builders make them for weights.
    options = {"init_weights": False, "transform_input": True} if name in ("googlenet", "inception_v3") else {}

    def make():
        return torchvision.models.get_model(name, weights=None, **options)

    peer = make().eval()
    transforms = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    facts = facts_of_torchvision(make, transforms)
    return peer, Checkpoint(f"`torchvision:{name}`", peer.state_dict(), facts=facts)


def noted(spec, facts: Facts, name: str = "it") -> tuple[str, ...]:
    """The notes on a source of these facts, no tensor of which is needed for them."""
    graph = composer.graph(spec)
    report = LoadReport(loaded=tuple(facts.uses))
    return with_remarks(report, graph, Checkpoint(name, {}, facts=facts), {}).notes


def photograph() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 420, 3), dtype=np.uint8))


def logits_of_a_photograph(model: composer.ComposedModule, size: int) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(prepare(photograph(), input_of(model), (3, size, size))[None])


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_nothing_is_said_of_the_same_network(name):
    facts = facts_of_timm(lambda: timm.create_model(name))
    assert len(facts.uses) > 100
    assert noted(name, facts) == ()


def test_anti_aliasing_is_said():
    notes = noted("resnet50", facts_of_timm(lambda: timm.create_model("resnetaa50")))
    assert notes[0] == (
        "theirs has avg_pool2d (kernel_size 2, stride 2), not max_pool2d (kernel_size 3, stride 2, padding 1), before "
        "2 layers such as `layer1.0.conv1`; no var of `resnet50` changes that"
    )
    assert len(notes) == 3


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenetv3_large_100"])
def test_eps_and_padding_of_tensorflow_are_said_with_what_mends_them(name):
    facts = facts_of_timm(lambda: timm.create_model(f"tf_{name}"))
    eps, padding, *_ = noted(name, facts)
    assert eps.startswith("theirs has eps 0.001, not 1e-05, in ")
    assert eps.endswith("layers such as `bn1`: set `vars: {norm_eps: 0.001}`")
    assert padding.startswith("theirs has padding 0 1 0 1, not 1, in 3 layers such as `conv_stem`")
    assert padding.endswith("set `vars: {tensorflow_padding: true}`")


def test_stride_on_the_first_convolution_is_said_with_its_var():
    v1 = {"backbone": "resnet50", "vars": {"stride_in_1x1": True}}
    peer, checkpoint = torchvisions("resnet50")
    model = composer.build(v1).eval()
    notes = load_weights(model, checkpoint).notes
    assert notes[0] == (
        "theirs has stride 1, not 2, in 3 layers such as `layer2.0.conv1`; stride 2, not 1, in 3 layers such as "
        "`layer2.0.conv2`: set `vars: {stride_in_1x1: false}`"
    )
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mended = composer.build(v1, vars={"stride_in_1x1": False}).eval()
    assert not any("stride" in note for note in load_weights(mended, checkpoint).notes)
    with torch.no_grad():
        assert torch.equal(mended(x), peer(x))
        assert not torch.allclose(model(x), peer(x), rtol=0.01)


def test_of_a_bare_file_what_is_unusual_here_is_said():
    v1 = composer.build({"backbone": "resnet50", "vars": {"stride_in_1x1": True, "num_classes": 7}})
    (note,) = load_weights(v1, composer.build("resnet50").state_dict()).notes
    assert note.startswith(
        "the mapping does not say whether it was trained with `stride_in_1x1: true`, as this network"
    )
    assert note.endswith("set `vars: {stride_in_1x1: false}` if it was trained as that")
    assert load_weights(composer.build("resnet50"), v1.state_dict()).notes == ()


def test_momentum_is_said_and_its_var_mends_it():
    peer, checkpoint = torchvisions("mobilenet_v3_small")
    model = composer.build("mobilenetv3_small_100")
    notes = load_weights(model, checkpoint).notes
    assert "momentum 0.01, not 0.1, in 34 layers such as `bn1`: set `vars: {norm_momentum: 0.01}`" in notes[1]
    model = composer.build("mobilenetv3_small_100", vars={"norm_eps": 0.001, "norm_momentum": 0.01})
    (image,) = load_weights(model, checkpoint).notes
    assert image.startswith("made for images of")
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.train()(x)
        peer.train()(x)
    assert torch.equal(model.state_dict()["bn1.running_var"], peer.state_dict()["features.0.1.running_var"])


def test_activation_is_said():
    notes = noted("resnet18", facts_of_timm(lambda: timm.create_model("resnet18", act_layer="silu")))
    assert notes[0].startswith("theirs has silu, not relu, before ")


def test_images_are_prepared_as_timm_prepares_them():
    # The same tensors as vit_tiny's, trained with another mean.
    peer, checkpoint = timms("deit_tiny_patch16_224")
    model = composer.build("vit_tiny_patch16_224")
    (note,) = load_weights(model, checkpoint).notes
    assert note == (
        "made for images of mean 0.485 0.456 0.406, not 0.5; std 0.229 0.224 0.225, not 0.5: set `input: {shape: "
        "[3, 224, 224], mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}`"
    )
    transform = create_transform(**resolve_data_config({}, model=peer))
    with torch.no_grad():
        wanted = peer(transform(photograph())[None])
    assert torch.allclose(logits_of_a_photograph(model, 224), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["googlenet", "mobilenet_v2"])
def test_images_are_prepared_as_torchvision_prepares_them(name):
    peer, checkpoint = torchvisions(name)
    model = composer.build({"googlenet": "googlenet", "mobilenet_v2": "mobilenetv2_100"}[name])
    load_weights(model, checkpoint)
    transforms = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    with torch.no_grad():
        wanted = peer(transforms(photograph())[None])
    found = logits_of_a_photograph(model, 224)
    assert (found - wanted).abs().max() < 1e-3 * wanted.abs().max()


def test_what_the_spec_itself_sets_stays():
    _, checkpoint = timms("resnet18")
    own = {"shape": [3, 64, 64], "mean": [0.1, 0.2, 0.3]}
    model = composer.build({"backbone": "resnet18", "input": own})
    report = load_weights(model, checkpoint)
    assert report.image.mean == [0.1, 0.2, 0.3]
    assert report.image.std == [0.229, 0.224, 0.225]
    assert "mean 0.485 0.456 0.406, not 0.1 0.2 0.3" in report.notes[0]
    assert "224×224 pixels, not 64×64" in report.notes[0]


# Tags of timm over names of the zoo, each with another fact of its images.
@pytest.mark.parametrize(
    ("tag", "spec", "said"),
    [
        ("efficientnet_b0.ra4_e3600_r224_in1k", "efficientnet_b0", "mean 0.5"),
        ("resnet50.tv_in1k", "resnet50", "interpolation bilinear, not bicubic; crop 0.875, not 0.95"),
        ("efficientnet_b1.ft_in1k", "efficientnet_b1", "224×224 pixels, not 240×240"),
        ("deit_tiny_patch16_224.fb_in1k", "vit_tiny_patch16_224", "mean 0.485 0.456 0.406, not 0.5"),
    ],
)
def test_tags_of_timm(tag, spec, said):
    image = image_of_timm(timm.get_pretrained_cfg(tag).to_dict())
    (note,) = noted(spec, Facts(image))
    assert said in note


def test_a_bare_file_is_said_to_be_one(tmp_path):
    model = composer.build("resnet18")
    torch.save(model.state_dict(), tmp_path / "w.pth")
    report = load_weights(model, tmp_path / "w.pth")
    assert str(report).splitlines()[-1] == (
        f"`{tmp_path}/w.pth` does not say how its images were prepared, or which eps, strides and activations it had; "
        "assumed: mean 0.485 0.456 0.406, std 0.229 0.224 0.225, 224×224 pixels, crop 0.95, bicubic, and what "
        "`resnet18` has"
    )
    assert report.to_json()["assumed"] == report.assumed
    assert report.to_json()["image"]["mean"] == [0.485, 0.456, 0.406]
    assert model.weights_report is report


def test_uses_are_named_by_parameter():
    with torch.device("meta"):
        model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 1))
    uses = uses_of(model, [(3, 8, 8)])
    assert uses["0.weight"] == {
        "stride": 1,
        "padding": 1,
        "dilation": 1,
        "groups": 1,
        "transposed": False,
        "before": ["input"],
    }
    assert uses["2.bias"]["before"] == ["relu"]


@pytest.fixture
def small(tmp_path):
    """A backbone of the zoo with attention on small images."""
    path = tmp_path / "small.yaml"
    path.write_text(
        "name: small\nbackbone: resnet18\ninput: [3, 32, 32]\nvars: {widths: [8, 8, 8, 8], num_classes: 4}\n"
        "attention:\n  - {use: se, after: branch, with: {reduction: 4}}\n"
    )
    return path


@pytest.fixture
def photo(tmp_path):
    photograph().save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def told(small, tmp_path):
    """Weights of a small network in a file that says how their images were prepared."""
    model = composer.build(small, seed=5)
    image = input_of(model).model_copy(update={"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "crop": 0.5})
    metadata = write_facts(Facts(InputSpec(**image.model_dump()), uses_in(model.graph)))
    save_file(model.state_dict(), tmp_path / "told.safetensors", metadata=metadata)
    return tmp_path / "told.safetensors"


def test_run_prepares_images_so_and_a_build_keeps_it(run, small, told, photo, tmp_path):
    ran = run("run", small, "--weights", told, "--image", photo, "-o", tmp_path / "y.npy")
    assert "images are prepared with mean 0.1 0.2 0.3, std 0.4 0.5 0.6, 32×32 pixels, crop 0.5, " in ran.err
    values = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "crop": 0.5, "interpolation": "bicubic"}
    image = InputSpec(shape=[3, 32, 32], **values)
    model = composer.build(small).eval()
    load_weights(model, told, require="all")
    with torch.no_grad():
        wanted = model(prepare(Image.open(photo).convert("RGB"), image, (3, 32, 32))[None])
    assert torch.allclose(torch.from_numpy(np.load(tmp_path / "y.npy")), wanted, atol=1e-6)
    assert run("build", small, "--weights", told, "-o", tmp_path / "out").code == 0
    lock = yaml.safe_load((tmp_path / "out" / "small.lock.yaml").read_text())
    assert lock["lock"]["weights"]["input"]["mean"] == [0.1, 0.2, 0.3]
    assert lock["inputs"]["input"]["crop"] == 0.5
    run("run", tmp_path / "out" / "small.lock.yaml", "--image", photo, "-o", tmp_path / "again.npy")
    assert np.array_equal(np.load(tmp_path / "again.npy"), np.load(tmp_path / "y.npy"))


def test_what_a_build_writes_is_said_of_its_file_alone(run, small, told, tmp_path):
    run("build", small, "--weights", told, "-o", tmp_path / "out")
    report = load_weights(composer.build(small), tmp_path / "out" / "small.safetensors")
    assert report.assumed == ""
    assert report.image.mean == [0.1, 0.2, 0.3]
    uses = read_checkpoint(tmp_path / "out" / "small.safetensors").facts.uses
    assert uses == uses_in(composer.graph(small))


def test_metadata_of_others_says_nothing():
    for text in ("", "[", "[1]", "{", '{"shape": 3}', "null", '{"a": {"before": 3}}'):
        assert read_facts({"input": text, "uses": text or "x"}) == Facts()
    assert read_facts({"format": "pt"}) == Facts()


def test_look_knows_what_was_loaded_in_python(small, told, photo):
    model = composer.build(small)
    load_weights(model, told)
    assert pickle.loads(pickle.dumps(model)).weights_report == model.weights_report
    lead = " ".join(composer.look(model, photo).lead)
    assert "Its weights are those of `told.safetensors`. Images are prepared with mean 0.1 0.2 0.3" in lead
