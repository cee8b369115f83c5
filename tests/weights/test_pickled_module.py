"""Networks that were pickled whole give the tensors of their state_dict, and none of their code runs."""

from __future__ import annotations

import sys
import types
import zipfile
from collections import OrderedDict

import pytest
import torch
from torch import nn

import composer
from composer.weights import read_checkpoint

SPEC = {
    "name": "small",
    "input": [3, 16, 16],
    "blocks": {
        "unit": {
            "site": "block",
            "nodes": {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 3}, "bn": "batch_norm"},
        },
        "model": {"nodes": {"0": {"block": "unit"}, "1": {"block": "unit"}}},
    },
    "nodes": {
        "model": {"block": "model"},
        "pool": "global_avg_pool",
        "fc": {"op": "linear", "out_features": 2, "site": "head"},
    },
}


class Unit(nn.Module):
    """A layer whose code must not run when it is read."""

    def __init__(self, channels):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.register_buffer("table", torch.zeros(3), persistent=False)
        self.register_buffer("absent", None)
        self.register_parameter("bias", None)
        self.act = nn.SiLU()

    def __setstate__(self, state):
        raise SystemExit("code of a class in a file ran")


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.model, self.fc = nn.Sequential(Unit(3), Unit(4)), nn.Linear(4, 2)
        self.names, self.stride = {0: "cat"}, torch.tensor([8.0])


class Record:
    """What a pickle calls a module, with any content."""

    def __init__(self, parameters=(), buffers=(), modules=()):
        self.__dict__.update(_parameters=dict(parameters), _buffers=dict(buffers), _modules=dict(modules))


@pytest.fixture
def network():
    torch.manual_seed(0)
    found = Network()
    for tensor in found.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1)
    return found


def test_a_whole_network_has_the_names_of_its_state_dict(tmp_path, network):
    torch.save(network, tmp_path / "whole.pt")
    found = read_checkpoint(tmp_path / "whole.pt")
    wanted = network.state_dict()
    assert list(found.tensors) == list(wanted)
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in wanted.items())


def test_a_module_under_two_names_gives_its_tensors_twice(tmp_path):
    layer = nn.Linear(2, 2)
    torch.save(nn.ModuleDict({"one": layer, "other": layer}), tmp_path / "w.pt")
    assert list(read_checkpoint(tmp_path / "w.pt").tensors) == ["one.weight", "one.bias", "other.weight", "other.bias"]


def saved(tmp_path, **entries):
    """A checkpoint with what ultralytics' trainer puts beside the network, whose settings are an object of its own."""
    module = types.ModuleType("ultralytics.utils")
    kind = type("IterableSimpleNamespace", (types.SimpleNamespace,), {"__module__": "ultralytics.utils"})
    module.IterableSimpleNamespace = kind
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "ultralytics", types.ModuleType("ultralytics"))
        patch.setitem(sys.modules, "ultralytics.utils", module)
        content = {"epoch": 3, "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(4)}}}, "updates": 7}
        torch.save({**content, **entries, "train_args": kind(lr0=0.01)}, tmp_path / "best.pt")
    return tmp_path / "best.pt"


def test_a_checkpoint_of_ultralytics_fills_the_network(tmp_path, network):
    model = composer.build(SPEC)
    path = saved(tmp_path, model=None, ema=network.half())
    report = composer.load_weights(model, path)
    assert (report.entry, report.missing, report.unexpected) == ("ema", (), ())
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}
    assert torch.equal(model.fc.weight, network.fc.weight.float())


def test_missing_is_what_was_inserted(tmp_path, network):
    model = composer.build({**SPEC, "attention": [{"use": "eca", "after": "block"}]})
    report = composer.load_weights(model, saved(tmp_path, model=network, ema=None))
    assert report.entry == "model"
    assert report.inserted == ("model.0.out_eca.conv.weight", "model.1.out_eca.conv.weight")
    assert len(report.loaded) == len(network.state_dict())


def test_of_two_networks_the_averaged_one_is_taken(tmp_path, network):
    other = Network()
    path = saved(tmp_path, model=other, ema=network)
    model = composer.build(SPEC)
    report = composer.load_weights(model, path)
    assert report.entry == "ema"
    assert "plain weights fit as well: entry `model`; take them with --entry (in Python, entry=…)" in str(report)
    assert torch.equal(model.fc.weight, network.fc.weight)
    assert composer.load_weights(model, path, entry="model").entry == "model"
    assert torch.equal(model.fc.weight, other.fc.weight)


def test_what_is_left_over_is_named(tmp_path, network):
    network.model.append(Unit(4))
    with pytest.raises(composer.WeightsError, match=r"5 tensors that the network has not: `model\.2\.conv\.weight`"):
        composer.load_weights(composer.build(SPEC), saved(tmp_path, model=network))


