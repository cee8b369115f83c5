"""Plugins in YAML: blocks of a file that specs share, as mechanisms with docs, checks, locks and pickles."""

from __future__ import annotations

import importlib.metadata
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from page.conftest import data_in
from torch import Tensor, nn

import composer
from composer import contract, registry
from composer.artefacts import lock
from composer.contract.block import as_mechanism
from composer.schema import schema

LKA = Path(__file__).parent.parent / "examples" / "large_kernel.yaml"


class PlainLKA(nn.Module):
    """As in the authors' code (Visual-Attention-Network/VAN-Classification)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.conv_spatial = nn.Conv2d(dim, dim, 7, stride=1, padding=9, groups=dim, dilation=3)
        self.conv1 = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        u = x.clone()
        attn = self.conv0(x)
        attn = self.conv_spatial(attn)
        attn = self.conv1(attn)
        return u * attn


def spec(**rule: Any) -> dict[str, Any]:
    rule = rule or {"use": "large_kernel", "after": "branch", "where": "stage == 4"}
    return {"backbone": "resnet50", "vars": {"stride_in_1x1": False}, "attention": [rule]}


def test_lka_in_resnet50_is_the_plain_network_forward_and_gradients():
    registry.load_plugin(LKA)
    model = composer.build(spec()).train()
    plain: Any = timm.create_model("resnet50", zero_init_last=False)
    for block in plain.layer4:
        block.bn3 = nn.Sequential(block.bn3, PlainLKA(2048))

    def renamed(name: str) -> str:
        return (
            name.replace(".bn3.0.", ".bn3.").replace(".bn3.1.", ".large_kernel.") if name.startswith("layer4") else name
        )

    model.load_state_dict({renamed(name): value for name, value in plain.state_dict().items()}, strict=True)
    one, other = (torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_() for _ in "12")
    found, expected = model(one), plain.train()(other)
    assert torch.equal(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    assert torch.equal(one.grad, other.grad)
    gradients = {renamed(name): parameter.grad for name, parameter in plain.named_parameters()}
    assert all(torch.equal(parameter.grad, gradients[name]) for name, parameter in model.named_parameters())
    assert model.layer4[0].large_kernel.conv0.weight.shape == (2048, 1, 5, 5)


def test_it_is_shown_listed_and_checked_like_a_mechanism(run):
    shown = run("show", "large_kernel", "--plugin", LKA, "--at", 64, 14, 14)
    assert shown.code == 0, shown.err
    for part in ("y = x * W1 W7 W5 x", "filled in from the place: channels", "9,024 parameters"):
        assert part in shown.out
    assert "- {use: large_kernel, after: branch}" in shown.out
    listed = run("list", "mechanisms", "large_kernel", "--plugin", LKA, "--format", "json")
    assert json.loads(listed.out)[0]["kind"] == "channel+spatial"
    subject = contract.Subject(as_mechanism(registry.get_block("large_kernel")), channels=8)
    quick = [name for name in contract.checks_of(subject.entry) if name != "ONNX" and not name.startswith("torch")]
    found = {name: contract.verdict(subject, name, contract.CHECKS[name]) for name in quick}
    assert {name: one for name, one in found.items() if one.status != "ok"} == {}


def test_the_schema_knows_its_name_and_arguments():
    registry.load_plugin(LKA)
    whole = schema()
    assert "large_kernel" in json.dumps(whole["definitions"]["usable"])
    by_use = {json.dumps(one["if"]): one["then"] for one in whole["definitions"]["Rule"]["allOf"]}
    (found,) = [then for condition, then in by_use.items() if '"const": "large_kernel"' in condition]
    assert "channels" in json.dumps(found)


def test_its_attention_is_recorded_also_where_it_is_an_op():
    registry.load_plugin(LKA)
    nodes = {
        "conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3},
        "gate": "large_kernel",
        "again": {"op": "large_kernel"},
    }
    model = composer.build({"input": [3, 16, 16], "nodes": nodes})
    assert "gate.conv0.weight" in model.state_dict()
    x = torch.randn(2, 3, 16, 16)
    with composer.record(model) as values:
        y = model(x)
    assert list(values) == ["gate", "again"]
    inside = composer.features(model, {"map": "again.conv1", "before": "gate"})(x)
    assert torch.equal(values["again"], inside["map"])
    assert torch.equal(y, inside["before"] * inside["map"])
    by_block = {
        **nodes,
        "again": {"block": "large_kernel", "args": {"channels": 8}},
        "end": {"op": "relu", "from": "again.output"},
    }
    assert composer.compose({"input": [3, 16, 16], "nodes": by_block}).num_parameters == model.graph.num_parameters


SQUARE = """\
vars: {power: 2}
blocks:
  square:
    kind: channel
    nodes:
      first: {block: gate}
      second: {block: gate, args: {scale: "${power}"}}
  gate:
    args: {scale: 1}
    nodes:
      scaled: {op: scale, factor: $scale}
      sigmoid: sigmoid
