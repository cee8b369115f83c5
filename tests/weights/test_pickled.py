"""What training loops pickle beside tensors is read without its classes, and no file makes code run."""

from __future__ import annotations

import argparse
import collections
import datetime
import enum
import functools
import importlib
import io
import operator
import os
import pathlib
import pickle
import sys
import threading
import types
import zipfile

import numpy as np
import pytest
import torch

import composer
from composer.classify import read_tensor
from composer.weights import read_checkpoint
from composer.weights.pickled import names_in, unpickle


class Config:
    def __init__(self):
        self.lr = 0.1

    def __setstate__(self, state):
        raise SystemExit("code of a class in a file ran")


class Attributes(dict):
    pass


class Items(list):
    pass


class Slotted:
    __slots__ = ("value",)

    def __init__(self):
        self.value = 3


class Colour(enum.Enum):
    RED = "red"


class Calls:
    """An object whose pickle calls what it is given."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def save(request, tmp_path):
    """Write a value as today's torch.save does, and as that of 2019 did."""

    def write(content):
        torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=request.param)
        return tmp_path / "w.pt"

    return write


def settings():
    with_state = Attributes(a=1)
    with_state.b = 2
    return {
        "args": argparse.Namespace(lr=0.1, output=pathlib.PurePosixPath("/tmp/x")),
        "best": np.float64(76.5),
        "history": np.arange(3.0),
        "config": Config(),
        "slotted": Slotted(),
        "attributes": with_state,
        "items": Items([1, 2]),
        "default": collections.defaultdict(list, {"a": [1]}),
        "started": datetime.datetime(2024, 1, 1),
        "random": np.random.get_state(),
        "frozen": frozenset([1]),
        "function": functools.partial,
    }


def test_the_tensors_are_read_whatever_stands_beside_them(save):
    weights = {"conv1.weight": torch.arange(3.0)}
    found = unpickle(save({"state_dict": weights, "state_dict_ema": collections.OrderedDict(weights), **settings()}))
    assert torch.equal(found["state_dict"]["conv1.weight"], weights["conv1.weight"])
    assert (found["attributes"], found["items"], found["default"]) == ({"a": 1}, [1, 2], {"a": [1]})
    assert found["args"].state["lr"] == 0.1
    assert repr(found["config"]) == f"<a pickled {__name__}.Config>"
    kinds = [type(found[name]) for name in ("args", "best", "config", "slotted", "started")]
    assert all(kind.__module__ == "composer.weights.standins" for kind in kinds)


def test_tensors_in_a_mapping_of_an_unknown_class(save):
    assert read_checkpoint(save({"model": Attributes(weight=torch.zeros(2))})).entry == "model"


def test_containers_of_other_libraries(tmp_path, save):
    kinds = {}
    for name, base in (
        ("fastcore.foundation.L", object),
        ("omegaconf.dictconfig.DictConfig", object),
        ("lightning_fabric.utilities.data.AttributeDict", dict),
        ("mmengine.logging.history_buffer.HistoryBuffer", object),
    ):
        module, _, short = name.rpartition(".")
        kinds[short] = type(short, (base,), {"__module__": module})
    with pytest.MonkeyPatch.context() as patch:
        for kind in kinds.values():
            parts = kind.__module__.split(".")
            for length in range(1, len(parts) + 1):
                patch.setitem(sys.modules, ".".join(parts[:length]), types.ModuleType(parts[length - 1]))
            setattr(sys.modules[kind.__module__], kind.__name__, kind)
        objects = [kind() for kind in kinds.values()]
        objects[0].items = [1]
        objects[1].__dict__["_content"] = {"lr": 1}
        objects[2]["lr"] = 2
        path = save({"state_dict": {"weight": torch.ones(2)}, "settings": objects})
    assert read_checkpoint(path).tensors["weight"].tolist() == [1, 1]
    assert unpickle(path)["settings"][2] == {"lr": 2}


