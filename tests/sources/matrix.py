"""What every verb does with every kind of source, as the table examples/tables/sources.md:

python -m tests.sources.matrix [--verbs graph,diff]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import nn

EXAMPLES = Path(__file__).parents[2] / "examples"
TABLE, CAT = EXAMPLES / "tables/sources.md", EXAMPLES / "cat.jpg"
# Verbs without a network among their arguments.
WITHOUT = {
    "search": "a file such as `compare` reads",
    "check": "mechanisms",
    "schema": "nothing",
    "lsp": "an editor",
    "resume": "a run",
    "test": "a run",
    "pull": "a repository",
}
SOURCES = ("zoo", "spec", "timm", "torchvision", "python", "onnx", "pt2")
HEADS = ("`NAME`", "`net.yaml`", "`timm:NAME`", "`torchvision:NAME`", "`pkg.mod:make`", "`net.onnx`", "`net.pt2`")
# Verb -> its arguments; `{net}` is the source, `{out}` a file or folder to be written.
COMMANDS = {
    "build": "{net}",
    "validate": "{net}",
    "run": "{net} --image {cat}",
    "list --on": "mechanisms se --on {net} --after block",
    "show": "{net}",
    "sites": "{net}",
    "summary": "{net}",
    "graph": "{net} -o {out}.html",
    "look": "{net} --image {cat} -o {out}",
    "diff": "{net} resnet10",
    "bench": "{net} --runs 1 --size 64 --device cpu",
    "train": "{net} --data {data} --epochs 1 --size 32 --batch 4 --task classes -o {out}",
    "compare": "{out}.yaml --data {data} -o {out}",
    "scan": "{net} --use se --after block",
    "plan": "{net} --batch 8 --gpus 1 --per-machine 1",
    "eject": "{net} -o {out}.py",
    "export": "{net} --to safetensors -o {out}.safetensors",
    "import": "{net} -o {out}.yaml",
    "push": "{net} hf:somebody/net --dry-run {out} --license mit",
    "new": "--backbone {net} -o {out}.yaml",
    "watch": "{net}",
}
FILES = {
    "compare": 'backbones: ["{net}"]\nvars: {{num_classes: 2}}\nvariants: {{se: {{use: se, after: block}}}}\nseeds: 2\n'
    "train: {{epochs: 1, batch: 4}}\n",
}
SLOW = ("look", "bench", "train", "compare", "scan", "push", "watch", "import", "export")
NETS = """
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x):
        return x + self.norm(self.conv(x)).relu()


class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.blocks = nn.Sequential(Block(16), Block(16))
        self.head = nn.Linear(16, num_classes)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def make(num_classes=10):
    return Net(num_classes)