"""


def test_a_file_is_a_namespace_of_its_own(tmp_path):
    (tmp_path / "square.yaml").write_text(SQUARE)
    registry.load_plugin(tmp_path / "square.yaml")
    mine = {"nodes": {"act": "relu"}}
    written = {
        **{"input": [3, 8, 8], "vars": {"power": 7}, "blocks": {"gate": mine}},
        "nodes": {"mine": {"block": "gate"}, "square": {"op": "square"}},
    }
    model = composer.build(written)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(model(x), (2 * x.relu().sigmoid()).sigmoid())
    assert [entry.name for entry in registry.entries("mechanism", "square")] == ["square"]
    assert registry.get("gate").category == "layer"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("blocks:\n  gate: {nodes: {a: {op: scale, factor: $fctor}}}\n", 2, "unknown name `fctor`"),
        ("blocks:\n  gate:\n    nodes: {a: {blok: relu}}\n", 3, "neither `op` nor `block`"),
        ("blocks:\n  gate: {nodes: {a: relu}}\nbackbone: resnet18\n", 3, "a plugin has blocks and no `backbone`"),
        ("blocks:\n  Gate: {nodes: {a: relu}}\n", 2, "`Gate` cannot name what a plugin registers"),
        ("blocks:\n  se: {nodes: {a: relu}}\n", 2, "cannot register `se`: the name is taken by"),
        ("blocks:\n  gate: {args: {repeat: 1}, nodes: {a: relu}}\n", 2, "is a word of the spec language"),
        ("name: nothing\n", 1, "a plugin without `blocks` brings nothing"),
        ("blocks: [\n", 1, ""),
    ],
)
def test_mistakes_of_the_file_are_at_its_lines_and_nothing_is_registered(tmp_path, text, line, said):
    path = tmp_path / "plugin.yaml"
    path.write_text(text)
    before = dict(registry._state.entries)
    with pytest.raises(composer.PluginError) as caught:
        registry.load_plugin(path)
    problem = caught.value.diagnostics[0]
    assert said in problem.message
    assert (problem.location.source.name, problem.location.line) == (str(path), line)
    assert registry._state.entries == before


def test_a_mistake_that_a_place_shows_is_at_the_line_of_the_file(tmp_path):
    path = tmp_path / "halved.yaml"
    conv = "{op: conv2d, out_channels: 8, kernel_size: 1, groups: 5}"
    path.write_text(f"blocks:\n  halved:\n    nodes:\n      conv: {conv}\n")
    registry.load_plugin(path)
    with pytest.raises(composer.GraphError) as caught:
        composer.compose(spec(use="halved", after="branch"))
    problem = caught.value.diagnostics[0]
    assert (problem.location.source.name, problem.location.line) == (str(path), 4)
    assert "rule 1 uses `halved`" in problem.help[-1]
    with pytest.raises(composer.GraphError) as caught:
        composer.compose(spec(use="halvd", after="branch"))
    assert "did you mean `halved`" in str(caught.value)


def test_a_block_of_the_same_file_comes_before_what_is_registered():
    registry.load_plugin(LKA)
    blocks = {"large_kernel": {"nodes": {"act": "relu"}}, "se": {"nodes": {"act": "sigmoid"}}}
    rules = {"attention": [{"use": name, "after": "branch"} for name in blocks]}
    found = composer.compose({**spec(use="large_kernel", after="branch"), **rules, "blocks": blocks})
    assert [rule.parameters for rule in found.added] == [0, 0]


def test_the_lock_names_the_file_and_a_pickle_the_plugin_that_is_missing(tmp_path):
    registry.load_plugin(LKA)
    model = composer.build(spec(use="large_kernel", after="layer4.2.conv2", name="gate"))
    record = lock(model.graph, 0)["lock"]["plugins"]
    assert record == {str(LKA): {"version": "", "sha256": registry.get("large_kernel").plugin.sha256}}
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps(model))
    code = f"""
