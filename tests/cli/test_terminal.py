"""Every verb on a real terminal, wide and narrow: each cell is whole, or said to be left out."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios
import threading
from collections import Counter
from dataclasses import dataclass

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from composer.contract import Verdict

WIDTHS = (60, 80, 100, 200)
STYLES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Shown:
    code: int
    out: str
    err: str

    @property
    def lines(self):
        return STYLES.sub("", self.out).splitlines()

    @property
    def left_out(self):
        """Names of columns that are said to be left out."""
        found = re.search(r"columns? (?:is|are) left out, (.*): a wider terminal", self.err)
        return found[1].split(", ") if found else []


@pytest.fixture
def on_terminal(run, monkeypatch):
    """A command whose stdout, or another stream, is a terminal of so many columns; `out` is what is seen there."""

    def invoke(columns, *words, stream="stdout", **environment):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        read: list[bytes] = []
        reader = threading.Thread(target=_read, args=(master, read))
        reader.start()
        with open(slave, "w", encoding="utf-8") as screen, monkeypatch.context() as patch:
            patch.delenv("COLUMNS", raising=False)
            patch.delenv("NO_COLOR", raising=False)
            patch.setenv("TERM", "xterm-256color")
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, stream, screen)
            result = run(*words)
        reader.join()
        os.close(master)
        return Shown(result.code, b"".join(read).decode().replace("\r\n", "\n"), result.err)

    return invoke


def _read(master, into):
    while True:
        try:
            found = os.read(master, 65536)
        except OSError:
            return
        if not found:
            return
        into.append(found)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photograph.png"
    Image.new("RGB", (40, 40), (200, 30, 90)).save(path)
    return path


VERBS = {
    "list": ["list"],
    "list papers": ["list", "papers", "--architecture", "ResNet-152"],
    "show": ["show", "cbam"],
    "show network": ["show", "papers/cbam/resnet50"],
    "sites": ["sites", "resnet10"],
    "sites of one": ["sites", "resnet10", "block"],
    "build": ["build", "SMALL"],
    "validate": ["validate", "SMALL"],
    "summary": ["summary", "SMALL"],
    "diff": ["diff", "SMALL", "resnet10"],
    "run": ["run", "SMALL", "--image", "PHOTO"],
    "look": ["look", "SMALL", "--image", "PHOTO"],
    "check": ["check", "se_var1"],
    "new": ["new", "--backbone", "resnet10"],
    "schema": ["schema"],
}


# Their lines are source text, or names of files, which a terminal wraps by itself.
PROSE = ("show", "show network", "validate", "run", "new", "schema")


@pytest.fixture
def verdicts(monkeypatch):
    """What a check finds, without the checks."""
    found = [Verdict("keeps the shape", "failed", "a reason of many words " * 9), Verdict("gradients are right", "ok")]
    monkeypatch.setattr("composer.contract.run", lambda subject: iter(found))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.usefixtures("verdicts")
def test_every_word_is_on_the_screen_or_its_column_is_said_to_be_left_out(verb, run, on_terminal, small, photo):
    words = [{"SMALL": small, "PHOTO": photo}.get(word, word) for word in VERBS[verb]]
    piped = run(*words)
    for columns in WIDTHS if verb != "look" else WIDTHS[:1]:
        shown = on_terminal(columns, *words)
        assert shown.code == piped.code == (verb == "check")
        if verb not in PROSE:
            assert all(len(line) <= columns for line in shown.lines), columns
        missing = Counter(_letters(piped.out)) - Counter(_letters("\n".join(shown.lines)))
        if shown.left_out:
            heads = shown.lines[0 if verb.startswith(("list", "sites")) else 2].split()
            assert set(shown.left_out).isdisjoint(heads)
            assert columns < max(map(len, piped.out.splitlines()))
        else:
            assert not missing, columns


def _letters(text):
    """The words of a text, without what trees are drawn with."""
    return re.sub(r"[│├└─|`]+-?", " ", text).split()


def test_a_cell_is_whole_at_eighty_columns(on_terminal):
    shown = on_terminal(80, "list", "papers", "--architecture", "ResNet-152", "--mechanism", "SE", "--cost")
    assert shown.left_out == ["top1", "printed_parameters", "printed_macs", "deviates"]
    assert "papers/se/resnet152      2.1    ResNet-152    SE            66.82 M  11.29 G" in shown.lines


def test_a_narrow_terminal_folds_cells_between_words(on_terminal):
    shown = on_terminal(60, "list", "mechanisms", "cbam")
    start = shown.lines[0].index("summary")
    assert " ".join(line[start:] for line in shown.lines) == (
        "summary Rescale channels first, then the positions of the result."
    )


def test_of_a_summary_the_columns_that_do_not_fit_are_named(on_terminal):
    shown = on_terminal(60, "summary", "resnet18")
    assert shown.left_out
    assert shown.lines[2].split()[0] == "node"
    assert not set(shown.left_out) & set(shown.lines[2].split())
    assert on_terminal(200, "summary", "resnet18").left_out == []


def test_what_was_asked_for_is_never_left_out(on_terminal):
    shown = on_terminal(60, "summary", "resnet18", "--columns", "op,output,parameters,macs,memory")
    assert shown.left_out == []
    assert shown.lines[2].split() == ["node", "operation", "output", "parameters", "MACs", "memory"]


def test_a_picture_does_not_flood_a_terminal(on_terminal, small):
    shown = on_terminal(80, "graph", small)
    assert shown.code == 2
    assert shown.out == ""
    assert "-o FILE.svg" in shown.err
    assert on_terminal(80, "graph", small, "-o", "-").out.startswith("<svg")
    assert "flowchart" in on_terminal(80, "graph", small, "--format", "mmd").out
    assert on_terminal(80, "graph", small, "--format", "png").code == 2


def test_who_waits_at_a_terminal_sees_what_is_being_done(on_terminal, run, small, photo):
    words = ("run", small, "--image", photo)
    shown = on_terminal(80, *words, stream="stderr").out
    for text in ("composing small", "building small", "running small, 1 of 1 batches"):
        assert text in shown
    # The line is taken away again.
    assert shown.count("\x1b[2K") >= 3
    assert "composing" not in on_terminal(80, *words, "-q", stream="stderr").out
    assert run(*words).err == "no weights: the network is random (seed 0)\n"


@pytest.mark.parametrize(
    ("verb", "step"),
    [
        (("list", "layers"), "reading names"),
        (("show", "se"), "explaining se"),
        (("schema",), "writing the schema"),
        (("new", "--backbone", "resnet18"), "finding what fits resnet18"),
    ],
)
def test_verbose_has_a_use_where_nothing_is_composed(run, verb, step):
    assert re.search(rf"^{step}: [0-9.]+ s$", run(*verb, "-v").err, re.MULTILINE)
    assert step not in run(*verb).err


def test_verbose_says_how_long_each_step_took(run, small):
    assert re.fullmatch(r"composing small: [0-9.]+ s\nbuilding small: [0-9.]+ s\n", run("build", small, "-v").err)


def test_errors_have_colour_on_a_terminal_unless_it_wants_none(on_terminal, run):
    plain = run("build", "resnet5").err
    shown = on_terminal(80, "build", "resnet5", stream="stderr").out
    assert "\x1b[1;31merror" in shown
    assert STYLES.sub("", shown) == plain
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", on_terminal(80, "build", "resnet5", stream="stderr", NO_COLOR="1").out)


# Clears the screen, rings, turns the direction of what follows, hides.
BAD = "x\x1b[2J\x07\u202ey\x9bz\u200b"
# Of what does not show, a spec may hold this.
ODD = "x\n\u2028y\u200b\ufeffz"


@pytest.fixture
def hostile(tmp_path):
    """A spec, a checkpoint, a photograph and a plugin with such names wherever a name can stand."""
    quoted, odd = json.dumps(BAD), json.dumps(ODD)
    folder = tmp_path / "a\x1b[2J\u202eb"
    folder.mkdir()
    Image.new("RGB", (9, 9)).save(folder / "photo\x1b[31m.png")
    spec = folder / "net\x07.yaml"
    (folder / "refused.yaml").write_text(f"name: {quoted}\ninput: [3, 8, 8]\nnodes: {{{quoted}: relu}}\n")
    spec.write_text(
        f"name: {odd}\ninput: [3, 8, 8]\nclasses: [{odd}, bee]\noutputs: {{{odd}: fc}}\n"
        "nodes:\n  conv: {op: conv2d, out_channels: 4, kernel_size: 1, site: branch}\n  pool: global_avg_pool\n"
        "  fc: {op: linear, out_features: 2}\nattention:\n  - {use: bad_words, after: branch}\n"
    )
    tensors = {"conv.weight": torch.ones(4, 3, 1, 1), "fc.weight": torch.ones(2, 4), "fc.bias": torch.ones(2)}
    save_file({**tensors, BAD: torch.ones(1)}, folder / "w.safetensors", {"classes": json.dumps([BAD, BAD])})
    plugin = folder / "plugin.py"
    plugin.write_text(
        f"import composer\nfrom torch import nn\n\n\n@composer.mechanism('bad_words', kind='spatial')\n"
        f"class Bad(nn.Module):\n    {quoted}\n\n    def forward(self, x):\n        return x\n"
    )
    return folder, spec, plugin


@pytest.mark.parametrize(
    "words",
    [
        ["validate", "SPEC"],
        ["validate", "FOLDER/refused.yaml"],
        ["build", "SPEC"],
        ["build", "SPEC", "-o", "FOLDER/out"],
        ["build", "SPEC", "--weights", "FOLDER/w.safetensors", "--require", "any"],
        ["build", "SPEC", "--weights", "FOLDER/w.safetensors"],
        ["build", "SPEC", "--format", "json"],
        ["summary", "SPEC"],
        ["summary", "SPEC", "--format", "md"],
        ["summary", "SPEC", "--format", "csv"],
        ["sites", "SPEC"],
        ["sites", "SPEC", "branch"],
        ["sites", BAD],
        ["diff", "SPEC", "resnet10"],
        ["run", "SPEC", "--image", "FOLDER"],
        ["run", "SPEC", "--image", "FOLDER", "--format", "json"],
        ["run", "SPEC", "--tensor", "FOLDER/w.safetensors"],
        ["list", "mechanisms", "bad*"],
        ["list", "mechanisms", "bad*", "--format", "csv"],
        ["list", "mechanisms", BAD],
        ["show", "bad_words"],
        ["show", BAD],
        ["check", BAD],
        ["graph", "SPEC", "-o", "FOLDER/g.svg"],
        ["new", "-o", "FOLDER/new.yaml", "--backbone", "resnet10"],
        ["build", "SPEC", f"--{BAD}"],
        [BAD],
    ],
    ids=lambda words: " ".join(words).encode("ascii", "replace").decode().replace("\x1b", "?").replace("\x07", "?"),
)
def test_nothing_that_is_printed_moves_the_cursor(words, run, hostile):
    folder, spec, plugin = hostile
    words = [word.replace("SPEC", str(spec)).replace("FOLDER", str(folder)) for word in words]
    plugins = ["--plugin", plugin] if len(words) > 1 or words[0] != BAD else []
    result = run(*words, *plugins)
    assert result.code != 70
    assert not [one for one in result.out + result.err if not one.isprintable() and one != "\n"]


def test_json_holds_the_names_as_they_are(run, hostile):
    _, spec, plugin = hostile
    assert run("build", spec, "--plugin", plugin, "--format", "json").json["name"] == ODD
