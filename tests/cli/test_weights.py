"""Weights on the command line: what is said of them, and what overrides what."""

from __future__ import annotations

import pytest
import torch

import composer


@pytest.fixture
def trained(small, tmp_path):
    """A spec whose weights are those of the same network without attention."""
    plain = tmp_path / "plain.yaml"
    plain.write_text(small.read_text().partition("attention:")[0])
    torch.save(composer.build(plain, seed=8).state_dict(), tmp_path / "plain.pt")
    path = tmp_path / "trained.yaml"
    path.write_text(f"{small.read_text()}weights: plain.pt\n".replace("with:", "start: identity, with:"))
    return path


CHANGE = "largest change of a logit against the plain network: "


def test_build_says_what_it_loaded(run, trained, tmp_path):
    result = run("build", trained)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert f"loaded 8 tensors from `{tmp_path / 'plain.pt'}`" in lines
    assert any(line.startswith("5 new, inserted by attention") for line in lines)
    assert lines[-1] == f"{CHANGE}0"
    found = run("build", trained, "--format", "json").json["weights"]
    assert found["loaded"] == 8
    assert found["largest_change"] == 0
    assert run("build", trained, "--weights", "none", "--format", "json").json["weights"] is None


def test_a_change_that_is_not_nothing(run, trained):
    trained.write_text(trained.read_text().replace("start: identity, ", ""))
    line = run("build", trained).out.splitlines()[-1]
    assert line.startswith(CHANGE)
    assert float(line.removeprefix(CHANGE)) > 0


def test_run_says_it_beside_the_answer(run, trained, tmp_path):
    torch.save(torch.randn(1, 3, 32, 32), tmp_path / "x.pt")
    words = ("run", trained, "--tensor", tmp_path / "x.pt")
    result = run(*words)
    assert f"{CHANGE}0" in result.err
    assert CHANGE not in result.out
    assert "the network is random" in run(*words, "--weights", "none").err
    quiet = run(*words, "-q")
    assert quiet.err == ""
    assert quiet.out == result.out


def test_options_change_what_the_spec_says(run, trained, tmp_path):
    trained.write_text(trained.read_text().replace("weights: plain.pt", "weights: {source: plain.pt, require: all}"))
    result = run("build", trained)
    assert result.code == 1
    assert "the network has 5 tensors that are not in it" in result.err
    assert result.out == ""
    assert run("build", trained, "--require", "backbone").code == 0
    assert run("build", trained, "--weights", tmp_path / "plain.pt").code == 0
    assert run("build", trained, "--match", "order", "--require", "any").code == 0
    assert run("build", trained, "--weights", tmp_path / "plain.pt", "--ema").code == 1


@pytest.mark.parametrize("options", [("--require", "any"), ("--keys", "torchvision_vit"), ("--ema",)])
def test_options_about_no_weights(run, small, options):
    result = run("build", small, *options)
    assert result.code == 2
    assert "there are no weights" in result.err
    assert run("build", small, "--weights", "none", *options).code == 2


def test_usage(run, trained, small, tmp_path):
    assert "there is no weights file" in run("build", small, "--weights", tmp_path / "gone.pt").err
    assert "looks at none" in run("build", trained, "--match", "order", "--keys", "torchvision_vit").err
    trained.write_text(trained.read_text().replace("plain.pt", "timm:resnet18"))
    result = run("build", trained)
    assert result.code == 1
    assert "--download" in result.err
    assert run("validate", trained).code == 0
    assert run("sites", trained).code == 0


def test_another_number_of_classes_is_said(run, trained, tmp_path):
    trained.write_text(trained.read_text().replace("out_features: 4", "out_features: 3").replace(", dog]", "]"))
    result = run("build", trained)
    assert "head fc: 4 classes in the file, 3 here; left as it was" in result.out.splitlines()
    assert result.out.splitlines()[-1] == f"{CHANGE}0"


def test_the_lock_builds_the_same_network_with_the_same_weights(run, trained, small, tmp_path):
    assert run("build", trained, "-o", tmp_path / "out").code == 0
    spec = composer.load(tmp_path / "out" / "small.lock.yaml")
    assert spec.weights[0].source == str(tmp_path / "out" / "small.safetensors")
    assert spec.weights[0].require == "all"
    assert spec.files[0].content.lock["weights"] == {
        "source": str(tmp_path / "plain.pt"),
        "input": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "crop": 0.8},
    }
    again, first = composer.build(spec, seed=5).state_dict(), composer.build(trained).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert run("build", small, "-o", tmp_path / "random").code == 0
    assert composer.load(tmp_path / "random" / "small.lock.yaml").weights is None
    assert run("build", trained, "--weights", "none", "-o", tmp_path / "none").code == 0
    assert composer.load(tmp_path / "none" / "small.lock.yaml").weights is None
