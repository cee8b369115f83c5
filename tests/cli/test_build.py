"""`composer build`: totals, artefacts that build the same network, and nothing half-written."""

from __future__ import annotations

import json
import os
import signal
from hashlib import sha256

import pytest
import torch
from safetensors.torch import load_file

import composer


def test_prints_what_was_composed(run, small):
    result = run("build", small)
    assert result.code == 0
    assert result.out.splitlines()[:3] == [
        "small: b×3×32×32 -> output b×4",
        "parameters  310  (+42, +15.67 %, by attention)",
        "MACs        55,360  (+32, +0.06 %, by attention)",
    ]
    assert result.out.splitlines()[-1].split() == ["se", "after", "branch", "1", "+42", "+32"]


def test_json_says_the_same(run, small):
    found = run("build", small, "--format", "json").json
    assert found["parameters"] == 310
    assert found["without_attention"]["parameters"] == 268
    assert found["rules"] == [
        {"use": "se", "at": "after branch", "places": 1, "paths": ["se"], "parameters": 42, "macs": 32}
    ]


def test_artefacts_build_the_same_network(run, small, tmp_path):
    folder = tmp_path / "new" / "out"
    result = run("build", small, "-o", folder, "--seed", 3, "--set", "vars.width=16")
    assert result.code == 0
    assert sorted(os.listdir(folder)) == ["small.graph.json", "small.lock.yaml", "small.safetensors"]
    model = composer.build(folder / "small.lock.yaml", seed=3)
    weights = load_file(folder / "small.safetensors")
    assert set(weights) == set(model.state_dict())
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    graph = json.loads((folder / "small.graph.json").read_text())
    assert graph["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert {"from": "bn", "to": "se", "index": [0]} in graph["edges"]
    lock = composer.load(folder / "small.lock.yaml").files[0].content.lock
    assert lock["torch"] == torch.__version__
    assert lock["seed"] == 3
    assert len(lock["files"][str(small)]) == 64


@pytest.mark.parametrize("spec", ["papers/sk/resnext50_32x4d", "papers/mhsa/resnet50", "vit_base_patch16_224"])
def test_locks_of_the_zoo_compose_to_the_same_graph(spec, tmp_path):
    from composer.artefacts import lock
    from composer.spec.dump import dump

    graph = composer.graph(spec)
    path = tmp_path / "net.lock.yaml"
    path.write_text(dump(lock(graph, 0)))
    again = composer.graph(path)
    assert [node for node, _ in again.operations] != []
    assert [(n.path, n.op, n.output, n.content.arguments) for n, _ in again.operations] == [
        (n.path, n.op, n.output, n.content.arguments) for n, _ in graph.operations
    ]


def test_nothing_is_overwritten_without_force(run, small, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "small.graph.json").write_text("mine")
    result = run("build", small, "-o", tmp_path / "out")
    assert result.code == 1
    assert "exists" in result.err
    assert "--force" in result.err
    assert os.listdir(tmp_path / "out") == ["small.graph.json"]
    assert (tmp_path / "out" / "small.graph.json").read_text() == "mine"
    assert run("build", small, "-o", tmp_path / "out", "--force", "-q").code == 0
    assert json.loads((tmp_path / "out" / "small.graph.json").read_text())["name"] == "small"


def test_a_failed_write_leaves_nothing(run, small, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("composer.artefacts.save_weights", full)
    result = run("build", small, "-o", tmp_path / "a" / "b")
    assert result.code == 1
    assert "No space left" in result.err
    assert not (tmp_path / "a").exists()


def test_plugin_file_and_its_hash_in_the_lock(run, small, tmp_path):
    plugin = tmp_path / "elsewhere" / "tripled.py"
    plugin.parent.mkdir()
    plugin.write_text(
        '''\
import composer
from torch import nn


@composer.mechanism("tripled_in_test_build", kind="channel")
class Tripled(nn.Module):
    """Three times as much."""

    def __init__(self, *, factor: float = 3.0):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor
'''
    )
    small.write_text(
        small.read_text().replace(
            "use: se, after: branch, with: {reduction: 4}", "use: tripled_in_test_build, after: branch"
        )
    )
    assert "unknown mechanism" in run("build", small).err
    assert run("build", small, "--plugin", plugin, "-o", tmp_path / "out").code == 0
    assert "sha256" in (tmp_path / "out" / "small.lock.yaml").read_text()
    assert "tripled_in_test_build" in run("list", "mechanisms", "--plugin", plugin).out
    assert "Three times as much." in run("show", "tripled_in_test_build", "--plugin", plugin).out
    assert "tripled_in_test_build" in run("schema", "--plugin", plugin).out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["build"], 2, "Missing argument"),
        (["build", "resnet18", "--nope"], 2, "No such option"),
        (["build", "resnet18", "--max-nodes", "0"], 2, "--max-nodes"),
        (["nope"], 2, "No such command"),
        (["build", "resnet5"], 1, "did you mean `resnet50`"),
        (["build", "resnet18", "--set", "vars.num_clases=3"], 1, "did you mean `num_classes`"),
        (["build", "resnet18", "--set", "vars"], 1, "cannot read the setting"),
        (["build", "resnet18", "--device", "tpu"], 3, "unknown device"),
        (["build", "resnet18", "--dtype", "int8"], 1, "float32"),
        (["build", "resnet18", "--max-parameters", "1000"], 1, "--max-parameters"),
        (["build", "resnet18", "--plugin", "nope.py"], 1, "does not exist"),
    ],
)
def test_exit_codes(run, words, code, said):
    result = run(*words)
    assert result.code == code
    assert said in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what the test asks for in vain")
