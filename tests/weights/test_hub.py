"""Hub references, through the libraries' own loading code, on caches that hold what they would have fetched."""

from __future__ import annotations

import sys
import urllib.error

import huggingface_hub
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

import composer
from composer.errors import UnavailableError
from composer.spec.hub import hub_of, parse_reference
from composer.weights.hub import fetch

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hf_cache(tmp_path, monkeypatch):
    """A function that puts a file into the cache of the Hugging Face hub, as a download of it would; offline."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    def put(repo, file, tensors, revision="main"):
        folder = tmp_path / "hf" / f"models--{repo.replace('/', '--')}"
        path = folder / "snapshots" / COMMIT / file
        path.parent.mkdir(parents=True, exist_ok=True)
        (save_file if file.endswith(".safetensors") else torch.save)(tensors, path)
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / revision).write_text(COMMIT)

    return put


def test_a_hub_that_does_not_answer_is_not_asked_again(hf_cache, monkeypatch):
    asked = []

    def session():
        asked.append("hub")
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.utils.get_session", session)
    with pytest.raises(UnavailableError, match="not in the cache, and the hub was not reached"):
        fetch("hf:someone/resnet")
    assert asked == ["hub"]
    assert not huggingface_hub.constants.HF_HUB_OFFLINE


@pytest.fixture
def torch_home(tmp_path, monkeypatch):
    """A function that puts a file where torch.hub would have put what it fetched from a url."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def put(url, tensors):
        path = tmp_path / "torch" / "hub" / "checkpoints" / url.rpartition("/")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(tensors, path)

    return put


def equal(model, tensors) -> bool:
    state = model.state_dict()
    return all(torch.equal(state[name], tensor) for name, tensor in tensors.items())


@pytest.fixture(scope="module")
def resnet18():
    return composer.build("resnet18", seed=4).state_dict()


@pytest.mark.parametrize("name", ["resnet18", "resnet18.a1_in1k"])
def test_timm(hf_cache, resnet18, name):
    hf_cache("timm/resnet18.a1_in1k", "model.safetensors", resnet18)
    model = composer.build("resnet18", weights=f"timm:{name}")
    assert equal(model, resnet18)
    assert model.weights_report.source == f"`timm:{name}`"


def test_timm_that_points_at_a_local_file(tmp_path, monkeypatch, resnet18):
    torch.save(resnet18, tmp_path / "w.pth")
    create = timm.create_model
    overlay = {"file": str(tmp_path / "w.pth")}
    monkeypatch.setattr(timm, "create_model", lambda *a, **k: create(*a, **k, pretrained_cfg_overlay=overlay))
    assert equal(composer.build("resnet18", weights="timm:resnet18"), resnet18)


@pytest.mark.parametrize("name", ["resnet18", "ResNet18_Weights.IMAGENET1K_V1", "ResNet18_Weights.DEFAULT"])
def test_torchvision(torch_home, resnet18, name):
    torch_home(torchvision.models.ResNet18_Weights.DEFAULT.url, resnet18)
    with pytest.warns(UserWarning, match="interpolation bilinear, not bicubic"):
        model = composer.build("resnet18", weights=f"torchvision:{name}")
    assert equal(model, resnet18)
    classes = fetch(f"torchvision:{name}").classes
    assert len(classes) == 1000
    assert classes[281] == "tabby"


def test_torchvisions_other_names(torch_home):
    theirs = torchvision.models.mobilenet_v2(weights=None).state_dict()
    torch_home(torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V2.url, theirs)
    with pytest.warns(UserWarning, match="interpolation bilinear, not bicubic"):
        model = composer.build("mobilenetv2_100", weights="torchvision:mobilenet_v2")
    assert model.weights_report.keys == "torchvision_mobilenet_v2"
    assert torch.equal(model.state_dict()["conv_stem.weight"], theirs["features.0.0.weight"])


