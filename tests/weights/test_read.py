"""Files: what training loops wrap weights in, and what is no weights file at all."""

from __future__ import annotations

import io
import pickle
import random
import zipfile

import pytest
import torch
from safetensors.torch import save_file

import composer
from composer.weights import read_checkpoint
from composer.weights.unwrap import unwrap


def tensors(value: float = 0.0) -> dict[str, torch.Tensor]:
    return {"conv.weight": torch.full((2, 3), value), "bn.bias": torch.full((2,), value)}


def prefixed(prefix: str, value: float = 0.0) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors(value).items()}


def saved(tmp_path, content):
    path = tmp_path / "w.pt"
    torch.save(content, path)
    return path


BESIDE = {"epoch": 3, "acc1": 76.5, "arch": "resnet18", "args": {"lr": 0.1}, "optimizer": {"state": {}, "step": [1]}}


@pytest.mark.parametrize("entry", ["state_dict", "model", "model_state_dict", "net", "model_ema", "state_dict_ema"])
def test_wrapped(tmp_path, entry):
    found = read_checkpoint(saved(tmp_path, {**BESIDE, entry: tensors()}))
    assert (found.entry, found.prefix) == (entry, "")
    assert list(found.tensors) == list(tensors())


@pytest.mark.parametrize("averaged", ["model_ema", "state_dict_ema"])
@pytest.mark.parametrize("plain", ["state_dict", "model", "model_state_dict", "net"])
def test_plain_weights_unless_averaged_ones_are_asked_for(tmp_path, plain, averaged):
    path = saved(tmp_path, {averaged: tensors(2.0), plain: tensors(1.0), **BESIDE})
    assert read_checkpoint(path).entry == plain
    assert read_checkpoint(path).tensors["bn.bias"][0] == 1
    assert read_checkpoint(path, ema=True).entry == averaged
    assert read_checkpoint(path, ema=True).tensors["bn.bias"][0] == 2


def test_averaged_weights_that_are_not_there(tmp_path):
    for content in (tensors(), {"model": tensors()}):
        with pytest.raises(composer.WeightsError, match="holds no averaged weights"):
            read_checkpoint(saved(tmp_path, content), ema=True)
    save_file(tensors(), tmp_path / "w.safetensors")
    with pytest.raises(composer.WeightsError, match="load it without ema"):
        read_checkpoint(tmp_path / "w.safetensors", ema=True)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "_orig_mod.module.model."])
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_prefixes_of_wrappers(tmp_path, prefix, ending):
    path = tmp_path / f"w.{ending}"
    (save_file if ending == "safetensors" else torch.save)(prefixed(prefix), path)
    found = read_checkpoint(path)
    assert found.prefix == prefix
    assert set(found.tensors) == set(tensors())


def test_a_prefix_of_some_names_is_none():
    assert unwrap({**prefixed("module."), "conv.bias": torch.zeros(1)}, "it").prefix == ""


def test_what_torchs_own_averaging_saves(tmp_path):
    averaged = torch.optim.swa_utils.AveragedModel(torch.nn.Linear(2, 2))
    found = read_checkpoint(saved(tmp_path, {"model_ema": averaged.state_dict()}))
    assert list(found.tensors) == ["weight", "bias"]


def test_plain_values_beside_tensors_and_wrappers_in_wrappers():
    assert set(unwrap({**tensors(), "epoch": 3, "name": "x"}, "it").tensors) == set(tensors())
    nested = {"model": {"state_dict": prefixed("module."), "epoch": 1}, "best": torch.tensor(0.7)}
    assert unwrap(nested, "it").entry == "model.state_dict"
    both = {"model": {"state_dict": tensors(1.0), "state_dict_ema": tensors(2.0)}}
    assert unwrap(both, "it", ema=True).entry == "model.state_dict_ema"


def test_a_file_that_holds_itself(tmp_path):
    endless: dict = {}
    endless["model"] = endless
    with pytest.raises(composer.WeightsError, match="is not a state_dict"):
        read_checkpoint(saved(tmp_path, endless))


def test_the_report_says_what_was_taken(plain, tmp_path):
    wrapped = {f"module.{name}": tensor for name, tensor in plain.state_dict().items()}
    path = saved(tmp_path, {"state_dict_ema": wrapped, "epoch": 3})
    report = composer.load_weights(composer.build(plain.spec), path)
    said = f"loaded 122 tensors from `{path}`, entry `state_dict_ema`, without the prefix `module.`"
    assert str(report).splitlines()[0] == said