def test_cuda_where_there_is_none(run, small, tmp_path):
    result = run("build", small, "--device", "cuda", "-o", tmp_path / "out")
    assert result.code == 3
    assert "no CUDA device" in result.err
    assert not (tmp_path / "out").exists()


def test_our_own_bugs_are_exit_code_70(run, small, monkeypatch):
    def broken(*arguments):
        raise KeyError("oops")

    # A method: a function would stay broken in modules that are imported now and take it by name.
    monkeypatch.setattr("composer.dag.composition.Composition.of", broken)
    result = run("build", small)
    assert result.code == 70
    assert "this is a bug" in result.err
    assert "Traceback" not in result.err
    assert "Traceback" in run("--debug", "build", small).err


def test_errors_as_json(run, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("backbone: resnet18\nattention:\n  - {use: cbma, after: branch}\n")
    result = run("build", bad, "--format", "json")
    assert result.code == 1
    (error,) = result.json["errors"]
    assert (error["line"], error["column"], error["code"]) == (3, 11, "unknown-mechanism")


def test_a_lock_takes_only_the_weights_that_it_was_written_with(run, small, tmp_path):
    assert run("build", small, "-o", tmp_path / "first").code == 0
    weights = tmp_path / "first" / "small.safetensors"
    assert run("build", small, "--weights", weights, "-o", tmp_path / "second").code == 0
    lock = tmp_path / "second" / "small.lock.yaml"
    assert run("build", lock).code == 0
    assert run("build", small, "--seed", 7, "-o", tmp_path / "third").code == 0
    (tmp_path / "third" / "small.safetensors").replace(tmp_path / "second" / "small.safetensors")
    result = run("build", lock)
    assert result.code == 1
    assert "is not the file that this spec was written with" in result.err
    assert run("build", lock, "--weights", tmp_path / "second" / "small.safetensors").code == 0
    recorded = composer.load(lock).files[0].content.lock["sha256"]
    assert recorded["small.graph.json"] == sha256((tmp_path / "second" / "small.graph.json").read_bytes()).hexdigest()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_weights_are_written_leaves_what_was_there(run, small, tmp_path, monkeypatch, number):
    assert run("build", small, "-o", tmp_path / "out").code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    monkeypatch.setattr("composer.artefacts.save_weights", lambda *_: os.kill(os.getpid(), number))
    for folder in ("out", "new"):
        result = run("build", small, "--seed", 5, "-o", tmp_path / folder, "--force")
        assert result.code == 128 + number
        assert result.err == {signal.SIGTERM: "terminated\n", signal.SIGINT: "interrupted\n"}[number]
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert not (tmp_path / "new").exists()
