"""The README does what it says: its commands run, its snippets work. So do the pages to which it leads first."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

import composer
from composer import registry

ROOT = Path(__file__).parent.parent
GUIDES = ROOT / "examples/guides"
README = (ROOT / "README.md").read_text(encoding="utf-8")
TESTS_OF_ENGINES = [path.read_text(encoding="utf-8") for path in (ROOT / "tests/engines").glob("test_*.py")]
# A comparison trains for the better part of a minute.
LONG = ("composer compare",)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def fences(text: str) -> Iterator[tuple[str, str]]:
    """Language and text of each block of code, in order."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield found[1], found[2]


def fence(text: str, language: str, index: int = 0) -> str:
    return [block for found, block in fences(text) if found == language][index]


def section(name: str) -> str:
    return README.split(f"\n## {name}\n")[1].split("\n## ")[0]


@pytest.fixture
def empty(tmp_path, monkeypatch) -> Path:
    """An empty folder with what the README names: the examples, and the specs that its blocks are called by."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("webbrowser.open", lambda uri: True)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    for language, block in fences(README):
        if language == "yaml" and (name := re.match(r"# (\S+\.yaml)\n", block)):
            (tmp_path / name[1]).write_text(block, encoding="utf-8")
    return tmp_path


def commands() -> list[str]:
    """Every command of the README that is composer's, top to bottom."""
    blocks = [block for language, block in fences(README) if language == "sh"]
    lines = [line.rpartition(" && ")[2] for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("composer")]


def test_its_commands_top_to_bottom(run, empty):
    for line in commands():
        if not line.startswith(LONG):
            result = run(*shlex.split(line, comments=True)[1:])
            assert result.code == 0, (line, result.err)
            assert result.out or "wrote" in result.err, line
    made = {path.name for path in empty.iterdir()}
    assert {"cbam.html", "cbam.svg", "convnext.html", "change.html", "looked", "run", "cbam.py"} < made
    assert {"resnet18.safetensors", "my_net.yaml"} < made


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in commands() if line.startswith(LONG)])
def test_its_long_commands(run, empty, line):
    assert run(*shlex.split(line, comments=True)[1:]).code == 0


def test_the_first_answer_is_what_is_printed(run, empty):
    result = run("build", "cbam.yaml")
    assert result.out.endswith(fence(README, ""))


def test_the_python_of_any_model():
    names: dict[str, object] = {}
    exec(fence(section("Your own model"), "python"), names)
    model, optimizer = names["model"], names["optimizer"]
    new = sum(one.numel() for group in optimizer.param_groups for one in group["params"])
    plain = sum(one.numel() for one in timm.create_model("convnext_tiny").parameters())
    assert sum(one.numel() for one in model.parameters()) == plain + new


def test_its_specs(tmp_path):
    path = tmp_path / "my_net.yaml"
    path.write_text(fence(section("The language"), "yaml"))
    graph = composer.graph(path)
    assert len(graph.added[0].places) == 12
    assert all(name.endswith(".gate") for name in graph.added[0].places)
    path.write_text(fence(section("The language"), "yaml", 1))
    assert [len(rule.places) for rule in composer.graph(path).added] == [4, 16]


def test_its_counts():
    mechanisms, networks = re.search(r"(\d+) mechanisms right by their papers, (\d+) networks", README).groups()
    assert len(registry.mechanisms()) == int(mechanisms)
    assert len(composer.list_backbones()) == int(networks)
    (rows,) = re.findall(r"more than (\d+) published\s+results", README)
    assert len(composer.list_papers()) > int(rows)


@pytest.mark.parametrize("name", ["README.md", *(f"examples/guides/{path.name}" for path in GUIDES.glob("*.md"))])
def test_every_link_leads_to_a_file(name):
    for target in re.findall(r"\]\((?!http|#)(.*?)(?:#.*?)?\)", page(name)):
        assert ((ROOT / name).parent / target).exists(), target


def test_it_is_short():
    assert len(README.splitlines()) <= 200


def test_the_papers_of_a_table(run):
    (line,) = re.findall(r"`composer (list papers .*?)`", README)
    assert len(run(*shlex.split(line)).out.splitlines()) == 1 + len(
        composer.list_papers(table="3.3", architecture="ResNet-50")
    )


def test_the_table_of_mechanisms_is_what_its_command_prints():
    from mechanisms.table import lines

    assert page("examples/tables/mechanisms.md") == "\n".join(lines()) + "\n"