def test_what_a_training_loop_saved_without_a_file(plain):
    loop = {"model": plain.state_dict(), "model_ema": {"fc.bias": torch.zeros(5)}, "epoch": 3}
    model = composer.build(plain.spec)
    assert composer.load_weights(model, loop).entry == "model"
    assert composer.load_weights(model, loop, ema=True, require="any").loaded == ("fc.bias",)


def test_a_network_whose_own_names_look_wrapped(tmp_path):
    nodes = {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 1}, "bn": "batch_norm"}
    spec = {"input": [3, 8, 8], "blocks": {"body": {"nodes": nodes}}, "nodes": {"model": {"block": "body"}}}
    model = composer.build(spec)
    assert all(name.startswith("model.") for name in model.state_dict())
    path = saved(tmp_path, model.state_dict())
    assert len(composer.load_weights(composer.build(spec, seed=1), path, require="all").loaded) == 6


class _Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('code from a weights file ran')",)


def pickled(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("w.pt", lambda: pickle.dumps({"a": _Evil()}), "calls `builtins.exec`"),
        (
            "w.ckpt",
            lambda: pickled({"state_dict": tensors(), "callback": _Evil()}),
            "calls `builtins.exec`",
        ),
        ("w.pt", lambda: pickled(torch.nn.Linear(2, 2)), "have nothing that fits"),
        ("w.pt", lambda: b"garbage", "w.pt"),
        ("w.pt", lambda: b"", "cannot read the weights"),
        ("w.pt", lambda: b"e\x00garbage" * 10, "it is no checkpoint of PyTorch's, or a damaged one"),
        ("w.pt", lambda: b"garbage", "it is no checkpoint of PyTorch's, or a damaged one"),
        ("w.tar", lambda: pickled(tensors())[:-300], "cannot read the weights"),
        ("w.pt", lambda: pickled([1, 2]), "is not a state_dict"),
        ("w.pt", lambda: pickled(torch.zeros(3)), "is not a state_dict"),
        ("w.pt", lambda: pickled({}), "it is empty"),
        ("w.pt", lambda: pickled({"encoder": [tensors()], "decoder": {}}), "its entries are `encoder`, `decoder`"),
        ("w.pt", lambda: pickled({0: torch.zeros(1)}), "are no strings"),
        ("w.safetensors", lambda: b"garbage that is long enough", "cannot read the weights"),
        ("w.safetensors", lambda: b"", "cannot read the weights"),
        ("w.h5", lambda: b"x", "a name that ends in .safetensors, .pt, .pth, .bin, .ckpt or .tar"),
        ("w.pt", None, "there is no weights file"),
    ],
)
def test_unreadable_files(plain, refused, tmp_path, name, content, said):
    path = tmp_path / name
    if content:
        path.write_bytes(content())
    assert said in refused(composer.build(plain.spec), path)


def test_other_things_than_files(plain, refused, tmp_path):
    assert "is a folder" in refused(composer.build(plain.spec), tmp_path)
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("hello.txt", "world")
    assert "cannot read the weights" in refused(composer.build(plain.spec), tmp_path / "w.pt")
    save_file(tensors(), tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:-4])
    assert "cannot read the weights" in refused(composer.build(plain.spec), tmp_path / "w.safetensors")
    save_file({}, tmp_path / "w.safetensors")
    assert "holds no tensors" in refused(composer.build(plain.spec), tmp_path / "w.safetensors")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_a_program_instead_of_weights(plain, refused, tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "w.pt")
    assert "state_dict() instead" in refused(composer.build(plain.spec), tmp_path / "w.pt")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_any_bytes_are_weights_or_a_diagnostic(tmp_path, legacy):
    buffer = io.BytesIO()
    torch.save(tensors(), buffer, _use_new_zipfile_serialization=not legacy)
    good, path, draw = buffer.getvalue(), tmp_path / "w.pt", random.Random(0)
    outcomes = set()
    for _ in range(150):
        data = bytearray(good)
        for _ in range(draw.choice((1, 2, 8))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data[: draw.choice((len(data), draw.randrange(len(data))))])
        try:
            read_checkpoint(path)
        except composer.WeightsError:
            outcomes.add("refused")
        else:
            outcomes.add("read")
    assert outcomes == {"refused", "read"}
