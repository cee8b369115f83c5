"""Plugins from files and from installed packages; one that fails names itself and leaves the rest working."""

from __future__ import annotations

import importlib
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
        registry.load_plugin(path)
    return caught.value.diagnostics[0]


def spec(name: str) -> dict[str, object]:
    return {"backbone": "resnet18", "vars": {"num_classes": 3}, "attention": [{"use": name, "after": "branch"}]}


def test_the_example_in_one_file():
    registry.load_plugin(EXAMPLES / "pixel_gate.py")
    registry.load_plugin(EXAMPLES / "pixel_gate.py")
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
    assert "usual place: after: branch" in shown.out
    assert "from pixel_gate import PixelGate" in shown.out
    subject = contract.Subject(registry.get("pixel_gate"), {"kernel_size": 3})
    quick = [name for name in contract.checks_of(subject.entry) if name != "ONNX" and not name.startswith("torch")]
    found = {name: contract.verdict(subject, name, contract.CHECKS[name]) for name in quick}
    assert {name: one for name, one in found.items() if one.status != "ok"} == {}
    model, x = composer.build(spec("pixel_gate")).eval(), torch.randn(2, 3, 64, 64)
    with composer.record(model) as values:
        y = model(x)
    assert torch.equal(y, model(x))
    assert len(values) == 8
    assert values["layer1.0.pixel_gate"].shape == (2, 1, 16, 16)


def test_the_guide_has_the_example_word_for_word_and_the_number_of_checks():
    guide = (EXAMPLES / "guides/plugins.md").read_text(encoding="utf-8")
    assert f"```python\n{(EXAMPLES / 'pixel_gate.py').read_text(encoding='utf-8')}```" in guide
    for text in (guide, (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")):
        assert f"the {len(contract.CHECKS)} checks" in text


def test_two_files_of_one_name(plugin):
    registry.load_plugin(plugin(GATE.format(name="test_one"), "a/gate.py"))
    registry.load_plugin(plugin(GATE.format(name="test_two"), "b/gate.py"))
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
    assert "is a folder" in failure(tmp_path).message


def test_who_interrupts_the_import_of_a_plugin_is_obeyed(plugin):
    with pytest.raises(KeyboardInterrupt):
        registry.load_plugin(plugin("raise KeyboardInterrupt\n"))


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


def test_a_plugin_imports_the_files_beside_it(tmp_path, monkeypatch):
    path = list(sys.path)
    for number, folder in enumerate((tmp_path / "one", tmp_path / "two"), 1):
        (folder / "parts").mkdir(parents=True)
        (folder / "parts" / "__init__.py").write_text("from parts.inner import NUMBER\n")
        (folder / "parts" / "inner.py").write_text(f"NUMBER = {number}\n")
        (folder / "gates_beside.py").write_text("from parts import NUMBER\n")
        # Not to be taken for Python's own.
        (folder / "json.py").write_text("raise RuntimeError\n")
        (folder / "plugin.py").write_text(
            "import json\nimport composer\nimport gates_beside\nfrom torch import nn\n\n\n"
            f"@composer.mechanism('beside_{number}', kind='channel')\nclass Beside(nn.Module):\n"
            "    number = gates_beside.NUMBER\n\n    def forward(self, x):\n        return x\n"
        )
        registry.load_plugin(folder / "plugin.py")
        assert registry.get(f"beside_{number}").factory.number == number
        assert sys.path == path
    assert sys.modules["gates_beside"].NUMBER == 1
    for name in ("gates_beside", "parts", "parts.inner"):
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("gates_beside")


def test_a_failing_import_beside_a_plugin_leaves_nothing(tmp_path):
    path = list(sys.path)
    (tmp_path / "broken_beside.py").write_text("1 / 0\n")
    (tmp_path / "plugin.py").write_text("import broken_beside\n")
    assert "ZeroDivisionError" in failure(tmp_path / "plugin.py").message
    assert sys.path == path
    assert "broken_beside" not in sys.modules


TAKES = """
import composer
from torch import nn

@composer.mechanism("{name}", kind="spatial"{more})
class Made(nn.Module):
    def __init__(self, {facts}, *, reduction: int = 2) -> None:
        super().__init__()
        self.conv = nn.Conv2d({channels}, {channels}, 1)

    def forward(self, x):
        return self.conv(x)
"""


@pytest.mark.parametrize(
    ("name", "facts", "more", "rule", "said"),
    [
        (
            "asks_width",
            "channels: int, out_channels: int",
            "",
            {"after": "branch"},
            "takes `out_channels`, which only what stands in",
        ),
        (
            "asks_kernel",
            "channels: int, kernel_size: int",
            "",
            {"replace": "layer1.0.conv1"},
            "takes `kernel_size`, which only what",
        ),
        (
            "asks_nothing",
            "in_channels: int",
            ', replaces="conv"',
            {"replace": "layer2.0.conv1"},
            "ask for its `out_channels`, `stride`",
        ),
        ("asks_little", "in_channels: int", ', replaces="conv"', {"replace": "layer2.0.conv2"}, None),
    ],
)
def test_what_a_plugin_does_not_ask_for_is_said_of_the_plugin(plugin, name, facts, more, rule, said):
    channels = facts.partition(":")[0]
    file = plugin(TAKES.format(name=name, facts=facts, more=more, channels=channels))
    registry.load_plugin(file)
    spec = {"backbone": "resnet18", "attention": [{"use": name, **rule}]}
    if said is None:
        composer.graph(spec)
        return
    with pytest.raises(composer.GraphError) as caught:
        composer.graph(spec)
    (problem,) = caught.value.diagnostics
    assert said in problem.message
    assert (problem.location.source.name, problem.location.line) == (str(file), 5)
    assert f'@composer.mechanism("{name}"' in str(problem)
    # One that a spec sets is told.
    if "kernel_size" in facts:
        composer.graph({**spec, "attention": [{"use": name, "after": "branch", "with": {"kernel_size": 3}}]})