@pytest.mark.parametrize(
    ("evil", "name"),
    [
        (lambda: Calls(os.system, "false"), "posix.system"),
        (lambda: Calls(eval, "1"), "builtins.eval"),
        (lambda: Calls(exec, "raise SystemExit"), "builtins.exec"),
        (lambda: Calls(getattr, Config, "mro"), "builtins.getattr"),
        (lambda: Calls(__import__, "os"), "builtins.__import__"),
        (lambda: Calls(functools.partial, print), "functools.partial"),
        (lambda: Calls(operator.methodcaller, "x"), "operator.methodcaller"),
        (lambda: Calls(importlib.import_module, "antigravity"), "importlib.import_module"),
        (lambda: Calls(pickle.loads, b"x"), "_pickle.loads|pickle.loads"),
        (lambda: Calls(torch.load, "w.pt"), "torch.serialization.load"),
        (lambda: Calls(torch.storage._load_from_bytes, b"x"), "torch.storage._load_from_bytes"),
        (lambda: Calls(torch.hub.load, "x/y", "z"), "torch.hub.load"),
        (lambda: Calls(Config, state={"__class__": 1}), "Config"),
        (lambda: Calls(argparse.Namespace, state={"a": 1}), "argparse.Namespace"),
        # The first releases of Python 3.11 pickle a member of an enum as a call of getattr.
        (lambda: Colour.RED, "Colour|builtins.getattr"),
    ],
)
def test_a_call_is_refused_by_name(save, evil, name):
    with pytest.raises(composer.WeightsError, match=rf"calls `[\w.]*({name})`.* as it is read"):
        unpickle(save({"state_dict": {"weight": torch.zeros(2)}, "hook": evil()}))


def written(tmp_path, program: bytes):
    """An archive whose pickle is this program."""
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("w/data.pkl", program)
        archive.writestr("w/version", "3\n")
    return path


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(Vfalse\ntR.",
        b"\x80\x02cbuiltins\neval\nq\x00(X\x01\x00\x00\x001tq\x01h\x00h\x01R.",
        b"(ios\nsystem\nVfalse\n.",
        b"(cos\nsystem\nVfalse\no.",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x05false\x85R.",
        b"\x80\x04\x8c\x08builtins\x8c\x0cobject.mro\x93)R.",
        # A class of ours is changed, called through the memo, or called as what it is not.
        b"\x80\x02cargparse\nNamespace\n}X\x0c\x00\x00\x00__setstate__cbuiltins\neval\nsb.",
        b"\x80\x02cargparse\nNamespace\n)\x81}X\x05\x00\x00\x00statecbuiltins\neval\nsb(X\x01\x00\x00\x001tR.",
        b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(cbuiltins\neval\nctorch\nTensor\n(X\x01\x00\x00\x001t}tR.",
        b"\x80\x02}X\x01\x00\x00\x00aq\x00h\x00s0",
        b"\x80\x02\x82\x01.",
        b"." * 3,
        b"",
    ],
)
def test_no_program_does_anything(tmp_path, monkeypatch, program):
    monkeypatch.setattr(os, "system", lambda command: pytest.fail(f"ran {command}"))
    found = written(tmp_path, program)
    try:
        value = unpickle(found)
    except composer.WeightsError:
        return
    assert type(value).__module__ in ("composer.weights.standins", "builtins"), value


def test_what_is_read_changes_no_class(save):
    before = dict(vars(torch.nn.Parameter))
    allowed = set(torch.serialization.get_safe_globals())
    unpickle(save({"args": argparse.Namespace(a=1), "config": Config()}))
    assert argparse.Namespace(a=1).a == 1
    assert dict(vars(torch.nn.Parameter)) == before
    assert set(torch.serialization.get_safe_globals()) == allowed