"""


@dataclass(frozen=True)
class Cell:
    """What a command did: its exit code, and what it said of a mistake."""

    code: int
    said: str


def prepare(folder: Path) -> dict[str, str]:
    """A source of each kind in a folder, in which commands then run, and images to train on."""
    (folder / "nets.py").write_text(NETS)
    found: dict[str, object] = {}
    exec(NETS, found)
    make = found["make"]
    assert callable(make)
    model: nn.Module = make().eval()
    images = torch.zeros(1, 3, 32, 32)
    program = torch.export.export(model, (images,))
    torch.export.save(program, folder / "net.pt2")
    written = torch.onnx.export(program, dynamo=True, verbose=False)
    assert written is not None
    written.save(folder / "net.onnx")
    (folder / "net.yaml").write_text("backbone: resnet10\nattention: [{use: se, after: branch}]\n")
    for split in range(2):
        for number in range(8):
            path = folder / "data" / f"class{split}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (100 * split, 10 * number, 50)).save(path)
    return {
        "zoo": "resnet10",
        "spec": "net.yaml",
        "timm": "timm:resnet10t",
        "torchvision": "torchvision:resnet18",
        "python": "nets:make",
        "onnx": "net.onnx",
        "pt2": "net.pt2",
    }


def words(folder: Path, verb: str, source: str, net: str) -> list[str]:
    """The command line of a cell, its files written."""
    out = folder / f"{verb.split()[0]}_{source}"
    if verb in FILES:
        out.with_suffix(".yaml").write_text(FILES[verb].format(net=net))
    given = COMMANDS[verb].format(net=net, out=out, cat=CAT, data=folder / "data").split()
    return [verb.split()[0], *given, *(["--allow-code"] if source == "python" and verb != "new" else [])]


def ran(folder: Path, verb: str, source: str, net: str) -> Cell:
    """The cell of a verb and a source, in a process of its own."""
    command = [sys.executable, "-m", "composer", *words(folder, verb, source, net)]
    if verb == "watch":
        return _watched(command, folder)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    return Cell(done.returncode, done.stderr)


def _watched(command: list[str], folder: Path) -> Cell:
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        try:
            for line in process.stderr:
                said += line
                if found := re.search(r"http://\S+", line):
                    with urllib.request.urlopen(found[0]) as answer:
                        return Cell(0 if answer.status == 200 else 1, said)
        finally:
            process.terminate()
    return Cell(process.returncode or 1, said)


def sentence(cell: Cell) -> str:
    """What a refusal says: the first mistake, and its help."""
    problem = re.search(r"^error(?:\[[\w-]+\])?: (.*)$", cell.said, re.M)
    help = re.search(r"^ *= help: (.*)$", cell.said, re.M)
    text = ": ".join(one[1] for one in (problem, help) if one) or cell.said.strip().splitlines()[-1]
    return re.sub(r"`?\S*/(\S+)", r"`\1", text)


def measured(verbs: Sequence[str]) -> dict[tuple[str, str], str]:
    """Verb and source -> what the command says: empty if it works, or the sentence of its refusal."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nets = prepare(folder)
        jobs = [(verb, source) for verb in verbs for source in SOURCES]
        with ThreadPoolExecutor(2) as pool:
            cells = pool.map(lambda job: ran(folder, *job, nets[job[1]]), jobs)
            return {job: sentence(cell) if cell.code else "" for job, cell in zip(jobs, cells, strict=True)}


def written(text: str) -> dict[tuple[str, str], str]:
    """The same, of a table."""
    notes = dict(re.findall(r"^(\d+)\. (.*)$", text, re.M))
    found = {}
    for line in text.splitlines():
        if row := re.fullmatch(r"\| `(.+?)` \|(.*)\|", line):
            marks = [mark.strip() for mark in row[2].split("|")]
            if len(marks) == len(SOURCES) and row[1] in COMMANDS:
                found |= {
                    (row[1], source): "" if mark == "✓" else notes[mark.strip("[]")]
                    for source, mark in zip(SOURCES, marks, strict=True)
                }
    return found


def table(cells: Mapping[tuple[str, str], str]) -> str:
    """The text of the table."""
    notes: dict[str, int] = {}
    rows = []
    for verb in COMMANDS:
        if (verb, SOURCES[0]) not in cells:
            continue
        said = [cells[verb, source] for source in SOURCES]
        marks = ["✓" if not one else f"[{notes.setdefault(one, len(notes) + 1)}]" for one in said]
        rows.append(f"| `{verb}` | {' | '.join(marks)} |")
    return "\n".join(
        [
            "# Sources",
            "",
            "What each verb does with each kind of network: `✓`, or the sentence below the table. Made by",
            "`python -m tests.sources.matrix`, which runs each command on a small network. Only `net.yaml`",
            "has attention.",
            "",
            f"| | {' | '.join(HEADS)} |",
            f"|---|{'---|' * len(HEADS)}",
            *rows,
            "",
            *(f"{number}. {text}" for text, number in notes.items()),
            "",
            f"Not about a network: {', '.join(f'`{verb}` ({what})' for verb, what in WITHOUT.items())}.",
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verbs", default=",".join(COMMANDS), help="only these; the other rows stay as they were")
    chosen = parser.parse_args().verbs.split(",")
    known = written(TABLE.read_text()) if TABLE.exists() else {}
    TABLE.write_text(table({**known, **measured(chosen)}) + "\n")
