"""Plugins from files and from installed packages; one that fails names itself and leaves the rest working."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import composer
from composer import contract, registry

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = pytest.mark.usefixtures("own_registry")

GATE = '''\
"""A plugin."""
import composer
from torch import nn


@composer.mechanism("{name}", kind="channel")
class Gate(nn.Module):
    """Half as much."""

    def forward(self, x):
        return x / 2
'''


@pytest.fixture
def plugin(tmp_path):
    def write(text: str, name: str = "plugin.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def failure(path: Path) -> composer.Diagnostic:
    with pytest.raises(composer.PluginError) as caught:
        registry.load_plugin_file(path)
    return caught.value.diagnostics[0]


def spec(name: str) -> dict[str, object]:
    return {"backbone": "resnet18", "vars": {"num_classes": 3}, "attention": [{"use": name, "after": "branch"}]}


def test_the_example_in_one_file():
    registry.load_plugin_file(EXAMPLES / "pixel_gate.py")
    registry.load_plugin_file(EXAMPLES / "pixel_gate.py")
    entry = registry.get("pixel_gate")
    assert entry.plugin.name.endswith("pixel_gate.py")
    assert len(entry.plugin.sha256) == 64
    model = composer.build(spec("pixel_gate"))
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(pickle.loads(pickle.dumps(model.eval()))(x), model(x))
    gate = model.layer1.get_submodule("0.pixel_gate")
    features = torch.randn(2, 64, 5, 7)
    assert torch.equal(gate(features), features * gate.attention(features))


def test_a_plugin_is_shown_checked_and_recorded_like_a_mechanism_of_composer(run):
    path = EXAMPLES / "pixel_gate.py"
    shown = run("show", "pixel_gate", "--plugin", path, "--at", 64, 14, 14)
    assert shown.code == 0, shown.err
    for part in ("y = x * sigmoid(W * x)", "kernel_size", "3,137 parameters", "{use: pixel_gate, after: branch}"):
        assert part in shown.out
    quick = [name for name in contract.CHECKS if name != "ONNX" and not name.startswith("torch")]
    subject = contract.Subject(registry.get("pixel_gate"), {"kernel_size": 3})
    found = {name: contract.verdict(subject, name, contract.CHECKS[name]) for name in quick}
    assert {name: one for name, one in found.items() if one.status != "ok"} == {}
    model, x = composer.build(spec("pixel_gate")).eval(), torch.randn(2, 3, 64, 64)
    with composer.record(model) as values:
        y = model(x)
    assert torch.equal(y, model(x))
    assert len(values) == 8
    assert values["layer1.0.pixel_gate"].shape == (2, 1, 16, 16)


def test_two_files_of_one_name(plugin):
    registry.load_plugin_file(plugin(GATE.format(name="test_one"), "a/gate.py"))
    registry.load_plugin_file(plugin(GATE.format(name="test_two"), "b/gate.py"))
    assert composer.list_mechanisms("test_*") == ["test_one", "test_two"]
    assert "the name is taken by" in failure(plugin(GATE.format(name="test_one") + "\n", "c/gate.py")).message


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("import nowhere_at_all\n", 1, "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("x = 1\n\ny = x / 0\n", 3, "ZeroDivisionError"),
        ("x = 1\ndef f(:\n", 2, "SyntaxError"),
        (GATE.format(name="test_half") + "raise RuntimeError('late')\n", 12, "RuntimeError: late"),
    ],
)
def test_a_file_that_fails_says_where_and_registers_nothing(plugin, text, line, said):
    path = plugin(text)
    problem = failure(path)
    assert said in problem.message
    assert str(path) in problem.message
    assert (problem.location.source.name, problem.location.line) == (str(path), line)
    assert composer.list_mechanisms("test_*") == []


def test_files_that_are_no_plugins(tmp_path):
    assert "does not exist" in failure(tmp_path / "absent.py").message
    (tmp_path / "text.txt").write_text("hello")
    assert "not Python" in failure(tmp_path / "text.txt").message
    assert "does not exist" in failure(tmp_path).message


def test_a_plugin_that_ends_the_process_is_let_do_so(plugin):
    with pytest.raises(SystemExit):
        registry.load_plugin_file(plugin("raise SystemExit(4)\n"))


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory):
    """The example package installed, beside one whose plugin fails."""
    target = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", target]
    subprocess.run([*install, EXAMPLES / "two_gates_package"], check=True, capture_output=True)
    (target / "broken_plugin.py").write_text("x = 1\nimport nowhere_at_all\n")
    info = target / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[composer.plugins]\nbroken = broken_plugin\n")
    return target


def test_installed_packages_are_found_and_a_broken_one_harms_nobody(site_packages, tmp_path):
    code = """
import composer
from composer import registry
names = composer.list_mechanisms()
gates = [entry for entry in registry.entries() if entry.plugin.name == "two_gates"]
assert [entry.name for entry in gates] == ["row_column_gate"], names
assert {entry.plugin.version for entry in gates} == {"0.3.0"}
assert "cbam" in names
(problem,) = registry.failures()
assert "plugin `broken` (broken_plugin) failed to import" in problem.message
assert problem.location.line == 2 and problem.location.source.name.endswith("broken_plugin.py")
rules = [{"use": entry.name, "after": "branch"} for entry in gates]
graph = composer.graph({"backbone": "resnet18", "attention": rules})
print(len(graph.inserted))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site_packages), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "8"