def test_a_compressed_archive_is_refused_before_it_unfolds(tmp_path):
    torch.save({"weight": torch.zeros(1000)}, tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt") as plain, zipfile.ZipFile(tmp_path / "z.pt", "w", 8) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(composer.WeightsError, match="compressed inside"):
        unpickle(tmp_path / "z.pt")


def test_an_object_with_tensors_in_it_is_named(tmp_path):
    config = Config()
    config.weight = torch.zeros(2)
    torch.save({"model": config, "epoch": 3}, tmp_path / "w.pt")
    with pytest.raises(composer.WeightsError, match=r"a pickled `[\w.]*Config`, an object"):
        read_checkpoint(tmp_path / "w.pt")


def test_other_threads_do_not_see_the_stand_ins_for_good(tmp_path):
    torch.save({"args": argparse.Namespace(a=1), "weight": torch.zeros(2)}, tmp_path / "w.pt")
    threads = [threading.Thread(target=read_checkpoint, args=(tmp_path / "w.pt",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "w.pt", weights_only=True)


def nested():
    return torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])


@pytest.mark.filterwarnings(*(f"ignore:.*{one}.*" for one in ("nested tensors", "quantize", "Sparse", "torch.ao")))
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: torch.zeros(2, 3, device="meta"), "holds no values"),
        (lambda: torch.eye(3).to_sparse(), "holds sparse_coo values"),
        (lambda: torch.quantize_per_tensor(torch.zeros(2, 3), 0.1, 0, torch.qint8), "holds quantized values"),
        (nested, "holds nested tensors"),
        (lambda: torch.zeros(2, 3, dtype=torch.complex64), "holds complex numbers"),
        (lambda: [torch.zeros(2)], "does not hold one tensor"),
        (lambda: Calls(os.system, "false"), "calls `posix.system`"),
    ],
)
def test_one_tensor_or_a_sentence(tmp_path, content, said):
    torch.save(content(), tmp_path / "x.pt")
    with pytest.raises(composer.ComposerError, match=said):
        read_tensor(tmp_path / "x.pt")


@pytest.mark.filterwarnings("ignore:.*nested tensors.*")
def test_a_nested_tensor_among_weights(tmp_path):
    torch.save({"weight": nested()}, tmp_path / "w.pt")
    with pytest.raises(composer.WeightsError, match="holds nested tensors in `weight`"):
        read_checkpoint(tmp_path / "w.pt")


def test_one_tensor(tmp_path):
    torch.save(torch.arange(3), tmp_path / "x.pt")
    assert read_tensor(tmp_path / "x.pt").tolist() == [0.0, 1.0, 2.0]
    (tmp_path / "x.pt").write_bytes(b"garbage")
    with pytest.raises(composer.ComposerError):
        read_tensor(tmp_path / "x.pt")


SYSTEM, UNLINK = b"cos\nsystem\n", b"cos\nunlink\n"
# Text of a pickle -> what it calls.
BY_HAND = {
    "an object on a list": b"](" + SYSTEM + b"S'x'\noa.",
    "an object below which nothing stands": b"(" + SYSTEM + b"S'x'\no.",
    "an object of a class that was kept": SYSTEM + b"p0\n0(g0\nS'x'\no.",
    "an object of a class that was kept, in binary": SYSTEM + b"q\x000(h\x00U\x01xo.",
    "objects in objects": b"}((" + SYSTEM + b"S'a'\no(" + UNLINK + b"S'b'\not\x85Ns.",
    "an object whose arguments are marked tuples": b"](" + UNLINK + b"((S'a'\nI1\nt(lto0.",
    "an instance": b"](S'x'\nios\nsystem\na.",
    "instances in a tuple": b"((S'x'\nios\nsystem\n(S'y'\nios\nunlink\nt.",
    "a class twice": SYSTEM + b"2(S'x'\ntR0.",
    "a name in binary strings": b"\x80\x04U\x02osU\x06system\x93(U\x01xtR.",
    "marks that are thrown away": b"(S'a'\n1](" + SYSTEM + b"S'x'\noa.",
    "nothing": b"](" + SYSTEM + b"S'x'\nta.",
}


class Watched(pickle._Unpickler):
    """Python's own unpickler, whose classes note that they are called."""

    def __init__(self, file):
        super().__init__(file)
        self.named, self.called = set(), set()

    def find_class(self, module, name):
        self.named.add(f"{module}.{name}")
        return lambda *arguments: self.called.add(f"{module}.{name}")


@pytest.mark.parametrize("case", BY_HAND)
def test_pickles_made_by_hand_are_read_as_python_reads_them(case):
    watched = Watched(io.BytesIO(BY_HAND[case]))
    watched.load()
    found = names_in(io.BytesIO(BY_HAND[case]))
    assert set(found) == watched.named
    assert {name for name, uses in found.items() if "call" in uses} == watched.called
    assert (watched.called == set()) is (case == "nothing")


def test_a_file_that_makes_objects_the_old_way_is_refused_by_name(tmp_path):
    file = tmp_path / "old.pt"
    file.write_bytes(BY_HAND["an object on a list"])
    with pytest.raises(composer.WeightsError, match=r"calls `(os|posix)\.system` as it is read"):
        unpickle(file)
