"""A model of another library stands wherever a name of the zoo may stand."""

from __future__ import annotations

import pytest
import yaml


def test_summary_sites_and_validate_take_a_model(run):
    result = run(
        "summary", "timm:resnet18", "--set", "input=[3, 64, 64]", "--set", "vars.num_classes=10", "--depth", "1"
    )
    assert result.code == 0
    assert "N×3×64×64 -> output N×10" in result.out
    assert "11,181,642" in result.out
    assert run("sites", "timm:resnet18", "layer1.*.conv1").out.count("conv2d") == 2
    assert run("validate", "torchvision:resnet18", "timm:resnet18").code == 0
    result = run("validate", "timm:resnet81")
    assert result.code == 1
    assert "timm has no model `resnet81`" in result.err


def test_show_says_what_a_model_takes(run):
    found = run("show", "timm:vit_tiny_patch16_224", "--format", "json").json
    assert found["inputs"]["input"]["mean"] == [0.5, 0.5, 0.5]
    assert "drop_path_rate" in found["arguments"]
    assert "pretrained" not in found["arguments"]
    assert yaml.safe_load(run("show", "torchvision:resnet18").out.partition("\n\n")[0])["vars"] == {"num_classes": 1000}


def test_diff_and_graph_take_models(run, tmp_path):
    result = run("diff", "timm:resnet18", "torchvision:resnet18")
    assert result.code == 0
    assert "SelectAdaptivePool2d" in result.out
    assert "global_avg_pool" in result.out
    assert run("graph", "torchvision:resnet18", "-o", tmp_path / "net.svg").code == 0
    assert "layer4" in (tmp_path / "net.svg").read_text()


def test_a_setting_changes_the_arguments(run):
    result = run("validate", "smp:Unet", "--set", "backbone.args.encoder_name=resnet18")
    assert result.code == 0
    assert "14,328,209 parameters" in result.out
    assert run("validate", "smp:Unet", "--set", "backbone.args.encoder_weights=imagenet").code == 1


@pytest.mark.parametrize("verb", ["summary", "sites", "validate", "show", "build"])
def test_own_code_needs_a_permission(run, verb, tmp_path, monkeypatch):
    code = "from torch import nn\n\n\ndef make():\n    return nn.Conv2d(3, 4, 1)\n"
    (tmp_path / "nets_of_a_user.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    result = run(verb, "nets_of_a_user:make")
    assert result.code == 1
    assert "--allow-code" in result.err
    if verb != "build":
        assert run(verb, "nets_of_a_user:make", "--allow-code").code == 0
