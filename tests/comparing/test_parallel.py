"""Trials at once: the same bits as one after another, also where a process was killed; nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys

import pytest
from safetensors.torch import load_file

import composer
from composer import registry
from composer.comparing.cluster import Workers, check_address
from composer.comparing.file import read_comparison
from composer.comparing.plan import make_plan
from composer.comparing.plugins import load_all, plugins_of
from composer.comparing.trials import Job, in_turn, read_trial
from composer.comparing.write import spec_texts
from composer.errors import InputError, PluginError, UnavailableError

TEXT = """\
base: tiny.yaml
variants:
  se: {use: se, after: branch, with: {reduction: 2}}
train: {epochs: 3, batch: 16}
"""
EXTRA = "pip install 'attention-composer\\[sweep\\]'"


@pytest.fixture
def opened(data):
    from composer.training.data import open_data

    return open_data(data)


@pytest.mark.slow
def test_trials_at_once_end_in_the_same_bits_though_processes_are_killed(write, opened, tmp_path):
    import ray

    from composer.comparing.learning import fitting_to, learner, progress_of
    from composer.comparing.parallel import at_once
    from composer.training.trainer import HERE

    plan = make_plan(read_comparison(write(TEXT)), fit=fitting_to(opened))
    for name, text in spec_texts(plan).items():
        (tmp_path / name).write_text(text)
    learning = learner(opened, HERE)
    said, told, order = [], [], []

    def jobs(where):
        found = [
            Job(f"{name}, seed 5", tmp_path / f"tiny.yaml{name}.yaml", 5, where / f"x{name}") for name in ("", "_se")
        ]
        found.append(Job("doomed, seed 6", tmp_path / "tiny.yaml.yaml", 6, where / "doomed"))
        for one in found:
            one.folder.mkdir(parents=True)
        return found

    def run(spec, seed, folder):
        from composer.training.keeping import Keeper

        once, real = folder / "killed", Keeper.on_train_batch_end

        def killed(self, *arguments):
            real(self, *arguments)
            if self.learner.epoch == 1:
                once.write_text("")
                os.kill(os.getpid(), signal.SIGKILL)

        if seed == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        # In the second epoch of one training, its process is killed.
        if folder.name == "x_se" and not once.exists():
            Keeper.on_train_batch_end = killed
        return learning(spec, seed, folder)

    apart, together = jobs(tmp_path / "apart"), jobs(tmp_path / "together")
    in_turn(learning, apart[:2], lambda job: None, lambda text: None)
    every = at_once(Workers(2), tmp_path / "together", threads=1, say=said.append, at=progress_of)
    every(run, together, order.append, told.append)
    assert (together[1].folder / "killed").exists()
    assert sorted(said) == [
        f"the process of {name}, seed {seed}, ended; it is run again, from its checkpoint"
        for name, seed in (("_se", 5), ("doomed", 6))
    ]
    assert {job.name for job in order} == {job.name for job in together}
    for one, other in zip(apart[:2], together, strict=False):
        mine, theirs = read_trial(one.folder), read_trial(other.folder)
        assert mine is not None
        assert theirs is not None
        assert (mine.status, mine.scores, mine.validation) == (theirs.status, theirs.scores, theirs.validation)
        weights = [next(where.glob("run/checkpoints/best-*")) for where in (one.folder, other.folder)]
        first, second = map(load_file, weights)
        assert all(first[key].equal(second[key]) for key in first)
    doomed = read_trial(together[2].folder)
    assert doomed is not None
    assert (doomed.status, doomed.error) == ("failed", "its process ended twice: it was killed, or memory ran out")
    assert not (tmp_path / "together" / ".tune").exists()
    assert not ray.is_initialized()
    assert any("of 3 done" in text for text in told)


@pytest.mark.parametrize("package", ["ray", "ray.tune"])
def test_a_missing_extra_is_named_before_any_work(write, data, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnavailableError, match=EXTRA):
        composer.compare(write(TEXT), data, out=tmp_path / "out", parallel=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["here", "host:", "host:0", "host:70000", "ray://host:10001", "a b:1", ":1"])
def test_what_is_no_address_is_said(write, data, tmp_path, text):
    with pytest.raises(InputError, match="is no address of a Ray cluster"):
        composer.compare(write(TEXT), data, out=tmp_path / "out", address=text)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_an_address_where_nothing_answers_is_said_at_once(host):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InputError, match=f"no Ray cluster answers at `{re.escape(host)}:{port}`"):
        check_address(f"{host}:{port}")


def test_what_a_trial_takes_of_a_machine():
    assert Workers(4).resources(2) == {"cpu": 1, "gpu": 0}
    assert Workers(None, "auto").resources(2) == {"cpu": 2, "gpu": 0}
    assert Workers(None, "auto", gpu=True).resources(1) == {"cpu": 1, "gpu": 1}


def test_threads_are_those_of_the_first_call(write, data, tmp_path):
    quiet = {"say": lambda text: None, "sets": ["seeds=1", "train.epochs=1"]}
    path, folder = write(TEXT), tmp_path / "out"
    composer.compare(path, data, out=folder, threads=2, **quiet)
    composer.compare(path, data, out=folder, **quiet)
    with pytest.raises(InputError, match="`threads` was 2, and is 1"):
        composer.compare(path, data, out=folder, threads=1, **quiet)


def test_other_processes_load_what_registers_the_mechanisms_of_networks(tmp_path):
    file = tmp_path / "gate_for_others.py"
    file.write_text(
        "import composer\nfrom torch import nn\n\n\n"
        '@composer.mechanism("gate_for_others", kind="channel")\nclass Gate(nn.Module):\n'
        '    """A gate."""\n\n    def __init__(self, channels: int) -> None:\n        super().__init__()\n\n'
        "    def forward(self, x):\n        return x.sigmoid()\n"
    )
    registry.load_plugin(file)
    graph = composer.compose({"backbone": "resnet18", "attention": [{"use": "gate_for_others", "after": "branch"}]})
    found = plugins_of([graph])
    assert str(file) in found
    load_all([*found, "no_such_module_at_all"])


def test_a_mechanism_of_the_script_is_refused(monkeypatch):
    graph = composer.compose({"backbone": "resnet18", "attention": [{"use": "se", "after": "branch"}]})
    entry = registry.get("se")
    assert entry is not None
    monkeypatch.setattr(type(entry), "is_own", False)
    monkeypatch.setattr(entry.factory, "__module__", "__main__")
    with pytest.raises(PluginError, match="this script itself registers"):
        plugins_of([graph])
