"""Code of plugins that exits, raises anything, prints or makes odd parameters: each is told, and by its file."""

from __future__ import annotations

import importlib.metadata
import sys
import textwrap

import pytest
import torch
from PIL import Image

import composer
from composer import registry

GATE = '''\
"""A plugin."""
import sys
import composer
import torch
from torch import nn


class Mute(BaseException):
    def __str__(self):
        raise RuntimeError("no words")


{top}
@composer.mechanism("test_gate", kind="channel")
class Gate(nn.Module):
    """A gate."""

    def __init__(self, channels: int):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
        return x
'''
TIED = "self.a = nn.Conv2d(channels, channels, 1); self.b = nn.Conv2d(channels, channels, 1); "


@pytest.fixture
def plugin(tmp_path):
    def write(top="", init="pass", forward="pass"):
        path = tmp_path / "gate_plugin.py"
        path.write_text(GATE.format(top=top, init=init, forward=forward))
        return path

    return write


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "network.yaml"
    text = """\
        name: network
        input: [3, 8, 8]
        nodes: {stem: {op: conv2d, out_channels: 4, kernel_size: 1}, pool: global_avg_pool}
        attention: [{use: test_gate, after: stem}]
        """
    path.write_text(textwrap.dedent(text))
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    return path


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"top": "sys.exit(0)"}, "failed to import: SystemExit: 0"),
        ({"top": "raise Mute()"}, "failed to import: Mute"),
        ({"init": "sys.exit(0)"}, "`test_gate` of plugin `{}` does not fit b×4×8×8: SystemExit: 0"),
        ({"forward": "sys.exit(0)"}, "`test_gate` of plugin `{}` does not fit b×4×8×8: SystemExit: 0"),
        ({"forward": "raise BaseException('odd')"}, "b×4×8×8: BaseException: odd"),
        ({"forward": "raise Mute()"}, "b×4×8×8: Mute"),
        ({"init": "self.a = nn.LazyLinear(3)"}, "parameters without a shape"),
    ],
)
def test_what_fails_at_once(run, plugin, network, wrong, said):
    path = plugin(**wrong)
    found = run("validate", network, "--plugin", path)
    assert found.code == 1, found.err
    assert said.format(path) in found.err
    assert str(path) in found.err


@pytest.mark.parametrize("wrong", ["sys.exit(0)", "raise KeyError('real')", "raise Mute()"])
def test_a_forward_that_fails_on_real_data_alone(run, plugin, network, wrong):
    path = plugin(forward=f"if not x.is_meta: {wrong}")
    assert run("validate", network, "--plugin", path).code == 0
    found = run("run", network, "--image", network.with_name("x.png"), "--plugin", path)
    assert found.code == 1, found.err
    assert f"`test_gate` of plugin `{path}` failed: " in found.err
    assert f"{path}:{1 + path.read_text().splitlines().index(f'        if not x.is_meta: {wrong}')}" in found.err


def test_parameters_on_the_meta_device(plugin, network):
    registry.load_plugin(plugin(init="self.a = nn.Parameter(torch.empty(1, device='meta'))"))
    with pytest.raises(composer.GraphError, match="makes `a` on the meta device") as caught:
        composer.build(network)
    assert caught.value.diagnostics[0].path == "stem_test_gate"
    assert composer.graph(network).num_parameters == 4 * 3 + 1


def test_tied_weights_are_built_written_and_read(run, plugin, network, tmp_path):
    path = plugin(init=TIED + "self.b.weight = self.a.weight", forward="x = self.b(self.a(x))")
    found = run("build", network, "-o", tmp_path / "out", "--plugin", path)
    assert found.code == 0, found.err
    (weights,) = (tmp_path / "out").rglob("*.safetensors")
    first, other = composer.build(network, seed=0), composer.build(network, seed=1)
    assert first.stem_test_gate.a.weight is first.stem_test_gate.b.weight
    composer.load_weights(other, weights, require="all")
    assert all(map(torch.equal, first.state_dict().values(), other.state_dict().values()))
    assert other.stem_test_gate.a.weight is other.stem_test_gate.b.weight


@pytest.mark.parametrize("rule", ["raise KeyError('rule')", "sys.exit(0)", "return 3"])
def test_a_layout_rule_that_fails(run, tmp_path, rule):
    path, spec = tmp_path / "layer_plugin.py", tmp_path / "spec.yaml"
    path.write_text(
        f"import sys\nimport composer\n\ndef rule(inputs):\n    {rule}\n\n"
        '@composer.layer("test_layer", layout=rule)\ndef test_layer(x):\n    """Itself."""\n    return x\n'
    )
    spec.write_text("input: [3, 8, 8]\nnodes: {first: relu, second: test_layer}\n")
    found = run("validate", spec, "--plugin", path)
    assert found.code == 1, found.err
    assert f"the layout rule of `test_layer` of plugin `{path}`" in found.err
    assert "= at: second" in found.err


def test_an_installed_plugin_that_exits_is_told_and_harms_nobody(monkeypatch, tmp_path):
    (tmp_path / "test_exiting.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    point = importlib.metadata.EntryPoint("exiting", "test_exiting", registry.ENTRY_POINTS)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    monkeypatch.setattr(registry._state, "failures", [])
    monkeypatch.setattr(registry._state, "discovered", False)
    assert registry.get("cbam") is not None
    (problem,) = registry.failures()
    assert problem.message == "plugin `exiting` (test_exiting) failed to import: SystemExit: 0"
    assert problem.location.line == 2


def test_what_a_plugin_prints_leaves_data_alone(run, plugin, network):
    path = plugin(top="print('imported')", init="print('made')", forward="print('called')")
    options = ("--plugin", path, "--format", "json")
    found = run("run", network, "--image", network.with_name("x.png"), *options)
    assert found.code == 0, found.err
    assert found.json[0]["input"].endswith("x.png")
    assert {"imported", "made", "called"} <= set(found.err.split())
    out = sys.stdout
    assert run("summary", network, *options).json
    assert sys.stdout is out
