"""`weights:` in a spec: which file of a chain decides, what overrides it, and that nothing connects unasked."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import composer


@pytest.fixture
def offline(monkeypatch):
    """Fail at any attempt to look up a host."""

    def unexpected(*arguments, **options):
        raise AssertionError(f"connects to {arguments}")

    monkeypatch.setattr(socket, "getaddrinfo", unexpected)
    monkeypatch.setattr(socket.socket, "connect", unexpected)


@pytest.fixture
def folder(small, tmp_path):
    """`small.yaml`, and weights of it: one.pt, two.safetensors, sub/three.pt."""
    (tmp_path / "sub").mkdir()
    for seed, name in enumerate(("one.pt", "two.safetensors", "sub/three.pt"), 1):
        tensors = composer.build(small, seed=seed).state_dict()
        (save_file if name.endswith("safetensors") else torch.save)(tensors, tmp_path / name)
    return tmp_path


def seed_of(model, small) -> int:
    """Which of the weights a network has; 0 for none."""
    for seed in range(4):
        if torch.equal(model.state_dict()["fc.weight"], composer.build(small, seed=seed).state_dict()["fc.weight"]):
            return seed
    raise AssertionError("other weights")


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def test_a_path_is_relative_to_the_file_that_writes_it(folder, small, monkeypatch):
    near = write(folder, "near.yaml", "backbone: small.yaml\nweights: one.pt\n")
    below = write(folder, "sub/below.yaml", "backbone: ../near.yaml\n")
    monkeypatch.chdir(folder / "sub")
    assert seed_of(composer.build(near), small) == 1
    with pytest.raises(composer.SpecError, match="leaves the spec's own tree"):
        composer.load(below)
    assert composer.load(below, root=folder).weights[0].source == str(folder / "sub" / ".." / "one.pt")
    own = write(folder, "sub/own.yaml", "backbone: ../near.yaml\nweights: three.pt\n")
    assert seed_of(composer.build(composer.load(own, root=folder)), small) == 3


def test_the_nearest_file_that_speaks_of_weights_wins(folder, small):
    write(folder, "a.yaml", "backbone: small.yaml\nweights: {source: one.pt, require: all}\n")
    b = write(folder, "b.yaml", "backbone: a.yaml\nweights: {source: two.safetensors}\n")
    c = write(folder, "c.yaml", "backbone: b.yaml\n")
    d = write(folder, "d.yaml", "backbone: c.yaml\nweights: none\n")
    assert [seed_of(composer.build(one), small) for one in (b, c, d)] == [2, 2, 0]
    assert composer.load(c).weights[0].require == "backbone"
    assert composer.load(d).weights is None
    assert composer.build(d).weights_report is None


def test_what_is_not_the_nearest_need_not_be_there(folder, small):
    write(folder, "a.yaml", "backbone: small.yaml\nweights: gone.pt\n")
    b = write(folder, "b.yaml", "backbone: a.yaml\nweights: one.pt\n")
    assert seed_of(composer.build(b), small) == 1
    with pytest.raises(composer.SpecError, match=r"there is no weights file `gone\.pt`"):
        composer.graph(folder / "a.yaml")
    assert seed_of(composer.build(folder / "a.yaml", weights=folder / "one.pt"), small) == 1


def test_what_is_given_wins_over_the_spec(folder, small, monkeypatch):
    path = write(folder, "a.yaml", "backbone: small.yaml\nweights: one.pt\n")
    monkeypatch.chdir(folder / "sub")
    assert seed_of(composer.build(path, weights="three.pt"), small) == 3
    assert seed_of(composer.build(path, weights=folder / "two.safetensors"), small) == 2
    assert seed_of(composer.build(path, weights={"source": "three.pt", "require": "all"}), small) == 3
    assert seed_of(composer.build(path, weights="none"), small) == 0
    assert seed_of(composer.build(composer.load(path), weights="none"), small) == 0
    (folder / "one.pt").rename(folder / "sub" / "timm:one.pt")
    assert seed_of(composer.build(small, weights=Path("timm:one.pt")), small) == 1


def test_what_is_given_and_makes_no_sense(small):
    with pytest.raises(composer.SpecError, match="did you mean `require`"):
        composer.build(small, weights={"source": "w.pt", "requires": "all"})
    with pytest.raises(composer.SpecError, match="`source` is missing"):
        composer.build(small, weights={})
    with pytest.raises(composer.SpecError, match="a path, a hub reference"):
        composer.build(small, weights=3)
    with pytest.raises(composer.SpecError, match="such as `timm:"):
        composer.build(small, weights="timm:")
    with pytest.raises(composer.WeightsError, match="there is no weights file"):
        composer.build(small, weights="gone.pt")


@pytest.mark.parametrize("reference", ["timm:resnet18", "torchvision:resnet18", "hf:someone/resnet"])
def test_a_spec_never_connects_by_itself(tmp_path, offline, reference):
    path = write(tmp_path, "net.yaml", f'backbone: resnet18\nweights: "{reference}"\n')
    assert composer.graph(path).num_parameters
    with pytest.raises(composer.WeightsError) as caught:
        composer.build(path)
    assert f"{path}:2:10" in str(caught.value)
    assert "--download (in Python, download=True)" in str(caught.value)
    assert composer.build(path, weights="none").weights_report is None


def test_with_leave_a_reference_of_a_spec_is_followed(tmp_path, monkeypatch):
    state = composer.build("resnet18", seed=2).state_dict()
    asked = []

    def fetch(reference, *, ema):
        from composer.weights import Checkpoint

        asked.append(reference)
        return Checkpoint(reference, state)

    monkeypatch.setattr("composer.weights.load.fetch", fetch)
    path = write(tmp_path, "net.yaml", "backbone: resnet18\nweights: timm:resnet18\n")
    model = composer.build(path, download=True)
    assert torch.equal(model.state_dict()["fc.weight"], state["fc.weight"])
    composer.build("resnet18", weights="hf:someone/resnet")
    assert asked == ["timm:resnet18", "hf:someone/resnet"]


def test_options_of_a_spec(folder, small):
    state = composer.build(small, seed=3).state_dict()
    both = {"state_dict": composer.build(small, seed=1).state_dict(), "state_dict_ema": state}
    torch.save(both, folder / "both.pt")
    renamed = {f"theirs.{name}": tensor for name, tensor in state.items() if not name.startswith("se.")}
    torch.save(renamed, folder / "renamed.pt")
    write(folder, "keys.yaml", "theirs: ''\n")
    for weights in (
        "{source: both.pt, ema: true}",
        "{source: renamed.pt, keys: keys.yaml}",
        "{source: renamed.pt, match: order}",
    ):
        path = write(folder, "a.yaml", f"backbone: small.yaml\nweights: {weights}\n")
        assert seed_of(composer.build(path), small) == 3
    path = write(folder, "a.yaml", "backbone: small.yaml\nweights: {source: renamed.pt, require: all}\n")
    with pytest.raises(composer.WeightsError, match="do not fit"):
        composer.build(path)


def test_a_head_that_the_weights_do_not_fill_is_a_warning(folder, small):
    text = small.read_text().replace("out_features: 4", "out_features: 3").replace("[ant, bee, cat, dog]", "[a, b, c]")
    path = write(folder, "a.yaml", f"{text}weights: one.pt\n")
    with pytest.warns(UserWarning, match="small: head fc: 4 classes in the file, 3 here; left as it was"):
        model = composer.build(path)
    assert model.weights_report.heads[0].path == "fc"


def test_a_mapping_of_a_loaded_spec_names_the_same_weights(folder, small, monkeypatch):
    write(folder, "a.yaml", "backbone: small.yaml\nweights: {source: one.pt, keys: k.yaml, require: all}\n")
    write(folder, "k.yaml", "theirs: ''\n")
    monkeypatch.chdir(folder)
    spec = composer.load("a.yaml")
    written = spec.to_mapping()["weights"]
    assert written == {"source": str(folder / "one.pt"), "keys": str(folder / "k.yaml"), "require": "all"}
    assert seed_of(composer.build(spec.to_mapping()), small) == 1
    hub = composer.load({"backbone": "mobilenetv2_100", "weights": {"source": "torchvision:mobilenet_v2"}})
    assert hub.to_mapping()["weights"] == {"source": "torchvision:mobilenet_v2"}
    assert "weights" not in composer.load(small).to_mapping()


def test_weights_keep_their_place_in_precision_and_copies(folder, small):
    import copy
    import pickle

    model = composer.build(small, weights=folder / "one.pt", dtype=torch.float64)
    assert model.state_dict()["fc.weight"].dtype == torch.float64
    assert copy.deepcopy(model).weights_report == model.weights_report
    assert torch.equal(pickle.loads(pickle.dumps(model)).state_dict()["fc.weight"], model.state_dict()["fc.weight"])