def test_the_table_of_engines_has_every_test():
    text = page("examples/tables/engines.md")
    names = [name for file in TESTS_OF_ENGINES for name in re.findall(r"^def test_(\w+)", file, re.MULTILINE)]
    for name in names:
        assert f"| {name.replace('_', ' ')}" in text


@pytest.mark.parametrize("word", sorted(registry.TENSOR_FACTS + registry.CONV_FACTS))
def test_every_fact_is_on_the_plugin_page(word):
    assert re.search(rf"\b{word}\b", page("examples/guides/plugins.md"))


def test_the_plugin_of_the_plugin_page(run, tmp_path):
    path = tmp_path / "pixel_gate.py"
    path.write_text(fence(page("examples/guides/plugins.md"), "python"))
    spec = tmp_path / "net.yaml"
    spec.write_text("backbone: resnet18\nattention:\n  - {use: pixel_gate, after: branch, with: {kernel_size: 3}}\n")
    result = run("build", spec, "--plugin", path, "--format", "json")
    assert result.code == 0, result.err
    assert result.json["rules"][0]["places"] == 8
    spec.write_text(spec.read_text().replace("kernel_size: 3", "kernel_size: 4"))
    result = run("build", spec, "--plugin", path)
    assert result.code == 1
    assert "expected an odd number" in result.err


def test_the_python_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    plain = composer.build("resnet50", vars={"num_classes": 10})
    save_file(plain.state_dict(), "resnet50_10.safetensors")
    names: dict[str, object] = {}
    exec(fence(page("examples/guides/models.md"), "python"), names)
    assert "self.layer1" in capsys.readouterr().out
    assert not names["report"].missing
    assert all(".cbam." in name for name in names["report"].inserted)


def test_the_features_of_the_python_page():
    names = {"composer": composer, "images": torch.randn(1, 3, 64, 64)}
    exec(fence(page("examples/guides/models.md"), "python", 1), names)
    assert {name: tuple(value.shape[1:]) for name, value in names["pyramid"](names["images"]).items()} == {
        "c3": (512, 8, 8),
        "c5": (2048, 2, 2),
    }
    assert names["model"](names["images"]).shape == (1, 10)


def test_the_attention_of_the_python_page():
    model = composer.build({"backbone": "resnet18", "attention": [{"use": "dynconv", "replace": "layer4.1.conv2"}]})
    names = {"composer": composer, "model": model.eval(), "images": torch.randn(1, 3, 64, 64)}
    exec(fence(page("examples/guides/models.md"), "python", 2), names)
    assert list(names["values"]) == ["layer4.1.conv2"]


def test_the_table_of_the_page_of_summaries(run):
    printed = run("summary", "papers/cbam/resnet50", "--columns", "op,count,output,parameters,macs,memory").out
    lines = fence(page("examples/guides/summary.md"), "").splitlines()
    assert all(line in printed.splitlines() for line in lines if line != "…")


def test_the_costs_of_the_papers(run):
    line = fence(page("examples/guides/summary.md"), "sh")
    assert (
        "papers/eca/resnet50_se_var1,3.1,ResNet-50,SE-Var-1,25557032,4089184256,76.0,"
        in run(*shlex.split(line, comments=True)[1:]).out
    )


def test_the_spec_of_the_weights_page(run, tmp_path):
    save_file(composer.build("resnet50").state_dict(), tmp_path / "resnet50.safetensors")
    (tmp_path / "net.yaml").write_text(fence(page("examples/guides/weights.md"), "yml"))
    result = run("build", tmp_path / "net.yaml", "--set", "input=[3, 64, 64]")
    assert result.code == 0, result.err
    assert "loaded 320 tensors" in result.out
    assert result.out.splitlines()[-1] == "largest change of a logit against the plain network: 0"


@pytest.mark.slow
def test_the_commands_of_looking(run, tmp_path, monkeypatch, weights, cat):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("webbrowser.open", lambda uri: True)
    shutil.copy(cat, "cat.png")
    shutil.copy(weights, "mobilenet_v2.pth")
    for line in fence(page("examples/guides/look.md"), "sh").splitlines():
        result = run(*shlex.split(line, comments=True)[1:])
        assert result.code == 0, (line, result.err)
        assert "effective receptive field covers" in result.out
    assert {"index.html", "cbam-maps-1.png"} < {path.name for path in Path("looked").iterdir()}


def test_torchvisions_weights_know_the_cat(run, weights, cat):
    result = run("run", "papers/cbam/mobilenetv2_100", "--image", cat, "--weights", weights)
    assert "Egyptian cat" in result.out