import pickle, torch
model = pickle.loads(open({str(path)!r}, "rb").read()).eval()
print(tuple(model(torch.zeros(1, 3, 64, 64)).shape))
try:
    model.graph
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("(1, 1000)\nPluginError")
    assert f"it comes from `{LKA}`" in done.stdout


def test_an_entry_point_names_the_path_of_the_file(monkeypatch, tmp_path):
    (tmp_path / "lka_blocks.py").write_text(f"from pathlib import Path\nBLOCKS = Path({str(LKA)!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    point = importlib.metadata.EntryPoint("large_kernels", "lka_blocks:BLOCKS", registry.ENTRY_POINTS)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    monkeypatch.setattr(registry._state, "discovered", False)
    entry = registry.get("large_kernel")
    assert entry.plugin.name == "large_kernels"
    assert registry.failures() == ()
    assert len(entry.plugin.sha256) == 64


def test_a_lock_without_its_plugin_says_which_is_missing(tmp_path, run):
    (tmp_path / "net.yaml").write_text("backbone: resnet18\nattention:\n  - {use: large_kernel, after: branch}\n")
    built = run("build", tmp_path / "net.yaml", "--plugin", LKA, "-o", tmp_path / "out")
    assert built.code == 0, built.err
    registry._state.entries.pop("large_kernel")
    registry._state.plugins.pop(str(LKA))
    lost = run("summary", tmp_path / "out" / "resnet18.lock.yaml")
    assert f"`--plugin {LKA}`" in lost.err.replace("\n", " ")


def test_pages_have_its_description_and_its_line(run, tmp_path):
    (tmp_path / "net.yaml").write_text("backbone: resnet18\nattention:\n  - {use: large_kernel, after: branch}\n")
    drawn = run("graph", tmp_path / "net.yaml", "--plugin", LKA, "-o", tmp_path / "net.html")
    assert drawn.code == 0, drawn.err
    data = data_in((tmp_path / "net.html").read_text(encoding="utf-8"))
    assert "sees 21×21 positions" in json.dumps(data, ensure_ascii=False)
    svg = run("graph", tmp_path / "net.yaml", "--plugin", LKA, "-o", tmp_path / "net.svg", "--select", "layer4.1")
    assert svg.code == 0, svg.err
    assert "layer4.1.large_kernel.conv_spatial" in (tmp_path / "net.svg").read_text(encoding="utf-8")


def test_a_mistake_in_a_block_is_told_once_by_check_at_its_line_and_how_to_mend_it(run, tmp_path):
    file = tmp_path / "mine.yaml"
    nodes = "{pool: global_avg_pool, gate: sigmoid, out: {op: mul, from: [input, gate], broadcast: true}}"
    file.write_text(f"blocks:\n  gate_of_mine:\n    kind: channel\n    nodes: {nodes}\n")
    found = run("check", file)
    assert (found.code, found.out) == (1, "")
    assert found.err.count("cannot broadcast") == 1
    assert "mine.yaml:4:" in found.err
    assert "`pool` drops the axes that it pools: write `keepdim: true` there" in found.err


def test_an_unknown_mechanism_names_what_loads_a_plugin():
    with pytest.raises(composer.GraphError) as caught:
        composer.graph({"backbone": "resnet18", "attention": [{"use": "gate_of_yours", "after": "branch"}]})
    help = " ".join(caught.value.diagnostics[0].help)
    assert "--plugin FILE" in help
    assert "composer.load_plugin(FILE)" in help
