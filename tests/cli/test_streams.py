"""No stream is an error of composer's: closed, full, of another code page, left by its reader, interrupted."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="streams of a POSIX system")


def composer(*words, shell=None, **options):
    command = [sys.executable, "-m", "composer", *map(str, words)]
    if shell is not None:
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
    return subprocess.run(command, capture_output=True, **options)


@pytest.fixture
def through(run, monkeypatch):
    """What a command writes to a stdout of some code page."""

    def invoke(encoding, *words):
        screen = io.TextIOWrapper(io.BytesIO(), encoding)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", screen)
            result = run(*words)
        assert (result.code, result.err) == (0, "")
        return screen.buffer.getvalue().decode(encoding)

    return invoke


@pytest.mark.parametrize("encoding", ["gbk", "cp932", "ascii"])
def test_every_letter_passes_every_code_page(encoding, through):
    for words in (["show", "cbam"], ["list"], ["summary", "resnet10"], ["sites", "resnet10", "-q"], ["run", "--help"]):
        assert through(encoding, *words)
    if encoding == "ascii":
        assert "c^2" in through(encoding, "show", "se_var3")
        assert "256x14x14" in through(encoding, "show", "cbam")


def test_json_is_the_same_data_in_every_code_page(through):
    found = [json.loads(through(one, "show", "cbam", "--format", "json")) for one in ("utf-8", "ascii")]
    assert found[0] == found[1]
    assert "×" in json.dumps(found[0], ensure_ascii=False)


@pytest.mark.parametrize(("shell", "reason"), [(">&-", "Bad file descriptor"), (">/dev/full", "No space left")])
def test_a_stdout_that_takes_nothing_is_said(shell, reason):
    done = composer("list", "backbones", shell=shell)
    assert done.returncode == 1
    assert reason in done.stderr.decode()
    assert "stdout" in done.stderr.decode()


def test_what_needs_no_stdout_runs_without(tmp_path):
    done = composer("schema", "-o", tmp_path / "s.json", shell=">&-")
    assert (done.returncode, done.stderr.decode()) == (0, f"wrote {tmp_path / 's.json'}\n")
    assert json.loads((tmp_path / "s.json").read_text())["$schema"]


@pytest.mark.parametrize("shell", ["2>/dev/full", "2>&-"])
def test_words_that_nobody_can_read_change_nothing(shell, tmp_path):
    assert composer("list", "backbones", "resnet18", shell=shell).returncode == 0
    assert composer("list", "backbones", "zzz*", shell=shell).returncode == 1
    assert composer("build", "no_such_net", shell=shell).returncode == 1
    assert composer("buidl", shell=shell).returncode == 2


@pytest.mark.parametrize("env", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(("words", "first"), [(["list"], b"mechanisms"), (["list", "papers"], b"name")])
def test_a_reader_that_leaves_wants_no_word(words, first, env):
    done = composer(*words, shell="| head -1", env={**os.environ, **env})
    assert done.returncode == 0
    assert done.stdout.startswith(first)
    assert done.stderr == b""


def test_a_name_that_is_no_text(run, tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yaml")
    with open(path, "w") as file:
        file.write("input: [3, 8, 8]\nnodes: {a: {op: conv2d, out_channels: 4, kernel_size: 1}}\n")
    for words in (["validate"], ["validate", "--format", "json"], ["build", "-o", tmp_path / "out"], ["sites"]):
        assert run(words[0], path, *words[1:]).code == 0
    assert run("build", tmp_path / "out" / "_.lock.yaml").code == 0
    assert run("validate", f"{path}l").code == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_one_word(number, tmp_path):
    word = {signal.SIGINT: b"interrupted\n", signal.SIGTERM: b"terminated\n"}[number]
    plugin = tmp_path / "slow.py"
    plugin.write_text("import sys, time\nsys.stderr.write('ready')\nsys.stderr.flush()\ntime.sleep(60)\n")
    command = [sys.executable, "-m", "composer", "list", "--plugin", str(plugin)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr.read(5) == b"ready"
    process.send_signal(number)
    assert process.communicate(timeout=60)[1] == word
    assert process.returncode == 128 + number


def test_an_interruption_while_it_begins_is_no_traceback():
    code = "import composer.__main__ as command, os, signal, sys\n"
    code += "class Early:\n    def find_spec(self, name, *_):\n"
    code += "        if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
    code += "sys.meta_path.insert(0, Early())\nsys.argv = ['composer', 'list']\ncommand.main()\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"interrupted\n")