def test_the_bins_of_a_detector_are_computed(tmp_path):
    spec = {**SPEC, "nodes": {"model": {"block": "model"}}}
    bins = torch.arange(16.0).view(1, 16, 1, 1)
    state = composer.build(spec).state_dict()
    report = composer.load_weights(composer.build(spec), {**state, "model.2.dfl.conv.weight": bins}, require="all")
    assert report.computed == ("model.2.dfl.conv.weight",)
    with pytest.raises(composer.WeightsError, match="1 tensor that the network has not"):
        composer.load_weights(composer.build(spec), {**state, "model.2.dfl.conv.weight": bins + 1})


def itself():
    found = Record()
    found._modules["again"] = found
    return found


def deep():
    found = Record({"weight": torch.zeros(1)})
    for _ in range(150):
        found = Record(modules={"a": found})
    return found


def many():
    """Thirty records, and a billion names."""
    found = Record({"weight": torch.zeros(1)})
    for _ in range(30):
        found = Record(modules={"a": found, "b": found})
    return found


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (itself, "nested deeper than 100 layers"),
        (deep, "nested deeper than 100 layers"),
        (many, "of more than 50,000 layers"),
        (lambda: Record({"weight": 3}), "whose `weight` is of the class `int`"),
        (lambda: Record(buffers={"table": [torch.zeros(1)]}), "whose `table` is of the class `list`"),
        (lambda: Record({3: torch.zeros(1)}), "whose `3` is of the class `int`"),
        (lambda: Record(modules={"a": Record(modules={"b": {}})}), r"whose `a\.b` is of the class `dict`"),
        (lambda: Record(modules={"a": OrderedDict()}), "whose `a` is of the class `OrderedDict`"),
        (lambda: Record(modules={"a": torch.zeros(1)}), "whose `a` is of the class `Tensor`"),
    ],
)
def test_a_record_that_no_network_has(tmp_path, make, said):
    torch.save({"ema": make()}, tmp_path / "w.pt")
    with pytest.raises(composer.WeightsError, match=said):
        read_checkpoint(tmp_path / "w.pt")


@pytest.mark.parametrize("state", [None, 3, {"_modules": {}}, {"_modules": 1, "_buffers": 2, "_parameters": 3}])
def test_an_object_that_is_no_module(tmp_path, state):
    found = Record()
    found.__dict__.clear()
    found.__dict__.update(state if isinstance(state, dict) else {"value": state})
    torch.save({"model": found}, tmp_path / "w.pt")
    with pytest.raises(composer.WeightsError, match=r"a pickled `[\w.]*Record`, an object"):
        read_checkpoint(tmp_path / "w.pt")


def program(tmp_path, code: bytes):
    with zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("w/data.pkl", code)
        archive.writestr("w/version", "3\n")
    return tmp_path / "w.pt"


EMPTY = b"X\x0b\x00\x00\x00_parameters}X\x08\x00\x00\x00_buffers}X\x08\x00\x00\x00_modules}"
RECORD = b"\x80\x02cultralytics.nn.tasks\nDetectionModel\n)\x81}("


@pytest.mark.parametrize(
    ("code", "said"),
    [
        # A module's state that calls, and eval as a class.
        (RECORD + EMPTY + b"X\x01\x00\x00\x00acposix\nsystem\nX\x05\x00\x00\x00false\x85Rub.", "calls `posix.system`"),
        (RECORD + EMPTY + b"X\x01\x00\x00\x00acbuiltins\neval\nX\x01\x00\x00\x001\x85Rub.", "calls `builtins.eval`"),
        (b"\x80\x02cbuiltins\neval\n)\x81}(" + EMPTY + b"ub.", "holds a pickled `builtins.eval`"),
        # A call of a class of ultralytics makes a record, and calls nothing.
        (
            b"\x80\x02cultralytics.utils\nos.system\nX\x05\x00\x00\x00false\x85R.",
            "pickled `ultralytics.utils.os.system`",
        ),
        (b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", "is not a state_dict"),
        (b"\x80\x02]r\xff\xff\xff\xffr\xff\xff\xff\x7f.", "is not a state_dict"),
        (RECORD + EMPTY + b"ub", "is no checkpoint"),
        (RECORD + EMPTY, "is no checkpoint"),
    ],
)
def test_hostile_programs(tmp_path, monkeypatch, code, said):
    monkeypatch.setattr("os.system", lambda command: pytest.fail(f"ran {command}"))
    with pytest.raises(composer.WeightsError, match=said):
        read_checkpoint(program(tmp_path, code))


@pytest.mark.parametrize("share", [0.2, 0.9, 0.999])
def test_a_truncated_file(tmp_path, network, share):
    torch.save({"ema": network}, tmp_path / "w.pt")
    whole = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(composer.WeightsError, match="it is no checkpoint of PyTorch's, or a damaged one"):
        read_checkpoint(tmp_path / "w.pt")