@pytest.mark.parametrize(
    ("reference", "file", "revision"),
    [
        ("hf:someone/resnet", "model.safetensors", "main"),
        ("hf:someone/resnet", "pytorch_model.bin", "main"),
        ("hf:resnet", "model.safetensors", "main"),
        ("hf:someone/resnet/weights/best.pth", "weights/best.pth", "main"),
        ("hf:someone/resnet@v2", "model.safetensors", "v2"),
        ("hf:someone/resnet/best.ckpt@v2", "best.ckpt", "v2"),
    ],
)
def test_hugging_face(hf_cache, resnet18, reference, file, revision):
    hf_cache("resnet" if reference == "hf:resnet" else "someone/resnet", file, resnet18, revision)
    assert equal(composer.build("resnet18", weights=reference), resnet18)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("timm:resnet18.a9", "timm has no weights `resnet18.a9`"),
        ("timm:resnet181", "did you mean `resnet18"),
        ("torchvision:resnet17", "did you mean `resnet1"),
        ("torchvision:ResNet18_Weights.IMAGENET", "torchvision has no weights"),
        ("torchvision:ResNet17_Weights.DEFAULT", "torchvision has no weights"),
        ("timm:", "cannot read the reference"),
        ("timm:hf-hub:someone/resnet", "cannot read the reference"),
        ("hf:a/../b", "cannot read the reference"),
        ("hf:a/b/c/../../d", "cannot read the reference"),
        ("hf:a/b@", "cannot read the reference"),
        ("hf:a--b/x", "cannot load `hf:a--b/x`"),
    ],
)
def test_references_to_nothing(refused, plain, reference, said):
    assert said in refused(composer.build(plain.spec), reference)


@pytest.mark.parametrize("reference", ["hf:someone/nothing", "hf:someone/nothing/w.pt", "timm:resnet18.a1_in1k"])
def test_hugging_face_that_cannot_be_reached(hf_cache, run, reference):
    result = run("build", "resnet18", "--weights", reference)
    assert result.code == 3
    assert f"cannot fetch `{reference}`" in result.err
    assert "give the file to --weights" in result.err
    assert "Traceback" not in result.err


def test_torchvision_that_cannot_be_reached(torch_home, run, monkeypatch):
    def unreachable(*arguments, **options):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    result = run("build", "resnet18", "--weights", "torchvision:resnet18")
    assert result.code == 3
    assert "cannot fetch `torchvision:resnet18`" in result.err


def test_an_answer_of_no(torch_home, run, monkeypatch):
    def gone(*arguments, **options):
        raise urllib.error.HTTPError("https://example.org", 404, "Not Found", {}, None)

    monkeypatch.setattr("torch.hub.urlopen", gone)
    result = run("build", "resnet18", "--weights", "torchvision:resnet18")
    assert result.code == 1
    assert "cannot load `torchvision:resnet18`: HTTP Error 404" in result.err


@pytest.mark.parametrize(
    ("reference", "package", "extra"),
    [
        ("timm:resnet18", "timm", "timm"),
        ("torchvision:resnet18", "torchvision", "torchvision"),
        ("hf:someone/resnet", "huggingface_hub", "hf"),
    ],
)
def test_a_missing_extra(run, monkeypatch, reference, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    result = run("build", "resnet18", "--weights", reference)
    assert result.code == 3
    assert f"needs the package `{package}`" in result.err
    assert f"attention-composer[{extra}]" in result.err


def test_weights_of_a_hub_that_would_run_code(torch_home, refused, plain):
    torch_home(torchvision.models.ResNet18_Weights.DEFAULT.url, torch.nn.Linear(2, 2))
    assert "cannot load `torchvision:resnet18`" in refused(composer.build(plain.spec), "torchvision:resnet18")


def test_averaged_weights_of_hubs(refused, plain, torch_home, resnet18):
    torch_home(torchvision.models.ResNet18_Weights.DEFAULT.url, {"model": resnet18, "model_ema": resnet18})
    assert fetch("torchvision:resnet18", ema=True).entry == "model_ema"
    assert "names one set of weights" in refused(composer.build(plain.spec), "timm:resnet18", ema=True)


@pytest.mark.parametrize("source", ["w.pt", "folder/timm.pt", "./timm:resnet18", "C:weights.pt", "http://x/w.pt"])
def test_what_is_a_path(source):
    assert hub_of(source) is None


def test_parts_of_a_reference():
    parts = parse_reference("hf:timm/resnet50.a1_in1k/weights/model.safetensors@refs/pr/3")
    assert parts.group("repo", "file", "revision") == (
        "timm/resnet50.a1_in1k",
        "weights/model.safetensors",
        "refs/pr/3",
    )
