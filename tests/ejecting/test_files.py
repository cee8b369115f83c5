"""`composer eject`: files that are whole or not there, their proof, timm's registry, plugins, and what is refused."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import timm
import torch

import composer
from composer import registry
from composer.errors import GraphError, InputError
from tests.ejecting.compared import compare, loaded, network_of
from tests.ejecting.examples import FOLDER, files

SPEC = """\
name: tiny_gated
input: [3, 32, 32]
vars: {num_classes: 5}
nodes:
  stem: {op: conv2d, out_channels: 8, kernel_size: 3}
  act: relu
  gate: {op: se, reduction: 2}
  pool: global_avg_pool
  fc: {op: linear, out_features: $num_classes, site: head}
"""
PLUGIN = '''\
import torch
from torch import Tensor, nn

import composer

SCALE = 0.5


def halved(x: Tensor) -> Tensor:
    return x * SCALE


@composer.mechanism("ejected_{name}", kind="spatial")
class EjectedGate(nn.Module):
    """Rescale each pixel by a gate."""

    def __init__(self, channels: int, *, kernel_size: composer.OddInt = 3, soft: bool = True) -> None:
        super().__init__()
        self.logit = nn.Conv2d(channels, 1, kernel_size, padding=kernel_size // 2)
        self.soft = soft

    def forward(self, x: Tensor) -> Tensor:
        gate = self.logit(x).sigmoid() if self.soft else self.logit(x).clamp(0, 1)
        return {call}
'''


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny_gated.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def test_the_files_among_the_examples_are_up_to_date():
    written = dict(files())
    assert sorted(FOLDER.glob("*.py")) == sorted(written)
    for path, text in written.items():
        assert path.read_text(encoding="utf-8") == text, "python -m tests.ejecting.examples"
    assert len(written[FOLDER / "cbam_resnet50.py"].splitlines()) < 160


def test_a_file_and_its_proof(run, tiny, tmp_path):
    output, proof = tmp_path / "out" / "net.py", tmp_path / "out" / "test_net.py"
    result = run("eject", tiny, "-o", output, "--test", proof, "--set", "vars.num_classes=3")
    assert result.code == 0, result.err
    assert "wrote" in result.err
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(proof)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "2 passed" in done.stdout, done.stdout
    # It can fail: another network is not the same.
    output.write_text(output.read_text().replace(".sigmoid()", ".tanh()").replace("nn.Sigmoid()", "nn.Tanh()"))
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "2 failed" in done.stdout, done.stdout


def test_what_exists_stays(run, tiny, tmp_path):
    output = tmp_path / "net.py"
    output.write_text("mine")
    result = run("eject", tiny, "-o", output)
    assert result.code == 1
    assert "exists" in result.err
    assert output.read_text() == "mine"
    assert run("eject", tiny, "-o", output, "--test", tmp_path / "test_net.py").code == 1
    assert not (tmp_path / "test_net.py").exists()
    assert run("eject", tiny, "-o", output, "--force").code == 0
    assert "class TinyGated" in output.read_text()


def test_stdout_and_usage(run, tiny, tmp_path):
    result = run("eject", tiny)
    assert result.out.startswith('"""tiny_gated, one file, plain PyTorch.')
    assert run("eject", tiny, "--test", tmp_path / "test_net.py").code == 2
    same = tmp_path / "net.py"
    assert run("eject", tiny, "-o", same, "--test", same).code == 2


@pytest.fixture
def timms_registry(monkeypatch):
    """What is registered with timm is gone after the test."""
    registry = timm.models._registry
    for name, value in list(vars(registry).items()):
        if isinstance(value, dict | set) and name.startswith("_") and not name.startswith("__"):
            monkeypatch.setattr(registry, name, copy.deepcopy(value) if name == "_module_to_models" else value.copy())


@pytest.mark.usefixtures("timms_registry")
def test_timm_finds_it(run, tiny, tmp_path):
    output = tmp_path / "tiny_gated.py"
    assert run("eject", tiny, "-o", output, "--to", "timm").code == 0
    module = loaded(output.read_text(), tmp_path, "for_timm")
    model = timm.create_model("tiny_gated", num_classes=7)
    assert isinstance(model, module.TinyGated)
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 7)
    assert timm.data.resolve_data_config(model=model)["input_size"] == (3, 32, 32)
    model.reset_classifier(2)
    assert model.get_classifier().out_features == model.num_classes == 2
    with pytest.raises(ValueError, match="no pretrained weights"):
        timm.create_model("tiny_gated", pretrained=True)
    with pytest.raises(TypeError, match="does not take in_chans"):
        timm.create_model("tiny_gated", in_chans=1)


def test_timm_takes_one_image_and_gives_one_tensor():
    with pytest.raises(InputError, match="take one image and give one tensor"):
        composer.eject({"backbone": "resnet18", "outputs": "levels"}, timm=True)


def test_a_model_of_another_library_is_refused(run, tmp_path):
    with pytest.raises(GraphError, match="its source is that library's"):
        composer.eject("timm:resnet18")
    output = tmp_path / "net.py"
    result = run("eject", "timm:resnet18", "-o", output)
    assert result.code == 1
    assert "composer import MODEL" in result.err
    assert not output.exists()


def test_a_plugin_is_copied(tmp_path):
    path = tmp_path / "gate_plugin.py"
    path.write_text(PLUGIN.replace("{name}", "gate").replace("{call}", "halved(x * gate)"), encoding="utf-8")
    registry.load_plugin(path)
    source = {
        "input": [3, 32, 32],
        "nodes": {"conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3}, "gate": "ejected_gate"},
    }
    model = composer.build(source)
    text = composer.eject(model.graph)
    assert "composer" not in text.partition('"""\n')[2]
    assert "soft" not in text
    compare(model, network_of(loaded(text, tmp_path))())


def test_a_plugin_that_does_not_stand_by_itself_is_refused_by_name(tmp_path):
    path = tmp_path / "odd_plugin.py"
    odd = PLUGIN.replace("{name}", "odd").replace("{call}", "HALVED(x * gate)")
    odd = odd.replace("@composer", "if SCALE:\n    HALVED = halved\n\n\n@composer")
    path.write_text(odd, encoding="utf-8")
    registry.load_plugin(path)
    source = {"input": [3, 32, 32], "nodes": {"gate": "ejected_odd"}}
    with pytest.raises(
        InputError, match=r"`EjectedGate` needs `HALVED`, which `.*odd_plugin.py` does not simply define"
    ):
        composer.eject(source)


def test_hostile_names_stay_text(tmp_path):
    source = {
        "name": 'x"""\nimport os\n',
        "input": [3, 8, 8],
        "nodes": {"x": {"op": "conv2d", "out_channels": 4, "kernel_size": 1}, "torch": "relu", "nn": "sigmoid"},
    }
    model = composer.build(source)
    compare(model, network_of(loaded(composer.eject(model.graph), tmp_path))())


def test_fused_kernels_agree(tmp_path):
    source = {"backbone": "resnet18", "attention": [{"use": "cbam", "after": "branch"}]}
    model = composer.build(source, num_classes=10, img_size=64).eval()
    ejected = network_of(loaded(composer.eject(model.graph), tmp_path))().eval()
    ejected.load_state_dict(model.state_dict())
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ejected(x), model(x), rtol=1e-5, atol=1e-6)
