"""`composer export`: what it says, what it refuses, and what it leaves behind."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import composer
from composer.exporting import export as exporting
from composer.exporting.format import FORMATS
from composer.exporting.lacking import LACKING
from composer.exporting.writers import pt2


def test_a_report_and_a_file(run, spec, tmp_path):
    result = run("export", spec, "--to", "pt2", "-o", tmp_path / "new" / "net.pt2")
    assert result.code == 0
    assert "varies      batch, height and width" in result.out
    assert f"wrote {tmp_path / 'new' / 'net.pt2'}" in result.err
    found = torch.export.load(tmp_path / "new" / "net.pt2").module()(torch.zeros(4, 3, 30, 50))
    assert found.shape == (4, 4)


def test_json_and_the_name_by_default(run, spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("export", spec, "--to", "torchscript", "--static", "--batch", "3", "--format", "json")
    assert (result.json["files"], result.json["varying"]) == (["small.torchscript"], "nothing")
    assert result.json["inputs"] == {"input": "3×3×24×24"}
    module = torch.jit.load("small.torchscript")
    with pytest.raises(Exception, match="axis 2 of the input has to be 24"):
        module(torch.zeros(3, 3, 25, 24))


def test_a_node_that_fixes_the_size_is_named_with_its_line_before_weights_exist(run, tmp_path):
    path = tmp_path / "vit.yaml"
    path.write_text(
        "name: fixed\ninput: [3, 16, 16]\nnodes:\n  conv: {op: conv2d, out_channels: 8, kernel_size: 1}\n"
        "  pool: global_avg_pool\nattention:\n  - {use: ge, after: conv, with: {extent: 0}}\n"
    )
    result = run("export", path, "--to", "pt2", "-o", tmp_path / "net.pt2", "--weights", tmp_path / "gone.pt")
    assert result.code == 1
    named, _, weights = result.err.partition("gone.pt")
    assert "warning: `conv_ge` (ge) takes no other size" in named
    assert f"{path}:7:" in named
    assert weights
    assert sorted(one.name for one in tmp_path.iterdir()) == ["vit.yaml"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--to", "onix"], 2, "is not one of"),
        (["--to", "pt2", "-o", "net.onnx"], 1, "a name that ends in .pt2"),
        (["--to", "pt2", "-o", "-"], 1, "a name that ends in .pt2"),
        (["--to", "pt2", "-o", "there.pt2"], 1, "choose another name, or replace it with --force"),
        (["--to", "openvino", "-o", "there.xml"], 1, "`there.bin` exists"),
        (["--to", "coreml", "-o", "there.mlpackage"], 1, "`there.mlpackage` exists"),
        (["--to", "torchscript", "--int8", "--image", "one.png"], 1, "`torchscript` has no quantizer here"),
        (["--to", "safetensors", "--fold-bn"], 1, "leave out `--fold-bn`"),
        (["--to", "pt2", "--int8"], 2, "--int8 and --image PATH go together"),
        (["--to", "pt2", "--image", "one.png"], 2, "--int8 and --image PATH go together"),
        (["--to", "pt2", "--int8", "--image", "gone.png"], 1, "there is no image `gone.png`"),
        (["--to", "pt2", "--int8", "--image", "one.png"], 1, "2 or more"),
        (["--to", "pt2", "--batch", "0"], 2, "--batch"),
    ],
)
def test_refusals(run, spec, tmp_path, monkeypatch, words, code, said):
    monkeypatch.chdir(tmp_path)
    for name in ("there.pt2", "there.bin"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "there.mlpackage").mkdir()
    Image.fromarray(np.zeros((24, 24, 3), np.uint8)).save("one.png")
    before = sorted(one.name for one in tmp_path.iterdir())
    result = run("export", spec, *words)
    assert (result.code, result.out) == (code, "")
    assert said in result.err
    assert "Traceback" not in result.err
    assert sorted(one.name for one in tmp_path.iterdir()) == before
    assert (tmp_path / "there.pt2").read_text() == "mine"


def test_a_missing_package_is_named_with_its_extra(run, spec, monkeypatch):
    monkeypatch.setattr("composer.exporting.format._is_there", lambda module: False)
    for name, format in FORMATS.items():
        if format.packages:
            result = run("export", spec, "--to", name)
            assert result.code == 3
            assert f"pip install 'attention-composer[{format.extra}]'" in result.err


@pytest.mark.parametrize("stops", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_fails_leaves_no_file(spec, tmp_path, monkeypatch, stops):
    def write(job):
        job.file.write_text("half")
        raise stops("no")

    monkeypatch.setattr(pt2, "write", write)
    with pytest.raises(KeyboardInterrupt if stops is KeyboardInterrupt else composer.InputError):
        composer.export(spec, "pt2", tmp_path / "net.pt2")
    assert [one.name for one in tmp_path.iterdir()] == ["small.yaml"]


def test_a_file_that_computes_something_else_is_not_written(spec, tmp_path, monkeypatch):
    load = pt2.load
    monkeypatch.setattr(pt2, "load", lambda job: lambda tensors: [one + 0.1 for one in load(job)(tensors)])
    with pytest.raises(composer.InputError, match=r"computes something else: on [12]×3×24×24 an output differs"):
        composer.export(spec, "pt2", tmp_path / "net.pt2")
    assert [one.name for one in tmp_path.iterdir()] == ["small.yaml"]


def test_a_node_that_calls_what_a_format_lacks_is_refused_by_its_line(spec, tmp_path, monkeypatch):
    monkeypatch.setitem(LACKING, "pt2", {"sigmoid": "of which it has no kernel"})
    with pytest.raises(composer.InputError) as caught:
        composer.export(spec, "pt2", tmp_path / "net.pt2")
    text = str(caught.value)
    assert "`pt2` cannot take `cbam" in text
    assert "it calls `sigmoid`, of which it has no kernel" in text
    assert re.search(r"small\.yaml:13:\d+", text)


class Reshapes(nn.Module):
    """Takes batches of two alone."""

    def forward(self, x):
        return x.reshape(2, -1, x.shape[2], x.shape[3]) * 2


class Decides(nn.Module):
    """Looks at values."""

    def forward(self, x):
        return x if x.mean() > 0 else -x


def test_modules_of_ones_own(tmp_path):
    report = composer.export(Reshapes(), "pt2", example=torch.zeros(2, 3, 8, 8), batch=2)
    assert report.varying == "height and width"
    assert "cannot be recorded for every batch" in report.fixed[0]
    with pytest.raises(composer.InputError, match=r"torch\.export cannot record `Decides`"):
        composer.export(Decides(), "pt2", example=torch.zeros(2, 3))
    with pytest.raises(composer.InputError, match="nothing says what `Linear` is called with"):
        composer.export(nn.Linear(2, 2), "pt2")
    with pytest.raises(composer.InputError, match="`forward` of `Linear` cannot be called with the example"):
        composer.export(nn.Linear(2, 2), "pt2", example=(torch.zeros(2, 2), 1))


@torch.no_grad()
def test_eight_bits_and_their_accuracy(model, tmp_path):
    images = torch.randn(8, 3, 24, 24, generator=torch.Generator().manual_seed(7))
    report = composer.export(model, "pt2", tmp_path / "net.pt2", int8=True, images=images)
    assert (report.accuracy.calibrated, report.accuracy.held_back) == (6, 2)
    assert report.quantizer.startswith("torchao PT2E")
    program = torch.export.load(tmp_path / "net.pt2")
    held = images[1::4]
    found, expected = program.module()(held), model(held)
    assert report.accuracy.difference == pytest.approx((found - expected).abs().max().item(), rel=1e-3)
    assert 0 < report.accuracy.difference < 0.1 * expected.abs().max()
    assert any(one.dtype == torch.int8 for one in program.state_dict.values())
    assert not any(one.dtype == torch.float32 and one.ndim == 4 for one in program.state_dict.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openvino", "coreml"])
def test_eight_bits_of_other_engines_take_less_space(tmp_path, name):
    model = composer.build("resnet10", img_size=32).eval()
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(7))
    path = tmp_path / f"net{FORMATS[name].ending}"
    report = composer.export(model, name, path, int8=True, images=images)
    plain = composer.export(model, name, path, force=True)
    assert report.accuracy.correlation > 0.99
    assert report.size < 0.5 * plain.size


def test_photographs_are_prepared_as_the_spec_says(run, spec, tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    words = ["--to", "pt2", "--int8", "--image", folder, "-o", tmp_path / "net.pt2", "--format", "json"]
    result = run("export", spec, *words)
    assert result.code == 0, result.err
    assert result.json["accuracy"]["calibrated"] == 3


def test_every_format_has_a_writer():
    import importlib

    for format in FORMATS.values():
        writer = importlib.import_module(format.writer)
        assert callable(writer.write)
        assert callable(writer.load)
    assert exporting.HELD_BACK == 4
