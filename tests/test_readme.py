"""The README does what it says: its commands run, its snippets work."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

import composer
from composer import registry

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXPERIMENTS = "The papers' experiments"
TESTS_OF_ENGINES = [path.read_text(encoding="utf-8") for path in (ROOT / "tests/engines").glob("test_*.py")]


def fence(section: str, language: str, index: int = 0) -> str:
    text = README.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[index]


def test_the_commands_of_the_tour(run, tmp_path, monkeypatch, weights, cat):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("webbrowser.open", lambda uri: True)
    shutil.copy(cat, "cat.png")
    shutil.copy(weights, "mobilenet_v2.pth")
    for line in fence("Five minutes", "sh").splitlines():
        program, *words = shlex.split(line, comments=True)
        assert program == "composer"
        result = run(*words)
        assert result.code == 0, (line, result.err)
        assert result.out or "wrote" in result.err, line
    assert "Egyptian cat" in result.out
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "my_net.graph.json",
        "my_net.lock.yaml",
        "my_net.safetensors",
    ]


def test_the_main_job_prints_the_figures_of_the_picture(run, monkeypatch):
    monkeypatch.chdir(ROOT)
    command = fence("Two commands", "sh").strip().partition(" && ")[2]
    result = run(*shlex.split(command)[1:])
    assert result.code == 0
    _, _, places, parameters, _ = re.split(r"\s{2,}", result.out.splitlines()[-1])
    assert f"{places} places, {parameters} parameters" in README


def test_the_table_of_the_reading_page(run):
    printed = run("summary", "papers/cbam/resnet50", "--columns", "op,count,output,parameters,macs,memory").out
    assert all(line in printed.splitlines() for line in fence("Reading a network", "").splitlines() if line != "…")


def test_the_python_of_the_tour(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    plain = composer.build("resnet50", vars={"num_classes": 10})
    save_file(plain.state_dict(), "resnet50_10.safetensors")
    names: dict[str, object] = {}
    exec(fence("Five minutes", "python"), names)
    assert "self.layer1" in capsys.readouterr().out
    assert not names["report"].missing
    assert all(".cbam." in name for name in names["report"].inserted)


def test_the_spec_of_the_language_page(tmp_path):
    path = tmp_path / "my_net.yaml"
    path.write_text(fence("The spec language", "yaml"))
    graph = composer.graph(path)
    assert len(graph.added[0].places) == 12
    assert all(name.endswith(".gate") for name in graph.added[0].places)


def test_the_spec_of_the_weights_page(run, tmp_path):
    save_file(composer.build("resnet50").state_dict(), tmp_path / "resnet50.safetensors")
    (tmp_path / "net.yaml").write_text(fence("Weights", "yaml"))
    result = run("build", tmp_path / "net.yaml", "--set", "input=[3, 64, 64]")
    assert result.code == 0, result.err
    assert "loaded 320 tensors" in result.out
    assert result.out.splitlines()[-1] == "largest change of a logit against the plain network: 0"


@pytest.mark.parametrize("word", sorted(registry.TENSOR_FACTS + registry.CONV_FACTS))
def test_every_fact_is_on_the_plugin_page(word):
    assert re.search(rf"\b{word}\b", README.split("\n## Writing a plugin\n")[1])


def test_the_plugin_of_the_plugin_page(run, tmp_path):
    path = tmp_path / "pixel_gate.py"
    path.write_text(fence("Writing a plugin", "python"))
    spec = tmp_path / "net.yaml"
    spec.write_text("backbone: resnet18\nattention:\n  - {use: pixel_gate, after: branch, with: {kernel_size: 3}}\n")
    result = run("build", spec, "--plugin", path, "--format", "json")
    assert result.code == 0, result.err
    assert result.json["rules"][0]["places"] == 8
    spec.write_text(spec.read_text().replace("kernel_size: 3", "kernel_size: 4"))
    result = run("build", spec, "--plugin", path)
    assert result.code == 1
    assert "expected an odd number" in result.err


def test_the_table_of_mechanisms_is_what_its_command_prints():
    from mechanisms.table import lines

    assert (ROOT / "examples/tables/mechanisms.md").read_text(encoding="utf-8") == "\n".join(lines()) + "\n"


def test_the_table_of_engines_has_every_test():
    text = (ROOT / "examples/tables/engines.md").read_text(encoding="utf-8")
    names = [name for file in TESTS_OF_ENGINES for name in re.findall(r"^def test_(\w+)", file, re.MULTILINE)]
    for name in names:
        assert f"| {name.replace('_', ' ')}" in text


def test_every_link_leads_to_a_file():
    for target in re.findall(r"\]\((?!http)(.*?)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 250


def test_the_commands_of_the_pictures(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in fence("Pictures", "sh").splitlines():
        result = run(*shlex.split(line, comments=True)[1:])
        assert result.code == 0, (line, result.err)
    assert [path.name for path in sorted(Path().iterdir())] == ["cbam.html", "cbam.svg", "change.html"]


def test_the_commands_of_the_experiments(run):
    rows, costs = (run(*shlex.split(line, comments=True)[1:]) for line in fence(EXPERIMENTS, "sh").splitlines())
    assert len(rows.out.splitlines()) == 1 + len(composer.list_papers(table="3.3", architecture="ResNet-50"))
    assert "papers/eca/resnet50_se_var1,3.1,ResNet-50,SE-Var-1,25557032,4089184256,76.0," in costs.out


def test_the_python_of_the_mechanisms():
    model = composer.build({"backbone": "resnet18", "attention": [{"use": "dynconv", "replace": "layer4.1.conv2"}]})
    names = {"composer": composer, "model": model.eval(), "images": torch.randn(1, 3, 64, 64)}
    exec(fence("Mechanisms", "python"), names)
    assert list(names["values"]) == ["layer4.1.conv2"]


@pytest.mark.slow
def test_the_commands_of_looking(run, tmp_path, monkeypatch, weights, cat):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("webbrowser.open", lambda uri: True)
    shutil.copy(cat, "cat.png")
    shutil.copy(weights, "mobilenet_v2.pth")
    for line in fence("Looking at attention", "sh").splitlines():
        result = run(*shlex.split(line, comments=True)[1:])
        assert result.code == 0, (line, result.err)
        assert "effective receptive field covers" in result.out
    assert {"index.html", "cbam-maps-1.png"} < {path.name for path in Path("looked").iterdir()}


def test_the_python_of_any_model():
    names: dict[str, object] = {}
    exec(fence("Your model, in three lines", "python"), names)
    model, optimizer = names["model"], names["optimizer"]
    new = sum(one.numel() for group in optimizer.param_groups for one in group["params"])
    plain = sum(one.numel() for one in timm.create_model("convnext_tiny").parameters())
    assert sum(one.numel() for one in model.parameters()) == plain + new


def test_the_python_of_features():
    names = {"images": torch.randn(1, 3, 64, 64)}
    exec(f"import composer\n{fence('Features and classifiers', 'python')}", names)
    assert {name: tuple(value.shape[1:]) for name, value in names["pyramid"](names["images"]).items()} == {
        "c3": (512, 8, 8),
        "c5": (2048, 2, 2),
    }
    assert names["model"](names["images"]).shape == (1, 10)
