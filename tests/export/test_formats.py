"""Each format's file, run by its engine and without composer, computes what the network computes."""

from __future__ import annotations

import copy

import pytest
import torch
from export.conftest import awake
from torch import nn

import composer
from composer.exporting.format import FORMATS


def available(name):
    try:
        FORMATS[name].require()
    except composer.UnavailableError as error:
        pytest.skip(f"NOT INSTALLED: {error}")


def run(name, file, x):
    """The output of a file, by its engine itself."""
    if name == "pt2":
        return torch.export.load(file).module()(x)
    if name == "torchscript":
        return torch.jit.load(file)(x)
    if name == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(file)
        assert [one.name for one in session.get_inputs()] == ["input"]
        return torch.from_numpy(session.run(["output"], {"input": x.numpy()})[0])
    if name == "openvino":
        import openvino

        return torch.from_numpy(openvino.compile_model(file, "CPU", F32)({"input": x.numpy()})["output"])
    if name == "executorch":
        from executorch.runtime import Runtime

        return Runtime.get().load_program(file).load_method("forward").execute([x])[0]
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(file)).get_signature_runner()
    return torch.from_numpy(next(iter(runner(args_0=x.numpy()).values())))


# On CPUs with units for bfloat16, OpenVINO computes in it.
F32 = {"INFERENCE_PRECISION_HINT": "f32"}
# Converters that take five seconds and more run in the slow sample.
ENGINES = [
    pytest.param(name, marks=pytest.mark.slow if name in ("executorch", "openvino") else ())
    for name in FORMATS
    if name not in ("safetensors", "coreml")
]


@torch.no_grad()
@pytest.mark.parametrize("name", ENGINES)
def test_its_engine_computes_the_same(model, name, tmp_path):
    available(name)
    before = copy.deepcopy(model.state_dict())
    file = tmp_path / f"net{FORMATS[name].ending}"
    report = composer.export(model, name, file)
    assert report.files[0] == file
    assert report.difference < 1e-5
    shapes = [(1, 24, 24)] if name == "litert" else [(1, 24, 24), (5, 24, 24), (2, 40, 30)]
    for b, h, w in shapes:
        x = torch.randn(b, 3, h, w, generator=torch.Generator().manual_seed(b))
        torch.testing.assert_close(run(name, file, x), model(x), rtol=1e-4, atol=1e-5)
    assert report.varying == ("nothing" if name == "litert" else "batch, height and width")
    assert all(torch.equal(before[key], one) for key, one in model.state_dict().items())


@torch.no_grad()
def test_safetensors_hold_the_network(model, tmp_path):
    import safetensors
    import safetensors.torch

    file = tmp_path / "net.safetensors"
    assert composer.export(model, "safetensors", file).difference == 0
    with safetensors.safe_open(file, "pt") as opened:
        (tmp_path / "again.yaml").write_text(opened.metadata()["composer.lock"])
    again = composer.build(tmp_path / "again.yaml", weights="none")
    again.load_state_dict(safetensors.torch.load_file(file))
    x = torch.randn(2, 3, 24, 24)
    assert torch.equal(again.eval()(x), model(x))


def test_core_ml_packages_declare_the_network(model, tmp_path):
    available("coreml")
    report = composer.export(model, "coreml", tmp_path / "net.mlpackage")
    assert (report.runs, report.difference) == ((), None)
    assert "not run" in str(report)
    import coremltools

    found = coremltools.utils.load_spec(str(tmp_path / "net.mlpackage")).description
    assert [(one.name, list(one.type.multiArrayType.shape)) for one in found.input] == [("input", [1, 3, 24, 24])]
    assert [(one.name, list(one.type.multiArrayType.shape)) for one in found.output] == [("output", [1, 4])]


@torch.no_grad()
@pytest.mark.parametrize("name", ["pt2", "onnx", "torchscript"])
def test_norms_are_folded(model, name, tmp_path):
    file = tmp_path / f"net{FORMATS[name].ending}"
    report = composer.export(model, name, file, fold_bn=True)
    assert report.folded == (2, 2)
    assert 0 < report.difference < 1e-5
    x = torch.randn(3, 3, 24, 24)
    torch.testing.assert_close(run(name, file, x), model(x), rtol=1e-4, atol=1e-5)
    if name == "pt2":
        program = torch.export.load(file)
        assert not [node for node in program.graph.nodes if "batch_norm" in str(node.target)]
        assert not [key for key in program.state_dict if "running" in key]


class Norms(nn.Module):
    """Norms that can be folded, and norms that cannot."""

    def __init__(self):
        super().__init__()
        self.plain, self.norm1 = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.up, self.norm2 = nn.ConvTranspose2d(4, 6, 2), nn.BatchNorm2d(6, affine=False)
        self.read_twice, self.norm3 = nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6)
        self.shared, self.norm4 = nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6)
        self.linear, self.norm5 = nn.Linear(6, 5), nn.BatchNorm1d(5)
        self.tokens, self.norm6 = nn.Linear(7, 5), nn.BatchNorm1d(6)

    def forward(self, x):
        y = self.norm2(self.up(self.norm1(self.plain(x)).relu()))
        z = self.read_twice(y)
        y = self.norm3(z) + z
        y = self.norm4(self.shared(self.shared(y)))
        tokens = self.norm6(self.tokens(y.flatten(2)[:, :, :7]))
        return self.norm5(self.linear(y.mean((2, 3)))) + tokens.mean(1)


@torch.no_grad()
def test_only_norms_that_can_be_are_folded(tmp_path):
    model = awake(Norms()).eval()
    report = composer.export(model, "pt2", tmp_path / "net.pt2", example=torch.zeros(2, 3, 9, 9), fold_bn=True)
    assert report.folded == (3, 6)
    x = torch.randn(3, 3, 9, 9)
    torch.testing.assert_close(run("pt2", tmp_path / "net.pt2", x), model(x), rtol=1e-4, atol=1e-5)
